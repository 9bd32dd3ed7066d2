"""The client's address in a header of a proxy in front, and a limit on it.

Manifest: manifests/client_traffic/custom_header.yaml    Article: none; client addresses are among its reasons
"""

import pytest

from harness.http_exchange import unique_name

pytestmark = [pytest.mark.needs("real gateway"), pytest.mark.usefixtures("rate_limit_window", "rate_limit_service")]
POLICY = "ClientTrafficPolicy/default/custom-header"
FIRST, SECOND = "203.0.113.7", "198.51.100.7"


@pytest.mark.feature("Client address from a custom header")
def test_address_of_the_header_counts(tries, place, here):
    """At the {place}, with customHeader as client IP detection, a rate limit per client address uses the header's
    address, and requests without the header return 403."""
    user, probe = unique_name("user"), unique_name("probe")
    first = place.get(x_client_address=FIRST, x_user_id=user)
    second = place.get(x_client_address=SECOND, x_user_id=user)
    requests = [first, first, first, second, place.get(x_user_id=user)]

    trial = tries.configured(
        place,
        "client_traffic/custom_header.yaml",
        here(POLICY),
        lambda: place.send(requests),
        lambda: in_force(place, probe),
        lambda: (
            place.send_one(place.get(x_user_id=probe)).header("x-ratelimit-limit") is None
            and place.send_one(place.get(x_user_id=probe)).status == 200
        ),
    )

    assert trial.control.statuses == trial.recovery.statuses == [200] * 5
    assert trial.treatment.statuses == [200, 200, 429, 200, 403]
    assert [line.client_ip for line in trial.treatment.lines[:4]] == [FIRST, FIRST, FIRST, SECOND]
    assert FIRST not in {line.client_ip for line in trial.control.lines}
    assert trial.treatment.flags[2] == "RL"
    assert trial.treatment.details[4] == "rejecting_because_detection_failed"
    assert trial.treatment.reached == [1, 1, 0, 1, 0]
    assert set(trial.treatment.header("x-forwarded-for")) == {None}
    assert None not in trial.control.header("x-forwarded-for")
    assert trial.past == [[200, 200]] * 3


def in_force(place, probe):
    """Whether both objects are: the limit's headers, and the refusal without an address."""
    limited = place.send_one(place.get(x_client_address=SECOND, x_user_id=probe)).header("x-ratelimit-limit")
    return limited is not None and place.send_one(place.get(x_user_id=probe)).status == 403
