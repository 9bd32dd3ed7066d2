"""Waypoint and ingress are restarted as one should, side by side: `kubectl rollout restart`.

Promise: nothing is lost: the new pod serves before the old one ends, and that drains first. But now and then a whole
answer of the draining waypoint comes back and its connection is not closed (tests/recordings/rolled-unclosed): to a
client that waits for the end, as ours with new connections does, that is a loss, one on each of its two connections.
"""

from dataclasses import dataclass

import pytest

from harness.disruption import restarts
from harness.http_exchange import get
from harness.load.background_load import Flow
from harness.load.timeline_text import picture

pytestmark = [pytest.mark.extended("Resilience"), pytest.mark.needs("load", "two nodes")]
UNCLOSED = 2  # of the client with new connections, one on each of its two: docs/outages.md says how often
REQUEST = get("http://ratings:9080/ratings/0")


@dataclass(frozen=True)
class Rolled:
    """The load, and to whom ztunnel carried its callers in the mesh."""

    flow: Flow
    ways: set[str]


@pytest.fixture(scope="module")
def rolled(load, anew, kept, outside, kube, waypoint, ztunnel, moment):
    """Requests through both until the last of the old pods has gone."""
    since = moment()
    with (
        load(anew(REQUEST), kept(REQUEST), outside(get("/health"))) as flow,
        flow.event("waypoint and ingress rolled", "at most two new connections, through the waypoint"),
    ):
        restarts.restart_rolling(kube, restarts.WAYPOINT, restarts.INGRESS)
    return Rolled(flow, ztunnel.ways(since, "ratings"))


def test_rolling_waypoint_loses_nothing_kept(rolled):
    """A rollout restart of the waypoint costs two new connections at most, no kept one, and none goes past it."""
    anew, kept, _ = rolled.flow.timelines

    assert len(anew.lost) <= UNCLOSED, picture(anew)
    assert kept.lost == (), picture(kept)
    assert rolled.ways == {"waypoint"}


def test_rolling_ingress_loses_nothing(rolled):
    """A rollout restart of the ingress proxy drops no request from outside."""
    *_, outside = rolled.flow.timelines

    assert outside.lost == (), picture(outside)
