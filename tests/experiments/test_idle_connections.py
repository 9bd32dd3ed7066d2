"""Connections that are closed while nothing is sent."""

from __future__ import annotations

from typing import Any

import pytest

from harness.errors import Inconclusive
from harness.experiments import idle_connections
from harness.experiments.ingress_or_waypoint import Arm
from harness.http_exchange import Answer, Answers, Request

COUNTER = "cluster.httproute/default/echo/rule/0.upstream_cx_idle_timeout"


class Place:
    """A place whose proxy closes a connection in each pause; `pods` are those that its counters are read of."""

    gateway, cluster_name = "waypoint", "httproute/default/echo/rule/0"

    def __init__(self, *pods: str) -> None:
        self.pods, self.paused, self.envoy = iter(pods), 0, self

    def read_stats(self) -> dict[str, dict[str, int]]:
        return {next(self.pods): {COUNTER: self.paused} if self.paused else {}}

    def send_one(self, request: Request) -> Answer:
        return Answer("rq", 200, {}, 1)

    def observe(self, answers: Answers, first: Request, since: Any) -> Arm:
        return Arm(answers, (), (), answers)


def sent(place: Place, monkeypatch: pytest.MonkeyPatch) -> idle_connections.PausedArm:
    def pause(seconds: float, *, why: str) -> None:
        place.paused += 1

    monkeypatch.setattr(idle_connections, "pause", pause)
    return idle_connections.send_with_pauses(place, Request("/"), 3, seconds=2)  # type: ignore[arg-type]  # a stand-in


def test_closed_connections_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """By how far the counter of the route's cluster moved; one that does not exist yet is at 0."""
    assert sent(Place("wp-1", "wp-1"), monkeypatch).closed_when_idle == 3


def test_replaced_replica_is_unjudged(monkeypatch: pytest.MonkeyPatch) -> None:
    """The counters of the one before went with it."""
    with pytest.raises(Inconclusive, match="wp-1 is gone, wp-2 is new"):
        sent(Place("wp-1", "wp-2"), monkeypatch)
