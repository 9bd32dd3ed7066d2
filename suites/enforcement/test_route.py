"""How long a route takes: to Accepted, to the waypoint's answer for its host, and away again.

Manifest: manifests/enforcement/route.yaml    Article: none; finding 2, Accepted is not effective
"""

import pytest

from harness.experiments import policy_timing
from harness.http_exchange import get

pytestmark = pytest.mark.extended("Enforcement time")
REQUEST = get("http://ratings:9080/ratings/0", host="timed.example")


@pytest.mark.parametrize("repeat", [1, 2, 3])
def test_time_to_enforced(applying, kube, waypoint, mesh_client, repeat):
    """The waypoint serves a new route, and answers 404 again after its deletion, each within its budget."""
    took = policy_timing.time_policy(
        kube,
        applying,
        "enforcement/route.yaml",
        "HTTPRoute/default/timed",
        lambda: mesh_client.get(REQUEST).status == 200,
        lambda: mesh_client.get(REQUEST).status == 404,
        kind="route",
        of="waypoint",
    )

    assert policy_timing.over_budget(took) == []
