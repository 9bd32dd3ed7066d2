"""Sends a burst of requests, and collects the responses and the proxy's log lines and counters."""

from __future__ import annotations

from dataclasses import dataclass

from harness import observations, record_replay
from harness.clients.mesh import MeshClient
from harness.components import Envoy
from harness.components.envoy_pods import check_same_replicas
from harness.errors import Inconclusive
from harness.http_exchange import Answers, Request
from harness.logs.envoy_access import AccessLine
from harness.proxy.stats import StatAbsent, counter_change


@dataclass(frozen=True, slots=True)
class Arm:
    """Answers in the order sent, each one's access line in the same order, and the overflow counter's movement."""

    answers: Answers
    lines: tuple[AccessLine, ...]
    overflow: int

    @property
    def slowest_in_proxy_ms(self) -> int:
        """The longest that the proxy itself took for a response, by its log."""
        return max((line.duration_ms for line in self.lines), default=0)

    @property
    def slowest_besides_proxy_ms(self) -> float:
        """The longest that a response took besides the proxy: in the client, its machine and the connection."""
        besides = (answer.ms - line.duration_ms for answer, line in zip(self.answers.items, self.lines, strict=True))
        return max(besides, default=0.0)


def send_burst(client: MeshClient, envoy: Envoy, request: Request, size: int, cluster: str) -> Arm:
    """Sends a burst from inside the mesh, and gathers both witnesses of it.

    Raises:
        Inconclusive: a request has no access line, or the counter is missing or fell: what the proxy did is not known.
    """
    since, before = record_replay.now(), envoy.read_stats()
    answers = client.send_together(request, size)
    lines = envoy.wait_for_lines(answers, since)
    after = envoy.read_stats()
    check_same_replicas(before, after)
    name = f"cluster.{cluster}.upstream_rq_pending_overflow"
    try:
        moved = {pod: counter_change(before[pod], after[pod], name) for pod in before}
    except StatAbsent as error:
        raise Inconclusive(str(error)) from error
    fell = {pod: -by for pod, by in moved.items() if by < 0}
    if fell:
        raise Inconclusive(f"upstream_rq_pending_overflow fell by {fell}: a proxy of {cluster} was restarted meanwhile")
    overflow = sum(moved.values())
    observations.record_sighting(
        f"{envoy.gateway} counters", f"upstream_rq_pending_overflow moved by {overflow}", of=answers.ids
    )
    return Arm(answers, tuple(lines), overflow)
