"""Seconds until a ClientTrafficPolicy is Accepted, visible in ingress responses, and gone after its deletion.

Manifest: manifests/enforcement/client_headers.yaml    Article: none; docs/findings.md, "Accepted is not enforced"
"""

import pytest

from harness.experiments import policy_timing
from harness.http_exchange import get

pytestmark = pytest.mark.extended("Enforcement time")
POLICY = "ClientTrafficPolicy/default/timed-headers"
HEADER = "x-envoy-upstream-service-time"


@pytest.mark.parametrize("repeat", [1, 2, 3])
def test_time_to_enforced(applying, kube, ingress, repeat):
    """A ClientTrafficPolicy is Accepted, changes ingress responses and stops doing so, each within its time budget."""

    def shown():
        answer = ingress.send(get("/productpage"))
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
