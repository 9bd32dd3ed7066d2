"""istiod and Envoy Gateway are scaled to 0 together, and scaled up again.

Promise: no request is lost: ztunnel and the proxies keep their configuration, and certificates outlive the outage.
"""

import pytest

from harness.disruption import restarts
from harness.http_exchange import get
from harness.load.timeline_text import timeline_as_text
from harness.wait import pause

pytestmark = [pytest.mark.extended("Resilience"), pytest.mark.needs("load", "disruptive")]
REQUEST = get("http://ratings:9080/ratings/0")


@pytest.fixture(scope="module")
def background_load(load, new_connections, keepalive, ingress_load, manifests, waypoint, ingress_gateway):
    """Requests through the waypoint and the ingress while istiod and Envoy Gateway are scaled to 0."""
    within = new_connections(REQUEST, proxy=waypoint), keepalive(REQUEST, proxy=waypoint)
    with (
        load(*within, ingress_load(get("/health"), proxy=ingress_gateway)) as background_load,
        background_load.event("istiod and Envoy Gateway away", "no request is lost"),
        restarts.while_scaled_to_zero(manifests, restarts.ISTIOD, restarts.CONTROLLER),
    ):
        pause(5, why="a mesh without control planes")
    return background_load


def test_mesh_serves_without_control_planes(background_load):
    """No request through the waypoint fails while istiod and Envoy Gateway are scaled to 0 and back."""
    new_connections, keepalive, _ = background_load.timelines

    assert (new_connections.lost, keepalive.lost) == ((), ()), background_load.text
    assert (new_connections.flags, keepalive.flags) == ({"-"}, {"-"}), background_load.text


def test_ingress_serves_without_control_planes(background_load):
    """No request through the ingress fails while istiod and Envoy Gateway are scaled to 0 and back."""
    *_, ingress_load = background_load.timelines

    assert ingress_load.lost == (), timeline_as_text(ingress_load)
    assert ingress_load.flags == {"-"}, timeline_as_text(ingress_load)
