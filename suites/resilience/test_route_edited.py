"""A route is edited under load.

Promise: nothing is lost: a route's change needs no new listener and no new cluster.
"""

import pytest

from harness.stack import disturb
from harness.traffic import get

pytestmark = [pytest.mark.extended("Resilience"), pytest.mark.needs("load")]
REQUEST = get("http://ratings:9080/ratings/0")


def test_editing_a_route_loses_nothing(load, anew, kept, kube, waypoint):
    """Ten edits of the waypoint's route in five seconds drop no request, and each connection stays as it is."""
    with (
        load(
            anew(REQUEST, through=waypoint), kept(REQUEST, through=waypoint), seconds=15, promise="nothing is lost"
        ) as flow,
        flow.event("route edited 10 times"),
    ):
        disturb.edited(kube, "ratings", times=10, every=0.5)

    assert [timeline.lost for timeline in flow.timelines] == [(), ()], flow.story
    assert {sample.flags for timeline in flow.timelines for sample in timeline.samples} == {"-"}
