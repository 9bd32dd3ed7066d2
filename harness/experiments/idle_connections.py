"""Sends requests with pauses, and finds which idle backend connections Envoy closes."""

from __future__ import annotations

from dataclasses import dataclass

from harness import observations, record_replay
from harness.components.envoy_pods import check_same_replicas
from harness.experiments.ingress_or_waypoint import Arm, Place
from harness.http_exchange import Answer, Answers, Request
from harness.wait import pause


@dataclass(frozen=True, slots=True)
class PausedArm(Arm):
    """An arm with a pause after each request. `closed_when_idle`: how many connections to the backends Envoy closed
    because no request used them."""

    closed_when_idle: int = 0


def send_with_pauses(place: Place, request: Request, times: int, *, seconds: float) -> PausedArm:
    """Sends the request that many times, with a pause after each.

    Raises:
        Inconclusive: a witness is missing, or a replica of the proxy came or went.
    """
    since, before = record_replay.now(), _closed(place)
    answers = Answers(tuple(_ask_and_pause(place, request, seconds) for _ in range(times)))
    after = _closed(place)
    check_same_replicas(before, after)
    closed = sum(after.values()) - sum(before.values())
    observations.record_sighting(f"{place.gateway} counters", f"{closed} idle connections closed", of=answers.ids)
    arm = place.observe(answers, request, since)
    return PausedArm(arm.answers, arm.lines, arm.received, arm.past, closed_when_idle=closed)


def _closed(place: Place) -> dict[str, int]:
    """By pod; a cluster to which nothing was sent yet may have no counters."""
    name = f"cluster.{place.cluster_name}.upstream_cx_idle_timeout"
    return {pod: counters.get(name, 0) for pod, counters in place.envoy.read_stats().items()}


def _ask_and_pause(place: Place, request: Request, seconds: float) -> Answer:
    answer = place.send_one(request)
    pause(seconds, why="connections to the backends are idle")
    return answer
