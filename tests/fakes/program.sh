# The body of every fake program, sourced with `home` and `name` set: records its call, and gives the answer it was set.
# $home holds calls/ (for each call, by its process id, what it was called with), order (one process id a line),
# answers.sh (the last rule that fits counts) and, for kind, clusters (one name a line). `version` is answered as the
# real programs do. POSIX shell, because a test starts many of these and a shell starts in a millisecond.

has() { # has WORD ARGS…: whether the word is among the arguments
  word=$1 && shift
  for arg; do [ "$arg" = "$word" ] && return 0; done
  return 1
}

after() { # after OPTION ARGS…: prints the argument behind the option
  option=$1 && shift
  while [ $# -gt 1 ]; do [ "$1" = "$option" ] && printf %s "$2" && return; shift; done
}

kind() { # keeps a list of clusters, and writes a kubeconfig where the real one does
  of=$(after --name "$@")
  : >>"$home/clusters"
  case "$1 $2" in
    "create cluster") echo "$of" >>"$home/clusters" ;; # with --retain a failed one stays
    "delete cluster") grep -vxF -e "$of" "$home/clusters" >"$home/left"; mv "$home/left" "$home/clusters" ;;
    "get clusters") cat "$home/clusters"; [ -s "$home/clusters" ] || echo "No kind clusters found." >&2 ;;
    "get nodes") [ ! -e "$home/nodes" ] || cat "$home/nodes" ;;
  esac
  case "$1 $2 $code" in
    "create cluster 0" | "export kubeconfig 0" | "delete cluster 0")
      config=$(after --kubeconfig "$@")
      config=${config:-${KUBECONFIG:-$HOME/.kube/config}}
      mkdir -p "$(dirname "$config")"
      echo "# written by $1 $2" >"$config" ;;
  esac
}

call="$home/calls/$$"
/usr/bin/env -0 >"$call.env"
PATH=/usr/bin:/bin
printf '%s\0' "$name" "$@" >"$call.argv"
[ -t 0 ] || cat >"$call.stdin" 2>/dev/null
echo "$$" >>"$home/order"

code=0 out='' err='' hang=0
case "$name $1" in
  "kind version") out='kind v0.31.0 go1.25.5 linux/amd64
' ;;
  "helm version") out=v4.1.3 ;;
  "kubectl version") out='Client Version: v1.35.3
' ;;
  "docker version") out='{"Version": "28.0.1", "Components": [{"Name": "Engine", "Version": "28.0.1"}]}
' ;;
esac
[ ! -e "$home/answers.sh" ] || . "$home/answers.sh"
printf %s "$out"
printf %s "$err" >&2
[ "$hang" = 0 ] || sleep "$hang"
[ "$name" != kind ] || kind "$@"
exit "$code"
