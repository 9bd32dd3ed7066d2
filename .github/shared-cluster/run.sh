#!/usr/bin/env bash
# A run of the suites on a kind cluster that others use too, by an account with the rights of `mesh-e2e rbac` alone.
# Fails if a claim is broken, if anything of the run is left, or if a client of the others got another status than 200.
set -euo pipefail
cd "$(dirname "$0")/../.."
name=${E2E_CLUSTER_NAME:-mesh-e2e} into=shared-cluster
mkdir -p "$into"
make e2e T="suites/install/test_ambient.py" KEEP=always
kind get kubeconfig --name "$name" > "$into/admin.yaml"
admin() { kubectl --kubeconfig "$into/admin.yaml" "$@"; }
listing() { .venv/bin/mesh-e2e listing --kubeconfig "$into/admin.yaml" --context "kind-$name" "$@"; }

admin apply -f .github/shared-cluster/foreign.yaml
E2E_CLUSTER=existing .venv/bin/mesh-e2e rbac > "$into/rbac.yaml"
admin apply -f "$into/rbac.yaml"
admin create serviceaccount tester --namespace default
admin create clusterrolebinding mesh-e2e --clusterrole mesh-e2e --serviceaccount default:tester
admin get roles --all-namespaces --field-selector metadata.name=mesh-e2e -o custom-columns=:.metadata.namespace --no-headers |
  while read -r namespace; do
    admin create rolebinding mesh-e2e --namespace "$namespace" --role mesh-e2e --serviceaccount default:tester < /dev/null
  done
cp "$into/admin.yaml" "$into/tester.yaml"
kubectl --kubeconfig "$into/tester.yaml" config set-credentials tester --token "$(admin create token tester --namespace default --duration 2h)"
kubectl --kubeconfig "$into/tester.yaml" config set-context tester --cluster "kind-$name" --user tester
kubectl --kubeconfig "$into/tester.yaml" config delete-user "kind-$name"

for deployment in team-b/web team-b/front team-b/client team-c/client; do
  admin rollout status --namespace "${deployment%/*}" "deployment/${deployment#*/}" --timeout 2m
done
sleep 10
since=$(date -u +%Y-%m-%dT%H:%M:%SZ)
listing > "$into/before.json"
failed=0
make e2e CLUSTER=existing KUBECONFIG_FILE="$into/tester.yaml" CONTEXT=tester T="${TESTS:?}" || failed=1
# The namespace stays, since rbac.yaml made it, and a deleted proxy drains its connections for up to a minute.
admin wait pod --namespace mesh-e2e --all --for delete --timeout 90s || true
listing --compare "$into/before.json" || failed=1
for namespace in team-b team-c; do
  admin logs --namespace "$namespace" deployment/client --since-time "$since" | sort | uniq -c | tee "$into/$namespace.txt"
  [ "$(awk '{print $2}' "$into/$namespace.txt")" = 200 ] || failed=1
done
exit "$failed"
