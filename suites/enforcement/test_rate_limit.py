"""How long a rate limit takes: to Accepted, to the ingress's route, and away again.

Manifest: manifests/enforcement/rate_limit.yaml    Article: none; finding 2, Accepted is not effective
"""

import pytest

from harness.experiments import policy_timing
from harness.waits import policy_propagation

pytestmark = pytest.mark.extended("Enforcement time")
POLICY = "BackendTrafficPolicy/default/timed-rate-limit"


@pytest.mark.parametrize("repeat", [1, 2, 3])
def test_time_to_enforced(applying, kube, ingress_gateway, limiter, repeat):
    """The ingress enforces a rate limit, and drops it after its deletion, each within its budget."""

    def limited():
        return policy_propagation.is_rate_limited(ingress_gateway, "ingress-bookinfo")

    took = policy_timing.time_policy(
        kube,
        applying,
        "enforcement/rate_limit.yaml",
        POLICY,
        limited,
        lambda: not limited(),
        kind="rate limit",
        of="bookinfo-ingress",
    )

    assert policy_timing.over_budget(took) == []
