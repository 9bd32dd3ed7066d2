"""Waypoint and ingress are restarted as one should, side by side: `kubectl rollout restart`.

Promise: nothing is lost: the new pod serves before the old one ends, and that drains first.
"""

import pytest

from harness.load.picture import picture
from harness.stack import disturb
from harness.traffic import get

pytestmark = [pytest.mark.extended("Resilience"), pytest.mark.needs("load")]
REQUEST = get("http://ratings:9080/ratings/0")


@pytest.fixture(scope="module")
def flow(load, anew, kept, outside, kube, waypoint):
    """Requests through both until the last of the old pods has gone."""
    with (
        load(anew(REQUEST), kept(REQUEST), outside(get("/health"))) as flow,
        flow.event("waypoint and ingress rolled", "nothing is lost"),
    ):
        disturb.rolled(kube, disturb.WAYPOINT, disturb.INGRESS)
    return flow


def test_rolling_waypoint_loses_nothing(flow):
    """A rollout restart of the waypoint drops no request of new and of kept connections."""
    anew, kept, _ = flow.timelines

    assert (anew.lost, kept.lost) == ((), ()), flow.story


def test_rolling_ingress_loses_nothing(flow):
    """A rollout restart of the ingress proxy drops no request from outside."""
    *_, outside = flow.timelines

    assert outside.lost == (), picture(outside)
