"""Restarts workloads: rolling restart, force-deleted pods, scaled to zero."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime

from harness import observations, timeouts
from harness.kube import ApiUnavailable, Kube
from harness.objects.kind_namespace_name import Ref
from harness.objects.manifests import Document
from harness.objects.unstructured import text
from harness.objects.workloads import RESTARTED_AT, is_pod_ready, selector
from harness.undo.temporary_changes import Manifests
from harness.wait import until
from harness.waits import rollouts

ZTUNNEL, ISTIOD = "DaemonSet/istio-system/ztunnel", "Deployment/istio-system/istiod"
CONTROLLER = "Deployment/envoy-gateway-system/envoy-gateway"
LIMITER, REDIS = "Deployment/envoy-gateway-system/envoy-ratelimit", "Deployment/redis-system/redis"
WAYPOINT, INGRESS = "Deployment/default/waypoint", "Deployment/default/bookinfo-ingress"


def restart_rolling(kube: Kube, *workloads: str) -> None:
    """`kubectl rollout restart` of all at once, awaited: pods are replaced one by one, each asked to end."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    with while_replacing_pods(kube, *workloads):
        for workload in workloads:
            kube.patch(workload, {"spec": {"template": {"metadata": {"annotations": {RESTARTED_AT: now}}}}})


@contextmanager
def while_replacing_pods(kube: Kube, *workloads: str) -> Iterator[None]:
    """After the block waits until each has rolled out, and no pod of before is left: one that ends still serves. Those
    that are gone then count as deleted by the harness.

    Raises:
        NotReady: it did not roll out, or a pod of before stayed: what was done in the block replaced nothing.
    """
    before = {workload: _pods(kube, workload) for workload in workloads}
    yield
    for workload, old in before.items():
        rollouts.wait_for_rollout(kube, workload, within=timeouts.DISTURBED)
        _gone(kube, workload, {str(pod["metadata"]["uid"]) for pod in old})
        for pod in old:
            kube.wanted.deleted(Ref("Pod", text(pod, "metadata", "name"), text(pod, "metadata", "namespace")))
        observations.record_sighting(
            "Kubernetes API", f"{workload} is rolled out, and none of its {len(old)} old pods is left"
        )


def force_delete_pods(kube: Kube, workload: str) -> set[str]:
    """Deletes every pod of a workload without grace, and returns their names; kubelet gives them 2 s all the same."""
    obj = kube.get(workload)
    gone = {str(pod["metadata"]["name"]) for pod in rollouts.read_pods(kube, obj)}
    kube.delete([f"Pod/{obj['metadata']['namespace']}/{name}" for name in gone], gone=False, force=True)
    return gone


def kill_and_wait_for_new_pods(kube: Kube, workload: str) -> None:
    """Deletes every pod of a workload without grace, and waits until as many others are ready."""
    wait_for_new_pods(kube, workload, force_delete_pods(kube, workload))


def wait_for_new_pods(kube: Kube, workload: str, gone: set[str]) -> None:
    """Waits until as many new pods as are gone are ready."""
    obj = kube.get(workload)
    until(
        lambda: [
            pod for pod in rollouts.read_pods(kube, obj) if pod["metadata"]["name"] not in gone and is_pod_ready(pod)
        ],
        lambda pods: len(pods) >= len(gone),
        what=f"{workload} has {len(gone)} new ready pods",
        within=timeouts.DISTURBED,
        every=0.2,
        transient=(ApiUnavailable,),
        show=lambda pods: f"{len(pods)} of them",
    )


@contextmanager
def while_scaled_to_zero(manifests: Manifests, *deployments: str, grace: bool = True) -> Iterator[None]:
    """Deployments without pods for the block, all seen to be gone to the last; then as many as before, ready. If this
    process is killed meanwhile, they come back when the next run begins.

    Without `grace` their pods are deleted by force: the rate limit service takes 10 s to five minutes to terminate.
    Kubernetes lists none then, but their containers serve for a moment more (tests/recordings/limiter-lingers).
    """
    kube = manifests.kube
    with ExitStack() as undo:
        for deployment in deployments:
            undo.callback(rollouts.wait_for_rollout, kube, deployment, within=timeouts.DISTURBED)
        for deployment in deployments:  # undone first: all come back together, and are awaited then
            undo.enter_context(manifests.while_patched(deployment, {"spec": {"replicas": 0}}))
            if not grace:  # those that were asked to end already, by the patch, as well
                ended = [f"Pod/{p['metadata']['namespace']}/{p['metadata']['name']}" for p in _pods(kube, deployment)]
                kube.delete(ended, gone=False, force=True)
        for deployment in deployments:
            _gone(kube, deployment)
        yield


def _gone(kube: Kube, workload: str, old: set[str] | None = None) -> None:
    """Waits until no pod of the workload (with one of these uids) is left. Those on their way out count: they still
    answer."""
    until(
        lambda: [pod for pod in _pods(kube, workload) if old is None or pod["metadata"]["uid"] in old],
        lambda pods: not pods,
        what=f"{workload} has no {'' if old is None else 'old '}pod left",
        within=timeouts.DISTURBED,
        every=0.2,
        transient=(ApiUnavailable,),
        show=lambda pods: f"{len(pods)} pods",
    )


def _pods(kube: Kube, workload: str) -> list[Document]:
    obj = kube.get(workload)
    return kube.list_objects("Pod", text(obj, "metadata", "namespace"), labels=selector(obj))
