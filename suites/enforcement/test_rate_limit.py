"""Seconds until a rate limit is Accepted, active in the ingress's route, and gone after its deletion.

Manifest: manifests/enforcement/rate_limit.yaml    Article: none; docs/findings.md, "Accepted is not enforced"
"""

import pytest

from harness.experiments import policy_timing
from harness.waits import policy_propagation

pytestmark = pytest.mark.extended("Enforcement time")
POLICY = "BackendTrafficPolicy/default/timed-rate-limit"


@pytest.mark.parametrize("repeat", [1, 2, 3])
def test_time_to_enforced(applying, kube, ingress_gateway, rate_limit_service, repeat, here):
    """A rate limit policy is Accepted within 5 s, and is added to and removed from the ingress's Envoy
    configuration within 10 s each (measurement {repeat} of 3)."""

    def limited():
        return policy_propagation.is_rate_limited(ingress_gateway, "ingress-bookinfo")

    took = policy_timing.time_policy(
        kube,
        applying,
        "enforcement/rate_limit.yaml",
        here(POLICY),
        limited,
        lambda: policy_propagation.none_of(limited()),
        kind="rate limit",
        of="bookinfo-ingress",
    )

    assert policy_timing.over_budget(took) == []
