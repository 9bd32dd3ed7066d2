"""istiod is away, scaled to 0, and comes back.

Promise: nothing is lost: ztunnel keeps what it was told, and its certificates outlive the outage.
"""

import pytest

from harness.stack import disturb
from harness.traffic import get
from harness.wait import pause

pytestmark = [pytest.mark.extended("Resilience"), pytest.mark.needs("load")]
REQUEST = get("http://ratings:9080/ratings/0")


def test_mesh_serves_without_istiod(load, anew, kept, kube, waypoint):
    """Without istiod, and while it comes back, no request through the waypoint is lost."""
    with (
        load(
            anew(REQUEST, through=waypoint), kept(REQUEST, through=waypoint), seconds=30, promise="nothing is lost"
        ) as flow,
        flow.event("istiod away"),
        disturb.away(kube, disturb.ISTIOD),
    ):
        pause(5, why="a mesh without istiod")

    assert [timeline.lost for timeline in flow.timelines] == [(), ()], flow.story
