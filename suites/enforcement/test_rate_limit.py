"""How long a rate limit takes: to Accepted, to the ingress's route, and away again.

Manifest: manifests/enforcement/rate_limit.yaml    Article: none; finding 2, Accepted is not effective
"""

import pytest

from harness.stack import enforcement, timing

pytestmark = pytest.mark.extended("Enforcement time")
POLICY = "BackendTrafficPolicy/default/timed-rate-limit"


@pytest.mark.parametrize("repeat", [1, 2, 3])
def test_time_to_enforced(applying, kube, ingress_gateway, limiter, over_budget, repeat):
    """A rate limit is accepted, then in force at the ingress, and gone after its removal, each in its time."""

    def limited():
        return enforcement.limited(ingress_gateway, "ingress-bookinfo")

    took = timing.once(
        kube,
        applying,
        "enforcement/rate_limit.yaml",
        POLICY,
        limited,
        lambda: not limited(),
        kind="rate limit",
        of="bookinfo-ingress",
    )

    assert took["Accepted"] <= took["rate limit applied"]
    assert over_budget(took) == []
