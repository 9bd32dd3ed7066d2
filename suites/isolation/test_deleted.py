"""A waypoint that is deleted while a Service is bound to it: calls go past it, unprotected.

Manifest: manifests/isolation/deleted.yaml    Article: none (stack-facts 8, 10)
"""

import pytest

from harness.stack import topology
from harness.stack.probing import reached
from harness.traffic import get

pytestmark = pytest.mark.extended("Waypoint deleted")
REQUEST = get("http://ratings-orphan:9080/ratings/0")


@pytest.fixture(scope="module")
def orphaned(applied, kube, proxy_of, mesh_client, refusal_of):
    """The Service bound and called through its waypoint, then the Gateway deleted."""
    topology.gateway(kube, "waypoint-orphan", "ratings-orphan")
    topology.bind(kube, "ratings-orphan", "waypoint-orphan")
    topology.passes(mesh_client, proxy_of("waypoint-orphan"), REQUEST.url)
    kube.delete(["Gateway/default/waypoint-orphan"])
    return refusal_of("Service/default/ratings-orphan", "istio.io/WaypointBound")


def test_istiod_says_that_it_is_not_ready(orphaned):
    """istiod takes its word back: the waypoint is not ready."""
    assert orphaned.reason == "WaypointIsNotReady"


def test_calls_go_past_where_it_was(orphaned, mesh_client):
    """Calls are answered all the same, straight by the pods: every policy of the waypoint is gone with it."""
    reached(mesh_client, REQUEST, status=200)

    answers = mesh_client.in_turn(REQUEST, 5)

    assert answers.statuses == [200] * 5
