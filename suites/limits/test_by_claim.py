"""A global limit for each value of a claim of the client's JSON Web Token.

Manifest: manifests/limits/by_claim.yaml    Article: "This Ingress needs rate limiting"
"""

import pytest

from harness.clients.json_web_token import sign_token
from harness.http_exchange import unique_name

pytestmark = [pytest.mark.needs("real gateway"), pytest.mark.usefixtures("rate_limit_window", "rate_limit_service")]
POLICY = "BackendTrafficPolicy/default/by-claim"


def answered_by_the_service(answer):
    return answer.header("x-ratelimit-limit") is not None


@pytest.mark.feature("Global rate limit by JWT claim")
def test_subject_is_counted(tries, place, here):
    """At the {place}, a global rate limit of 2 requests per JWT subject returns 429 for a subject's third request."""
    mine, other = unique_name("subject"), unique_name("subject")
    probe, first, second = (f"Bearer {sign_token(sub=name)}" for name in (unique_name("probe"), mine, other))
    requests = [place.get(authorization=first)] * 3 + [place.get(authorization=second, x_subject=mine)]

    trial = tries.policy(
        place,
        "limits/by_claim.yaml",
        here(POLICY),
        requests,
        answered_by_the_service,
        probe=place.get(authorization=probe),
    )

    assert trial.control.statuses == trial.recovery.statuses == [200] * 4
    assert trial.treatment.statuses == [200, 200, 429, 200]
    assert (trial.treatment.flags[2], trial.treatment.details[2]) == ("RL", "request_rate_limited")
    assert trial.treatment.answers.header("x-ratelimit-remaining") == ["1", "0", "0", "1"]
    assert trial.treatment.reached == [1, 1, 0, 1]
    assert trial.treatment.header("x-subject")[3] == other
    assert trial.past == [[200, 200]] * 3
