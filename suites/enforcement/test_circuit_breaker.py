"""Seconds until a circuit breaker is Accepted, active in the waypoint's Envoy, and gone after its deletion.

Manifest: manifests/enforcement/circuit_breaker.yaml    Article: none; docs/findings.md, "Accepted is not enforced"
"""

import pytest

from harness.experiments import policy_timing
from harness.waits import policy_propagation

pytestmark = [pytest.mark.extended("Enforcement time"), pytest.mark.timeout(300, func_only=True)]
POLICY = "BackendTrafficPolicy/default/timed-breaker"
CLUSTER = "httproute/default/ratings/rule/0"


@pytest.mark.parametrize("repeat", [1, 2, 3])
def test_time_to_enforced(applying, kube, waypoint, repeat, here):
    """A circuit breaker is Accepted within 5 s, and is added to and removed from the waypoint's Envoy configuration
    within 30 s each (measurement {repeat} of 3)."""
    before = waypoint.read_max_pending_requests(here(CLUSTER))

    took = policy_timing.time_policy(
        kube,
        applying,
        "enforcement/circuit_breaker.yaml",
        here(POLICY),
        lambda: policy_propagation.has_breaker(waypoint, here(CLUSTER), 77),
        lambda: policy_propagation.has_breaker(waypoint, here(CLUSTER), before),
        kind="circuit breaker",
        of="waypoint",
    )

    assert policy_timing.over_budget(took) == []
