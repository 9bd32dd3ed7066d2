#!/usr/bin/env bash
# The quickest way by hand, for comparison with `make e2e`: from nothing to the first 200 through the ingress.
# usage: docs/by-hand.sh BUNDLE NODE_IMAGE [CLUSTER_NAME]        needs kind, helm and kubectl on PATH
# It checks nothing, and deletes its cluster at the end. Seconds since its start are printed at each step.
set -euo pipefail
bundle=$(realpath "$1") node=$2 name=${3:-by-hand}
cd "$(dirname "$0")/.."
home=$(mktemp -d)
export KUBECONFIG=$home/kubeconfig HELM_CACHE_HOME=$home/cache
trap 'kind delete cluster --name "$name" >/dev/null 2>&1; rm -rf "$home"' EXIT
say() { printf '%6.1f  %s\n' "$(awk "BEGIN { print $(date +%s.%N) - $began }")" "$1"; }
chart() { ls "$bundle"/charts/"$1"-*.tgz; }
release() { helm install "$1" "$(chart "$2")" --namespace "$3" --create-namespace --skip-crds --values "manifests/values/$2.yaml" "${@:4}" >/dev/null; }
tagged() { sed -n "s|^  \($1[^ ]*\): *$|\1|p" "$bundle/bundle.yaml" | head -1; }

began=$(date +%s.%N)
printf 'kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\nnodes: [{role: control-plane}, {role: worker}]\n' >"$home/kind.yaml"
kind create cluster --quiet --name "$name" --image "$node" --config "$home/kind.yaml"
say "cluster"

load() { for archive; do kind load image-archive --quiet "$archive" --name "$name"; done; }
mesh=() rest=()
for archive in "$bundle"/images/*.tar; do
  case $archive in *pilot*|*install-cni*|*ztunnel*|*gateway*|*redis*) mesh+=("$archive") ;; *) rest+=("$archive") ;; esac
done
{ load "${mesh[@]}" & load "${rest[@]}" & wait; say "images"; } &
{
  helm template eg "$(chart gateway-helm)" --include-crds --set crds.enabled=true |
    python3 -c 'import sys, yaml; print("\n---\n".join(yaml.safe_dump(d) for d in yaml.safe_load_all(sys.stdin) if d and d["kind"] in ("CustomResourceDefinition", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")))' |
    kubectl apply --server-side --force-conflicts -f - >/dev/null
  say "definitions"
} &
definitions=$!
istio=$(basename "$(chart istiod)" .tgz); istio=${istio#istiod-}
tag=(--set "global.tag=$istio" --set global.variant=distroless --set global.hub=docker.io/istio --set global.imagePullPolicy=IfNotPresent)
release base base istio-system "${tag[@]}"
release istiod istiod istio-system "${tag[@]}" & a=$!
release cni cni istio-system "${tag[@]}" & b=$!
release ztunnel ztunnel istio-system "${tag[@]}" & c=$!
kubectl apply -f manifests/base/redis.yaml >/dev/null
wait $a $b $c $definitions
release eg gateway-helm envoy-gateway-system --set crds.enabled=false \
  --set "global.images.envoyGateway.image=$(tagged docker.io/envoyproxy/gateway)" --set global.images.envoyGateway.pullPolicy=IfNotPresent \
  --set "global.images.ratelimit.image=$(tagged docker.io/envoyproxy/ratelimit)" --set global.images.ratelimit.pullPolicy=IfNotPresent
say "releases"
kubectl --namespace istio-system rollout status daemonset/ztunnel --timeout 240s >/dev/null
kubectl apply -f manifests/install/ambient.yaml -f manifests/base/bookinfo.yaml -f manifests/install/envoy_gateway.yaml \
  -f manifests/ingress/gateway.yaml >/dev/null
say "applied"
until port=$(kubectl get service -l gateway.envoyproxy.io/owning-gateway-name=bookinfo-ingress -A -o jsonpath='{.items[0].spec.ports[0].nodePort}' 2>/dev/null) && [ "$port" ]; do sleep 0.5; done
address=$(docker inspect --format '{{(index .NetworkSettings.Networks "kind").IPAddress}}' "$name-worker")
until [ "$(curl --noproxy '*' -s -o /dev/null -w '%{http_code}' --max-time 5 "http://$address:$port/productpage")" = 200 ]; do sleep 0.3; done
say "first 200"
