"""A policy and a route of the waypoint are edited under load.

Manifest: manifests/resilience/edited.yaml
Promise: nothing is lost: Envoy keeps the old cluster while the changed one warms (15 s), and a route's change needs no
new listener and no new cluster.
"""

import pytest

from harness.stack import edits, enforcement
from harness.traffic import get

pytestmark = [pytest.mark.extended("Resilience"), pytest.mark.needs("load")]
REQUEST = get("http://ratings:9080/ratings/0")
POLICY = "BackendTrafficPolicy/default/roomy-circuit-breaker"
CLUSTER = "httproute/default/ratings/rule/0"
ROUTE, APPLIED, EDITED = "route edited 10 times", "circuit breaker applied", "circuit breaker edited"


@pytest.fixture(scope="module")
def flow(load, anew, kept, kube, waypoint, applied, clock):
    """Requests while the route is edited, the circuit breaker comes into force, and is edited in its turn."""
    with load(anew(REQUEST, through=waypoint), kept(REQUEST, through=waypoint)) as flow:
        with flow.event(APPLIED, "nothing is lost"):
            enforcement.breaker(waypoint, CLUSTER, pending=500, since=clock())
        with flow.event(EDITED, "nothing is lost"):
            kube.patch(POLICY, {"spec": {"circuitBreaker": {"maxPendingRequests": 600}}})
            enforcement.breaker(waypoint, CLUSTER, pending=600, since=clock())
        with flow.event(ROUTE, "nothing is lost"):
            edits.route(kube, "ratings", times=10, every=0.5)
    return flow


def test_editing_a_route_loses_nothing(flow):
    """Ten edits of the waypoint's route in five seconds drop no request, and each connection stays as it is."""
    anew, kept = (timeline.during(ROUTE) for timeline in flow.timelines)

    assert (anew.lost, kept.lost) == ((), ()), flow.story
    assert {sample.flags for sample in (*anew.samples, *kept.samples)} == {"-"}


def test_editing_a_policy_loses_nothing(flow):
    """A circuit breaker applied and then edited, each until it is enforced, drops no request that it has room for."""
    anew, kept = flow.timelines

    assert (anew.lost, kept.lost) == ((), ()), flow.story
