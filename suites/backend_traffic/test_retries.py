"""Retries of failed requests, counted where they arrive.

Manifest: manifests/backend_traffic/retries.yaml    Article: none; its reason is Envoy Gateway's policies
"""

import pytest

pytestmark = pytest.mark.needs("real gateway")
POLICY = "BackendTrafficPolicy/default/retries"


@pytest.mark.feature("Retries")
def test_backend_receives_the_retries(tries, place, here):
    """At the {place}, with numRetries 2 for status 503, the backend receives a request three times if it returns
    503, and once if it returns another status."""
    requests = [place.get("/?status=503"), place.get("/?status=500"), place.get()]

    trial = tries.policy(
        place,
        "backend_traffic/retries.yaml",
        here(POLICY),
        requests,
        lambda _: "retry_policy" in place.route["route"],
    )

    assert trial.control.statuses == trial.treatment.statuses == trial.recovery.statuses == [503, 500, 200]
    assert trial.control.reached == trial.recovery.reached == [1, 1, 1]
    assert trial.treatment.reached == [3, 1, 1]
    assert trial.treatment.flags == ["URX", "-", "-"]
    assert trial.past == [[503, 503]] * 3
