"""istiod and Envoy Gateway are scaled to 0 together, and scaled up again.

Promise: no request is lost: ztunnel and the proxies keep their configuration, and certificates outlive the outage.
"""

import pytest

from harness.disruption import restarts
from harness.http_exchange import get
from harness.load.timeline_text import picture
from harness.wait import pause

pytestmark = [pytest.mark.extended("Resilience"), pytest.mark.needs("load", "disruptive")]
REQUEST = get("http://ratings:9080/ratings/0")


@pytest.fixture(scope="module")
def flow(load, anew, kept, outside, manifests, waypoint, ingress_gateway):
    """Requests through the waypoint and the ingress while istiod and Envoy Gateway are scaled to 0."""
    within = anew(REQUEST, through=waypoint), kept(REQUEST, through=waypoint)
    with (
        load(*within, outside(get("/health"), through=ingress_gateway)) as flow,
        flow.event("istiod and Envoy Gateway away", "no request is lost"),
        restarts.while_scaled_to_zero(manifests, restarts.ISTIOD, restarts.CONTROLLER),
    ):
        pause(5, why="a mesh without control planes")
    return flow


def test_mesh_serves_without_control_planes(flow):
    """No request through the waypoint fails while istiod and Envoy Gateway are scaled to 0 and back."""
    anew, kept, _ = flow.timelines

    assert (anew.lost, kept.lost) == ((), ()), flow.story
    assert (anew.flags, kept.flags) == ({"-"}, {"-"}), flow.story


def test_ingress_serves_without_control_planes(flow):
    """No request through the ingress fails while istiod and Envoy Gateway are scaled to 0 and back."""
    *_, outside = flow.timelines

    assert outside.lost == (), picture(outside)
    assert outside.flags == {"-"}, picture(outside)
