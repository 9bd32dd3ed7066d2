"""A waypoint of Istio's class without pods: binds a Service, removes the pods, reads the state."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from harness import timeouts
from harness.errors import CannotJudge, Terminal
from harness.kube import ApiUnavailable, Kube
from harness.objects.manifests import Document
from harness.objects.workloads import is_pod_ready
from harness.wait import until
from harness.waits import rollouts, waypoint_binding

PULL = ("ImagePullBackOff", "ErrImagePull", "ErrImageNeverPull")


def deployment(kube: Kube) -> str:
    """Its Deployment's name."""
    return f"Deployment/{kube.namespace}/byo-waypoint-istio"


def bind_service(kube: Kube) -> None:
    """The sandwich's Service bound to its waypoint."""
    waypoint_binding.bind_service(kube, "ratings-sandwich", "byo-waypoint")


def read_pods(kube: Kube) -> list[Document]:
    """The waypoint's pods."""
    return kube.list_pods(kube.namespace, "gateway.networking.k8s.io/gateway-name=byo-waypoint")


@contextmanager
def while_without_pods(kube: Kube) -> Iterator[None]:
    """The waypoint without pods for the block. What comes back afterwards is not awaited: it may not come at all."""
    try:
        kube.patch(deployment(kube), {"spec": {"replicas": 0}})
        until(
            lambda: [pod for pod in read_pods(kube) if is_pod_ready(pod)],
            lambda found: not found,
            what=f"{deployment(kube)} has no ready pod left",
            within=timeouts.DISTURBED,
            transient=(ApiUnavailable,),
            show=lambda found: f"{len(found)} pods",
        )
        yield
    finally:
        kube.patch(deployment(kube), {"spec": {"replicas": 1}})


def wait_for_start(kube: Kube) -> None:
    """Waits until the proxy is ready.

    Raises:
        CannotJudge: its image cannot be pulled.
        Terminal: it cannot start for another reason.
    """
    try:
        rollouts.wait_for_rollout(kube, deployment(kube), within=timeouts.ROLLOUT)
    except Terminal as error:
        if not any(reason in error.seen for reason in PULL):
            raise
        raise CannotJudge(f"unproven here: {error.seen}") from None
