"""The waypoint's own pod is replaced: as one should, and rudely.

Promise: `kubectl rollout restart` loses nothing, for the new pod serves before the old one ends. A deleted pod of one
replica takes its traffic with it until another is ready, at most 30 s.
"""

import pytest

from harness.stack import disturb, topology
from harness.traffic import get

pytestmark = [pytest.mark.extended("Resilience"), pytest.mark.needs("load")]
REQUEST = get("http://ratings:9080/ratings/0")
OUTAGE_MS = 30_000  # 10.9 s seen
DELETED = "waypoint's pod deleted"


def test_rolling_waypoint_loses_nothing(load, anew, kept, kube, waypoint):
    """A rollout restart of the waypoint drops no request of new and of kept connections."""
    with (
        load(anew(REQUEST), kept(REQUEST), seconds=30, promise="nothing is lost") as flow,
        flow.event("waypoint rolled"),
    ):
        disturb.rolled(kube, disturb.WAYPOINT)

    assert [timeline.lost for timeline in flow.timelines] == [(), ()], flow.story


def test_deleted_waypoint_is_replaced(load, anew, kube, waypoint):
    """A deleted waypoint pod costs every call until another is ready: none goes past the waypoint meanwhile."""
    with load(anew(REQUEST), seconds=35, promise="at most 30 s") as flow, flow.event(DELETED):
        kube.delete([f"Pod/default/{waypoint.name}"])
        topology.proxy(kube, "waypoint")

    assert 0 < flow.timeline.outage_ms <= OUTAGE_MS
    assert flow.timeline.after(DELETED, settle=1).lost == (), flow.story
