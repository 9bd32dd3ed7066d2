"""A waypoint of Istio's class: binds a Service, removes the pods, leaves HBONE to ztunnel, reads the state."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from harness import observations, timeouts
from harness.errors import CannotJudge, Inconclusive, Terminal
from harness.kube import ApiUnavailable, Kube
from harness.logs.ztunnel import ZtunnelLine
from harness.objects.manifests import Document
from harness.objects.unstructured import objects, text
from harness.objects.workloads import is_pod_ready, pod_ip
from harness.undo.temporary_changes import Manifests
from harness.wait import until
from harness.waits import bind_to_waypoint, rollouts

CONTAINER, AGENT = "istio-proxy", "/usr/local/bin/pilot-agent"
SENDS_NO_HBONE = "ISTIO_META_DISABLE_HBONE_SEND"  # set by ConfigMap byo-waypoint, manifests/sandwich/istio_class.yaml
OWN = "gateway.networking.k8s.io/gateway-name=byo-waypoint"
PULL = ("ImagePullBackOff", "ErrImagePull", "ErrImageNeverPull")


def deployment(kube: Kube) -> str:
    """Its Deployment's name."""
    return f"Deployment/{kube.namespace}/byo-waypoint-istio"


def bind_service(kube: Kube) -> None:
    """The sandwich's Service bound to its waypoint."""
    bind_to_waypoint.bind_service(kube, "ratings-sandwich", "byo-waypoint")


def read_pods(kube: Kube) -> list[Document]:
    """The waypoint's pods."""
    return kube.list_pods(kube.namespace, OWN)


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


def record_build(kube: Kube) -> None:
    """Records which Envoy the waypoint is: Istio's own build has extensions of the name istio, a stand-in has none.

    Raises:
        Inconclusive: it did not answer.
    """
    pod = read_pods(kube)[0]["metadata"]["name"]
    argv = [AGENT, "request", "GET", "server_info"]
    page = kube.exec_in_pod(kube.namespace, pod, CONTAINER, argv, within=timeouts.EXEC).stdout
    try:
        info = json.loads(page)
    except ValueError as error:
        raise Inconclusive(f"Envoy of {pod} returned no server_info: {page[:200]!r}") from error
    own = any(text(one, "name").startswith("istio.") for one in objects(info, "node", "extensions"))
    who = "Istio's proxy" if own else "Envoy without Istio's extensions, a stand-in for Istio's proxy"
    observations.record_sighting(who, text(info, "version"))


def find_nested_hbone(kube: Kube, lines: Sequence[ZtunnelLine]) -> list[ZtunnelLine]:
    """ztunnel's lines of connections from the waypoint to a port 15008, sent over HBONE once more."""
    pods = {pod_ip(pod) for pod in read_pods(kube)}
    return [line for line in lines if line.src.ip in pods and (line.dst.hbone_addr or "").endswith(":15008")]


@contextmanager
def while_sending_no_hbone(manifests: Manifests, kube: Kube) -> Iterator[None]:
    """The waypoint's pod sends plain text for the block, which the ztunnel beside it sends on over HBONE.

    Raises:
        NotReady: it has not rolled out in time, before or after the block.
    """
    parameters = {"group": "", "kind": "ConfigMap", "name": "byo-waypoint"}
    gateway = f"Gateway/{kube.namespace}/byo-waypoint"
    with manifests.while_patched(gateway, {"spec": {"infrastructure": {"parametersRef": parameters}}}):
        _wait_for_environment(kube, there=True)
        yield
    _wait_for_environment(kube, there=False)


def _wait_for_environment(kube: Kube, *, there: bool) -> None:
    """Until only pods with (or without) the variable are left, one of them ready."""

    def look() -> list[tuple[bool, bool]]:
        return [(_has_variable(pod), is_pod_ready(pod)) for pod in kube.list_objects("Pod", kube.namespace, labels=OWN)]

    until(
        look,
        lambda pods: bool(pods) and set(pods) == {(there, True)},
        what=f"{deployment(kube)} has rolled out {'with' if there else 'without'} {SENDS_NO_HBONE}",
        within=timeouts.ROLLOUT,
        transient=(ApiUnavailable,),
        show=lambda pods: f"{len(pods)} pods",
    )


def _has_variable(pod: Document) -> bool:
    return any(
        text(variable, "name") == SENDS_NO_HBONE
        for container in objects(pod, "spec", "containers")
        for variable in objects(container, "env")
    )
