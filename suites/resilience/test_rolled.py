"""Waypoint and ingress are restarted as one should, side by side: `kubectl rollout restart`.

Promise: nothing is lost: the new pod serves before the old one ends, and that drains first.
"""

from dataclasses import dataclass

import pytest

from harness.load.generator import Flow
from harness.load.picture import picture
from harness.stack import disturb
from harness.traffic import get

pytestmark = [pytest.mark.extended("Resilience"), pytest.mark.needs("load", "two nodes")]
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
        flow.event("waypoint and ingress rolled", "nothing is lost"),
    ):
        disturb.rolled(kube, disturb.WAYPOINT, disturb.INGRESS)
    return Rolled(flow, ztunnel.ways(since, "ratings"))


def test_rolling_waypoint_loses_nothing(rolled):
    """A rollout restart of the waypoint drops no request of new and of kept connections, and none goes past it."""
    anew, kept, _ = rolled.flow.timelines

    assert (anew.lost, kept.lost) == ((), ()), rolled.flow.story
    assert rolled.ways == {"waypoint"}


def test_rolling_ingress_loses_nothing(rolled):
    """A rollout restart of the ingress proxy drops no request from outside."""
    *_, outside = rolled.flow.timelines

    assert outside.lost == (), picture(outside)
