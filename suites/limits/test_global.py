"""Limits that the rate limit service counts: by header, path, method and address, with a cost, and in shadow.

Manifest: manifests/limits/global.yaml    Article: "This Ingress needs rate limiting"
"""

import pytest

from harness.http_exchange import unique_name

pytestmark = [pytest.mark.needs("real gateway"), pytest.mark.usefixtures("rate_limit_window", "rate_limit_service")]
POLICY = "BackendTrafficPolicy/default/global"
MANIFEST = "limits/global.yaml"


@pytest.fixture
def send_with_limits(tries, place, here):
    """`send_with_limits(requests)`: the requests without and with the limits, which the rate limit service enforces."""
    probe = place.get("/by-header", x_user_id=unique_name("probe"))
    return lambda requests: tries.policy(place, MANIFEST, here(POLICY), requests, answered_by_the_service, probe=probe)


def answered_by_the_service(answer):
    return answer.header("x-ratelimit-limit") is not None


@pytest.mark.feature("Global rate limit by header and path")
def test_header_and_path_are_counted(send_with_limits, place):
    """At the {place}, a global rate limit of 2 requests per user on one path returns 429 for the user's third
    request, and 200 on another path."""
    user = unique_name("user")

    trial = send_with_limits([place.get("/by-header", x_user_id=user)] * 3 + [place.get("/elsewhere", x_user_id=user)])

    assert trial.control.statuses == trial.recovery.statuses == [200] * 4
    assert trial.treatment.statuses == [200, 200, 429, 200]
    assert (trial.treatment.flags[2], trial.treatment.details[2]) == ("RL", "request_rate_limited")
    assert trial.treatment.answers.header("x-ratelimit-remaining") == ["1", "0", "0", None]
    assert trial.treatment.reached == [1, 1, 0, 1]
    assert trial.past == [[200, 200]] * 3


@pytest.mark.feature("Global rate limit by method")
def test_method_is_counted(send_with_limits, place):
    """At the {place}, a global rate limit of 1 request with method PUT returns 429 for the second PUT, and 200 for
    a GET."""
    user = unique_name("user")
    put, read = place.get("/by-method", method="PUT", x_user_id=user), place.get("/by-method", x_user_id=user)

    trial = send_with_limits([put, put, read])

    assert trial.control.statuses == trial.recovery.statuses == [200, 200, 200]
    assert trial.treatment.statuses == [200, 429, 200]
    assert trial.treatment.flags[1] == "RL"
    assert trial.treatment.reached == [1, 0, 1]


@pytest.mark.feature("Global rate limit by client address")
def test_address_is_counted(send_with_limits, place):
    """At the {place}, a global rate limit of 1 request for a client network returns 429 for the second request from
    that network only."""
    user = unique_name("user")
    mine, others = place.get("/by-address", x_user_id=user), place.get("/of-others", x_user_id=user)

    trial = send_with_limits([mine, mine, others, others])

    assert trial.control.statuses == trial.recovery.statuses == [200] * 4
    assert trial.treatment.statuses == [200, 429, 200, 200]
    assert trial.treatment.flags[1] == "RL"
    assert trial.treatment.reached == [1, 0, 1, 1]


@pytest.mark.feature("Global rate limit with a cost")
def test_cost_is_counted(send_with_limits, place):
    """At the {place}, a global rate limit of 4 with a cost of 2 per request returns 429 for the third request."""
    trial = send_with_limits([place.get("/costly", x_user_id=unique_name("user"))] * 3)

    assert trial.control.statuses == trial.recovery.statuses == [200, 200, 200]
    assert trial.treatment.statuses == [200, 200, 429]
    assert trial.treatment.answers.header("x-ratelimit-remaining") == ["2", "0", "0"]
    assert trial.treatment.reached == [1, 1, 0]


@pytest.mark.feature("Global rate limit in shadow mode")
def test_shadow_refuses_nobody(send_with_limits, place):
    """At the {place}, a global rate limit in shadow mode returns 200 over the limit, with header x-ratelimit-limit
    in each response."""
    trial = send_with_limits([place.get("/shadow", x_user_id=unique_name("user"))] * 3)

    assert trial.treatment.statuses == [200, 200, 200]
    assert set(trial.treatment.answers.header("x-ratelimit-limit")) == {"1, 1;w=3600"}
    assert set(trial.control.answers.header("x-ratelimit-limit")) == {None}
    assert trial.treatment.flags == ["-"] * 3
    assert trial.treatment.reached == [1, 1, 1]
