"""Seconds until a ClientTrafficPolicy is Accepted, visible in ingress responses, and gone after its deletion.

Manifest: manifests/enforcement/client_headers.yaml    Article: none; docs/findings.md, "Accepted is not enforced"
"""

import pytest

from harness.experiments import policy_timing
from harness.experiments.ask_replicas import send_to_each_replica

pytestmark = pytest.mark.extended("Enforcement time")
POLICY = "ClientTrafficPolicy/default/timed-headers"
HEADER = "x-envoy-upstream-service-time"


@pytest.mark.parametrize("repeat", [1, 2, 3])
def test_time_to_enforced(applying, kube, ingress, ingress_gateway, mesh_client, repeat, here):
    """A ClientTrafficPolicy is Accepted within 5 s, and its header appears in and disappears from ingress responses
    within 10 s each (measurement {repeat} of 3)."""

    def shown(there):
        return send_to_each_replica(
            ingress_gateway,
            "/productpage",
            lambda answer: (answer.status, answer.header(HEADER) is not None) == (200, there),
            client=ingress,
            address="/productpage",
            inside=mesh_client,
            port=10080,
        )

    took = policy_timing.time_policy(
        kube,
        applying,
        "enforcement/client_headers.yaml",
        here(POLICY),
        lambda: shown(True),
        lambda: shown(False),
        kind="client headers",
        of="bookinfo-ingress",
    )

    assert policy_timing.over_budget(took) == []
