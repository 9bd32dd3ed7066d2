"""Sends requests through the ingress, and counts how often each passed the waypoint."""

from __future__ import annotations

from dataclasses import dataclass

from harness import observations, record_replay, timeouts
from harness.experiments.ingress_or_waypoint import Arm, Place
from harness.http_exchange import Request
from harness.wait import pause


@dataclass(frozen=True, slots=True)
class Traversal:
    """What the ingress and the backends saw, and how many lines the waypoint's log has of each request."""

    arm: Arm
    at_waypoint: list[int]


def send_through_ingress(
    ingress: Place, waypoint: Place, request: Request, times: int, *, settle: bool = False
) -> Traversal:
    """Sends the request to the ingress, then one to the waypoint: with that one's line there, its log has all before
    it. `settle`: after timeouts.SILENCE, where nothing shows that what was applied has had its effect.

    Raises:
        Inconclusive: a witness is missing.
    """
    if settle:
        pause(timeouts.SILENCE, why="what was applied has time to take effect")
    since = record_replay.now()
    arm = ingress.send([request] * times)
    waypoint.send([waypoint.get()])
    lines = [line.user_agent for line in waypoint.envoy.read_access_log(since).lines]
    seen = [lines.count(f"e2e/{id_}") for id_ in arm.answers.ids]
    observations.record_sighting(
        "waypoint access log", f"lines of {sum(map(bool, seen))} of {times}", of=arm.answers.ids
    )
    return Traversal(arm, seen)
