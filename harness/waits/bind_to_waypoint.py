"""Binds a Service to a waypoint, and waits until requests pass through it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from harness import record_replay, timeouts
from harness.clients.mesh import MeshClient
from harness.components import Envoy
from harness.errors import Inconclusive
from harness.http_exchange import Answer, Answers, get
from harness.kube import ApiUnavailable, Kube
from harness.objects.waypoint_labels import USE_WAYPOINT, WAYPOINT_BOUND
from harness.undo.temporary_changes import Manifests
from harness.wait import until
from harness.waits import gateways
from harness.waits.status import wait_for_condition


def bind_service(kube: Kube, service: str, waypoint: str) -> None:
    """Labels a Service that the caller made with its waypoint and waits for istiod's word. The Gateway must be
    programmed before: bound to one that is not ready, calls go straight to the pods (docs/findings.md)."""
    name = f"Service/{kube.namespace}/{service}"
    kube.patch(name, {"metadata": {"labels": {USE_WAYPOINT: waypoint}}})
    wait_for_condition(kube, name, WAYPOINT_BOUND)


def bind_forms(kube: Kube, forms: Sequence[str]) -> None:
    """Binds Service `ratings-<form>` to Gateway `waypoint-<form>` for each form, once that Gateway is programmed."""
    for form in forms:
        gateways.wait_for_gateway(kube, f"waypoint-{form}", f"ratings-{form}")
        bind_service(kube, f"ratings-{form}", f"waypoint-{form}")


@contextmanager
def while_service_bound(manifests: Manifests, service: str, waypoint: str) -> Iterator[None]:
    """A Service of the stack bound likewise for the block; afterwards it has the waypoint, or none, that it had before:
    in an existing cluster it may be someone else's."""
    name = f"Service/{manifests.kube.namespace}/{service}"
    with manifests.while_patched(name, {"metadata": {"labels": {USE_WAYPOINT: waypoint}}}):
        wait_for_condition(manifests.kube, name, WAYPOINT_BOUND)
        yield


def wait_for_waypoint_traffic(client: MeshClient, envoy: Envoy, url: str) -> Answer:
    """Waits until a call from the mesh passes the waypoint: its answer is 200 and the waypoint's log has it."""

    sent: list[tuple[datetime, Answers]] = []

    def look() -> tuple[Answer, bool]:
        # Envoy flushes its log every second or so: the line of an earlier probe counts as well.
        sent.append((record_replay.now(), client.send_in_turn(get(url))))
        has_lines = any(not envoy.has_no_line_of(answers, since) for since, answers in sent[-3:])
        return sent[-1][1][0], has_lines

    answer, _ = until(
        look,
        lambda seen: seen[0].status == 200 and seen[1],
        what=f"{url} answers 200 through waypoint {envoy.gateway}",
        within=timeouts.XDS_PROPAGATION,
        transient=(ApiUnavailable, Inconclusive),
        show=lambda seen: f"{seen[0].status or seen[0].error}, waypoint's log {'has' if seen[1] else 'lacks'} it",
    )
    return answer
