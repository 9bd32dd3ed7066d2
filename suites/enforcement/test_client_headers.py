"""How long a ClientTrafficPolicy takes: to Accepted, to the ingress's answers, and away again.

Manifest: manifests/enforcement/client_headers.yaml    Article: none; finding 2, Accepted is not effective
"""

import pytest

from harness.experiments import policy_timing
from harness.http_exchange import get

pytestmark = pytest.mark.extended("Enforcement time")
POLICY = "ClientTrafficPolicy/default/timed-headers"
HEADER = "x-envoy-upstream-service-time"


@pytest.mark.parametrize("repeat", [1, 2, 3])
def test_time_to_enforced(applying, kube, ingress, repeat):
    """The ingress applies a ClientTrafficPolicy, and drops it after its deletion, each within its budget."""

    def shown():
        answer = ingress.get(get("/productpage"))
        return answer.status, answer.header(HEADER) is not None

    took = policy_timing.time_policy(
        kube,
        applying,
        "enforcement/client_headers.yaml",
        POLICY,
        lambda: shown() == (200, True),
        lambda: shown() == (200, False),
        kind="client headers",
        of="bookinfo-ingress",
    )

    assert policy_timing.over_budget(took) == []
