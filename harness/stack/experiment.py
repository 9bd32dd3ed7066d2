"""One arm of an experiment: what was sent, what came back, and what the proxy wrote and counted meanwhile. Or past it:
what came back, and that the proxy wrote nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from harness import ledger
from harness.clients.mesh import MeshClient
from harness.clients.proxies import Envoy
from harness.errors import Inconclusive
from harness.logs.access import AccessLine
from harness.proxy.stats import StatAbsent, delta
from harness.traffic import Answers, Request


@dataclass(frozen=True, slots=True)
class Arm:
    """Answers in the order sent, each one's access line in the same order, and the overflow counter's movement."""

    answers: Answers
    lines: tuple[AccessLine, ...]
    overflow: int


@dataclass(frozen=True, slots=True)
class Bypass:
    """A call past a proxy and one through it: their answers, and whether the proxy's log is silent about the first."""

    past: Answers
    through: Answers
    unseen: bool


def burst(client: MeshClient, envoy: Envoy, request: Request, size: int, cluster: str) -> Arm:
    """Sends a burst from inside the mesh, and gathers both witnesses of it.

    Raises:
        Inconclusive: a request has no access line, or the counter is missing or fell: what the proxy did is not known.
    """
    since, before = datetime.now(UTC), envoy.stats()
    answers = client.at_once(request, size)
    lines = envoy.lines_of(answers, since)
    try:
        overflow = delta(before, envoy.stats(), f"cluster.{cluster}.upstream_rq_pending_overflow")
    except StatAbsent as error:
        raise Inconclusive(str(error)) from error
    if overflow < 0:
        raise Inconclusive(
            f"upstream_rq_pending_overflow fell by {-overflow}: the proxy of {cluster} was restarted meanwhile"
        )
    ledger.saw(f"{envoy.gateway} counters", f"upstream_rq_pending_overflow moved by {overflow}")
    return Arm(answers, tuple(lines), overflow)


def bypass(client: MeshClient, envoy: Envoy, past: Request, through: Request) -> Bypass:
    """Sends one request past the proxy, then one through it.

    Raises:
        Inconclusive: the second has no access line, so that the silence about the first says nothing.
    """
    since = datetime.now(UTC)
    straight, marker = client.in_turn(past), client.in_turn(through)
    envoy.lines_of(marker, since)  # the log is written in order: with this line, the other's would be there
    unseen = envoy.silent_about(straight, since)
    ledger.saw(f"{envoy.gateway} access log", f"{'no' if unseen else 'a'} line of the call past it")
    return Bypass(straight, marker, unseen)
