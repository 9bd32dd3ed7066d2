"""Envoy Gateway is away, scaled to 0, and comes back.

Promise: nothing is lost: its proxies keep what they were told.
"""

import pytest

from harness.stack import disturb
from harness.traffic import get
from harness.wait import pause

pytestmark = [pytest.mark.extended("Resilience"), pytest.mark.needs("load")]


def test_proxies_serve_without_envoy_gateway(load, anew, outside, kube, waypoint, ingress_gateway):
    """Without Envoy Gateway, and while it comes back, neither waypoint nor ingress loses a request."""
    calls = anew(get("http://ratings:9080/ratings/0"), through=waypoint)
    with (
        load(calls, outside(get("/health"), through=ingress_gateway), seconds=40, promise="nothing is lost") as flow,
        flow.event("Envoy Gateway away"),
        disturb.away(kube, disturb.CONTROLLER),
    ):
        pause(5, why="proxies without Envoy Gateway")

    assert [timeline.lost for timeline in flow.timelines] == [(), ()], flow.story
