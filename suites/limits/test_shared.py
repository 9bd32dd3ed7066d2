"""A limit that the routes of a Gateway share.

Manifest: manifests/limits/shared.yaml    Article: "This Ingress needs rate limiting"
"""

import pytest

from harness.http_exchange import unique_name

pytestmark = [pytest.mark.needs("real gateway"), pytest.mark.usefixtures("rate_limit_window", "rate_limit_service")]
POLICY, OTHER = "BackendTrafficPolicy/default/shared", "sharing.example"


def answered_by_the_service(answer):
    return answer.header("x-ratelimit-limit") is not None


@pytest.mark.feature("Global rate limit shared by routes")
def test_routes_share_a_limit(tries, place, here):
    """At the {place}, a shared rate limit of 3 requests counts both routes: after 2 requests on one, the second on
    the other returns 429."""
    user = unique_name("user")
    requests = [place.get(x_user_id=user)] * 2 + [place.get(host=OTHER, x_user_id=user)] * 2
    probe = place.get(host=OTHER, x_user_id=unique_name("probe"))

    trial = tries.policy(place, "limits/shared.yaml", here(POLICY), requests, answered_by_the_service, probe=probe)

    assert trial.control.statuses[:2] == trial.recovery.statuses[:2] == [200, 200]
    assert trial.treatment.statuses == [200, 200, 200, 429]
    assert trial.treatment.flags[3] == "RL"
    assert trial.treatment.reached == [1, 1, 1, 0]
