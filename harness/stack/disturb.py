"""Breaking parts of the stack on purpose, and seeing them whole again: rolled, killed, away, cut off."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime

from harness import ledger, progress, timeouts
from harness.clients.mesh import MeshClient
from harness.clients.proxies import Envoy, Ztunnels
from harness.command import run
from harness.errors import HarnessError, NotReady, SetupFailed
from harness.kube import ApiUnavailable, Kube, Missing, Refused
from harness.logs.ztunnel import bind_failures
from harness.objects.manifests import Document
from harness.objects.workloads import pod_ready
from harness.stack import ready, topology
from harness.wait import until

RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"
PARTS = (
    "Deployment/istio-system/istiod",
    "DaemonSet/istio-system/istio-cni-node",
    "DaemonSet/istio-system/ztunnel",
    "Deployment/redis-system/redis",
    "Deployment/envoy-gateway-system/envoy-gateway",
    "Deployment/envoy-gateway-system/envoy-ratelimit",
    "Deployment/default/waypoint",
    "Deployment/default/bookinfo-ingress",
    "Deployment/default/ratings-v1",
    "Deployment/default/productpage-v1",
)
PORT = 15008
REMEDY = "delete the waypoint's pod (its Envoy holds port 15008, which ztunnel needs); leave the TCP listener on 15008 out"


def rolled(kube: Kube, workload: str) -> None:
    """`kubectl rollout restart`, awaited: pods are replaced one by one, each asked to end."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    kube.patch(workload, {"spec": {"template": {"metadata": {"annotations": {RESTARTED_AT: now}}}}})
    ready.workload(kube, workload, within=timeouts.DISTURBED)


def killed(kube: Kube, workload: str) -> None:
    """Deletes every pod of a workload without grace, and waits until as many others are ready."""
    obj = kube.get(workload)
    gone = {pod["metadata"]["name"] for pod in ready.pods(kube, obj)}
    kube.delete([f"Pod/{obj['metadata']['namespace']}/{name}" for name in gone], gone=False, force=True)
    replaced(kube, workload, gone)


def replaced(kube: Kube, workload: str, gone: set[str]) -> None:
    """Waits until none of those pods is there and the workload is whole."""
    obj = kube.get(workload)
    until(
        lambda: [pod for pod in ready.pods(kube, obj) if pod["metadata"]["name"] not in gone and pod_ready(pod)],
        lambda pods: len(pods) >= len(gone),
        what=f"{workload} has {len(gone)} new ready pods",
        within=timeouts.DISTURBED,
        every=0.2,
        transient=(ApiUnavailable,),
        show=lambda pods: f"{len(pods)} of them",
    )
    ready.workload(kube, workload, within=timeouts.DISTURBED)


@contextmanager
def away(kube: Kube, deployment: str) -> Iterator[None]:
    """A Deployment without pods for the block, seen to be gone to the last; then as many as before, ready."""
    obj = kube.get(deployment)
    before = int(obj["spec"].get("replicas", 1)) or 1
    labels = ",".join(f"{k}={v}" for k, v in obj["spec"]["selector"]["matchLabels"].items())
    try:
        kube.patch(deployment, {"spec": {"replicas": 0}})
        until(
            # Those on their way out count: they still answer.
            lambda: kube.objects("Pod", obj["metadata"]["namespace"], labels=labels),
            lambda pods: not pods,
            what=f"{deployment} has no pod left",
            within=timeouts.DISTURBED,
            every=0.2,
            transient=(ApiUnavailable,),
            show=lambda pods: f"{len(pods)} pods",
        )
        yield
    finally:
        kube.patch(deployment, {"spec": {"replicas": before}})
        ready.workload(kube, deployment, within=timeouts.DISTURBED)


def whole(kube: Kube, client: MeshClient, waypoint: Envoy, url: str) -> None:
    """Waits until every part is ready and a call passes the waypoint; what holds port 15008 is taken away first.

    Raises:
        NotReady, Terminal: a part did not come back.
    """
    for name in PARTS:
        ready.workload(kube, name, within=timeouts.DISTURBED)
    topology.proxy(kube, waypoint.gateway)
    topology.passes(client, waypoint, url)
