"""A policy of the waypoint is applied, edited and removed under load, and a route is edited.

Manifest: manifests/resilience/edited.yaml
Promise: no request is lost: Envoy keeps the old cluster while the new one warms (15 s), and a changed route needs
neither a new listener nor a new cluster.
"""

from contextlib import ExitStack

import pytest

from harness.disruption import route_edits
from harness.http_exchange import get
from harness.waits import policy_propagation

pytestmark = [pytest.mark.extended("Resilience"), pytest.mark.needs("load")]
REQUEST = get("http://ratings:9080/ratings/0")
POLICY = "BackendTrafficPolicy/default/roomy-circuit-breaker"
CLUSTER = "httproute/default/ratings/rule/0"
ROUTE, APPLIED, EDITED = "route edited 10 times", "circuit breaker applied", "circuit breaker edited"
REMOVED = "circuit breaker removed"


@pytest.fixture(scope="module")
def background_load(load, new_connections, keepalive, kube, waypoint, applying, monotonic_clock, here):
    """Requests while a circuit breaker is applied, edited and removed, and while the route is edited."""
    with (
        load(new_connections(REQUEST, proxy=waypoint), keepalive(REQUEST, proxy=waypoint)) as background_load,
        ExitStack() as there,
    ):
        with background_load.event(APPLIED, "no request is lost"):
            there.enter_context(applying("resilience/edited.yaml"))
            policy_propagation.wait_for_circuit_breaker(waypoint, here(CLUSTER), pending=500, since=monotonic_clock())
        with background_load.event(EDITED, "no request is lost"):
            kube.patch(here(POLICY), {"spec": {"circuitBreaker": {"maxPendingRequests": 600}}})
            policy_propagation.wait_for_circuit_breaker(waypoint, here(CLUSTER), pending=600, since=monotonic_clock())
        with background_load.event(REMOVED, "no request is lost"):
            there.close()
            policy_propagation.wait_for_circuit_breaker(waypoint, here(CLUSTER), pending=None, since=monotonic_clock())
        with background_load.event(ROUTE, "no request is lost"):
            route_edits.edit_route(kube, waypoint, "ratings", times=10)
    return background_load


def test_editing_a_route_loses_nothing(background_load):
    """No request through the waypoint fails while its HTTPRoute is edited 10 times."""
    new_connections, keepalive = (timeline.during(ROUTE) for timeline in background_load.timelines)

    assert (new_connections.lost, keepalive.lost) == ((), ()), background_load.text
    assert (new_connections.flags, keepalive.flags) == ({"-"}, {"-"}), background_load.text


def test_editing_a_policy_loses_nothing(background_load):
    """No request through the waypoint fails while a circuit breaker with high limits is applied, edited and removed."""
    new_connections, keepalive = background_load.timelines

    assert (new_connections.lost, keepalive.lost) == ((), ()), background_load.text
    assert (new_connections.flags, keepalive.flags) == ({"-"}, {"-"}), background_load.text
