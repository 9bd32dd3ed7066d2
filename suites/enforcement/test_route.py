"""Seconds until an HTTPRoute is Accepted, serves its host at the waypoint, and is gone after its deletion.

Manifest: manifests/enforcement/route.yaml    Article: none; docs/findings.md, "Accepted is not enforced"
"""

import pytest

from harness.experiments import policy_timing
from harness.experiments.ask_replicas import send_to_each_replica

pytestmark = pytest.mark.extended("Enforcement time")


@pytest.mark.parametrize("repeat", [1, 2, 3])
def test_time_to_enforced(applying, kube, waypoint, mesh_client, repeat, here):
    """A waypoint's HTTPRoute is Accepted within 5 s; requests return 200 within 10 s of its creation and 404 within
    10 s of its deletion (measurement {repeat} of 3)."""

    def answers(status):
        return send_to_each_replica(
            waypoint,
            "/ratings/0",
            lambda answer: answer.status == status,
            client=mesh_client,
            address="http://ratings:9080/ratings/0",
            inside=mesh_client,
            port=9080,
            host="timed.example",
        )

    took = policy_timing.time_policy(
        kube,
        applying,
        "enforcement/route.yaml",
        here("HTTPRoute/default/timed"),
        lambda: answers(200),
        lambda: answers(404),
        kind="route",
        of="waypoint",
    )

    assert policy_timing.over_budget(took) == []
