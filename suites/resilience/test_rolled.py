"""The waypoint and the ingress proxy are restarted together by `kubectl rollout restart`.

Promise: no request is lost: the new pod serves before the old one ends, and the old one drains first. Occasionally the
draining waypoint sends a complete response without closing the connection (tests/recordings/rolled-unclosed). For a
client that waits for the close, as the load generator's new connections do, that is a lost request: at most one on each
of its two connections.
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
    """The load, and where ztunnel sent its connections in the mesh."""

    flow: Flow
    ways: set[str]


@pytest.fixture(scope="module")
def rolled(load, anew, kept, outside, kube, waypoint, ztunnel, moment):
    """Requests through both until the last old pod is gone."""
    since = moment()
    with (
        load(anew(REQUEST), kept(REQUEST), outside(get("/health"))) as flow,
        flow.event("waypoint and ingress rolled", "at most two new connections, through the waypoint"),
    ):
        restarts.restart_rolling(kube, restarts.WAYPOINT, restarts.INGRESS)
    return Rolled(flow, ztunnel.ways(since, "ratings"))


def test_rolling_waypoint_loses_nothing_kept(rolled):
    """A rolling restart of the waypoint fails at most 2 new connections, no keep-alive one, and none bypasses it."""
    anew, kept, _ = rolled.flow.timelines

    assert len(anew.lost) <= UNCLOSED, picture(anew)
    assert kept.lost == (), picture(kept)
    assert rolled.ways == {"waypoint"}


def test_rolling_ingress_loses_nothing(rolled):
    """A rolling restart of the ingress proxy fails no request from outside the mesh."""
    *_, outside = rolled.flow.timelines

    assert outside.lost == (), picture(outside)
