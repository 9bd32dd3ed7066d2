"""Cause of a failure: connections that ztunnel handled differently from what the pods' objects require. Pure.

An access line of ztunnel has the workloads of both ends, the identity that was proven, and the address that was dialled
(tests/recordings/logs/ztunnel.log).
"""

from __future__ import annotations

import re

from harness.causes.state import Cause, ClusterState, FailureFacts, labels, name_parts
from harness.causes.wrong_paths import waypoint_of
from harness.causes.ztunnel_rejections import MODE
from harness.logs.ztunnel import Endpoint
from harness.objects.address_with_port import split_address
from harness.objects.unstructured import Json, text
from harness.objects.workloads import OWNING_GATEWAY

HBONE_PORT = "15008"
_ACCOUNT = re.compile(r"/ns/([^/]+)/sa/([^/]+)$")


def failed(state: ClusterState, failure: FailureFacts) -> list[Cause]:
    """Connections that ended in an error which is no policy's, where the failure is about it."""
    lines = [line for line in state.connections if line.error and not line.is_policy_rejection]
    lost = any(call.status is None or call.status >= 500 for call in failure.failed_calls)
    about = [line for line in lines if lost or (line.error and line.error in failure.text)]
    return [
        Cause(f"ztunnel reports an error of the connection from {_end(line.src)} to {_end(line.dst)}: {line.error}")
        for line in about[:1]
    ]


def wrong_identity(state: ClusterState, _: FailureFacts) -> list[Cause]:
    """An end whose identity is not that of its pod's service account."""
    found = []
    for line in state.connections:
        for end in (line.src, line.dst):
            pod, identity = _pod(state, end), _ACCOUNT.search(end.identity or "")
            account = text(pod, "spec", "serviceAccountName") or "default" if pod is not None else ""
            if pod is not None and identity and identity[2] != account:
                sentence = f"{_end(end)} has the identity {end.identity}, and its service account is {account}"
                found.append(Cause(sentence[0].upper() + sentence[1:], ("Pod/" + "/".join(name_parts(pod)),)))
    return found[:1]


def wrong_port(state: ClusterState, _: FailureFacts) -> list[Cause]:
    """HBONE connections to another port than ztunnel's."""
    lines = [line for line in state.connections if line.dst.hbone_addr and _port(line.dst.addr) != HBONE_PORT]
    return [
        Cause(f"ztunnel carried HBONE from {_end(line.src)} to {line.dst.addr}, not to port {HBONE_PORT}")
        for line in lines[:1]
    ]


def plaintext(state: ClusterState, _: FailureFacts) -> list[Cause]:
    """Connections without HBONE between two pods that are in the mesh by all that their objects say."""
    lines = [line for line in state.connections if line.is_ok and not line.is_hbone and line.direction == "outbound"]
    for line in lines:
        ends = _pod(state, line.src), _pod(state, line.dst)
        if all(pod is not None and _enrolled(state, pod) for pod in ends):
            sentence = (
                f"ztunnel carried the connection from {_end(line.src)} to {_end(line.dst)} at "
                f"{line.dst.addr} as plain TCP, though both pods are in the mesh"
            )
            return [Cause(sentence)]
    return []


def past_the_waypoint(state: ClusterState, _: FailureFacts) -> list[Cause]:
    """Connections to a Service by its name that ztunnel did not send to the Service's waypoint."""
    for line in state.connections:
        service = next(
            (one for one in state.objects_of("Service") if (line.dst.service or "").startswith(_host(one))), None
        )
        waypoint = waypoint_of(state, service) if service is not None else ""
        pod = _pod(state, line.dst)
        if line.direction != "outbound" or not line.is_ok or not waypoint or pod is None or service is None:
            continue
        if labels(pod).get(OWNING_GATEWAY) is None:
            what = f"ztunnel carried a connection from {_end(line.src)} to {_end(line.dst)}"
            sentence = f"{what}, past Gateway {waypoint}, the waypoint of Service {'/'.join(name_parts(service))}"
            return [Cause(sentence)]
    return []


def unknown_workload(state: ClusterState, failure: FailureFacts) -> list[Cause]:
    """Ends that no pod has the name of, and of which the harness deleted none."""
    if "Pod" not in state.objects or "Service" not in state.objects:
        return []
    namespaces = {name_parts(pod)[0] for pod in state.objects_of("Pod")}
    for line in state.connections:
        for end in (line.src, line.dst):
            named_so = end.workload and end.workload in failure.text and end.namespace in namespaces
            gone = f"Pod/{end.namespace}/{end.workload}" in state.removed
            if named_so and not gone and _pod(state, end) is None:
                return [Cause(f"ztunnel's log names workload {end.namespace}/{end.workload}, and there is no such pod")]
    return []


def _host(service: Json) -> str:
    """How a Service's host name begins: the cluster's domain follows."""
    namespace, name = name_parts(service)
    return f"{name}.{namespace}.svc."


def _end(end: Endpoint) -> str:
    return f"pod {end.namespace or '?'}/{end.workload}" if end.workload else str(end.addr)


def _pod(state: ClusterState, end: Endpoint) -> Json | None:
    return state.find("Pod", end.namespace or "", end.workload) if end.workload else None


def _enrolled(state: ClusterState, pod: Json) -> bool:
    mode = labels(pod).get(MODE)
    namespace = state.find("Namespace", "", name_parts(pod)[0])
    return mode == "ambient" or (mode is None and namespace is not None and labels(namespace).get(MODE) == "ambient")


def _port(address: str) -> str:
    try:
        return split_address(address)[1]
    except ValueError:
        return ""
