"""A circuit breaker is applied, edited and deleted under load that it has room for.

Manifest: manifests/resilience/policy_edited.yaml
Promise: nothing is lost: Envoy keeps the old cluster while the changed one warms (15 s).
"""

import pytest

from harness.stack import enforcement
from harness.traffic import get

pytestmark = [pytest.mark.extended("Resilience"), pytest.mark.needs("load")]
REQUEST = get("http://ratings:9080/ratings/0")
POLICY = "BackendTrafficPolicy/default/roomy-circuit-breaker"
CLUSTER = "httproute/default/ratings/rule/0"


def test_editing_a_policy_loses_nothing(load, anew, kept, kube, waypoint, applying, clock):
    """A circuit breaker applied and then edited, each until it is enforced, drops no request that it has room for."""
    sources = anew(REQUEST, through=waypoint), kept(REQUEST, through=waypoint)
    with (
        load(*sources, seconds=45, promise="nothing is lost") as flow,
        flow.event("circuit breaker applied and edited"),
        applying("resilience/policy_edited.yaml"),
    ):
        enforcement.breaker(waypoint, CLUSTER, pending=500, since=clock())
        kube.patch(POLICY, {"spec": {"circuitBreaker": {"maxPendingRequests": 600}}})
        enforcement.breaker(waypoint, CLUSTER, pending=600, since=clock())

    assert [timeline.lost for timeline in flow.timelines] == [(), ()], flow.story
