"""How long a circuit breaker takes: to Accepted, to the waypoint's active cluster, and away again.

Manifest: manifests/enforcement/circuit_breaker.yaml    Article: none; finding 2, Accepted is not effective
"""

import pytest

from harness.stack import timing

pytestmark = [pytest.mark.extended("Enforcement time"), pytest.mark.timeout(300)]
POLICY = "BackendTrafficPolicy/default/timed-breaker"
CLUSTER = "httproute/default/ratings/rule/0"


@pytest.mark.parametrize("repeat", [1, 2, 3])
def test_time_to_enforced(applying, kube, waypoint, over_budget, repeat):
    """A breaker is accepted, then in force at the waypoint, and gone after its removal, each in its time."""
    before = waypoint.breaker(CLUSTER)

    took = timing.once(
        kube,
        applying,
        "enforcement/circuit_breaker.yaml",
        POLICY,
        lambda: waypoint.breaker(CLUSTER) == 77,
        lambda: waypoint.breaker(CLUSTER) == before,
        kind="circuit breaker",
        of="waypoint",
    )

    assert took["Accepted"] <= took["circuit breaker applied"]
    assert over_budget(took) == []
