"""Limits that each Envoy counts by itself.

Manifest: manifests/limits/local.yaml    Article: none; its rate limit is a global one
"""

import pytest

pytestmark = pytest.mark.needs("real gateway")
POLICY = "BackendTrafficPolicy/default/local"


@pytest.mark.feature("Local rate limit")
def test_request_over_the_local_limit_gets_429(tries, place, here):
    """At the {place}, a local rate limit of 3 requests for one user returns 429 for that user's fourth and fifth
    request, and 200 for a request without user."""
    requests = [place.get(x_user_id="john")] * 5 + [place.get()]

    trial = tries.policy(place, "limits/local.yaml", here(POLICY), requests, 429, probe=place.get(x_user_id="probe"))

    assert trial.control.statuses == trial.recovery.statuses == [200] * 6
    assert trial.treatment.statuses == [200, 200, 200, 429, 429, 200]
    assert trial.treatment.details[3:5] == ["local_rate_limited"] * 2
    assert trial.treatment.flags[3:5] == ["RL"] * 2
    assert trial.treatment.reached == [1, 1, 1, 0, 0, 1]
    assert trial.past == [[200, 200]] * 3
