"""How long a circuit breaker takes: to Accepted, to the waypoint's active cluster, and away again.

Manifest: manifests/enforcement/circuit_breaker.yaml    Article: none; finding 2, Accepted is not effective
"""

import pytest

from harness.experiments import policy_timing

pytestmark = [pytest.mark.extended("Enforcement time"), pytest.mark.timeout(300)]
POLICY = "BackendTrafficPolicy/default/timed-breaker"
CLUSTER = "httproute/default/ratings/rule/0"


@pytest.mark.parametrize("repeat", [1, 2, 3])
def test_time_to_enforced(applying, kube, waypoint, repeat):
    """The waypoint enforces a circuit breaker, and drops it after its deletion, each within its budget."""
    before = waypoint.breaker(CLUSTER)

    took = policy_timing.time_policy(
        kube,
        applying,
        "enforcement/circuit_breaker.yaml",
        POLICY,
        lambda: waypoint.breaker(CLUSTER) == 77,
        lambda: waypoint.breaker(CLUSTER) == before,
        kind="circuit breaker",
        of="waypoint",
    )

    assert policy_timing.over_budget(took) == []
