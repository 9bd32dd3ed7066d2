"""The time that a request may go without any data in either direction.

Manifest: manifests/client_traffic/idle.yaml    Article: none; ClientTrafficPolicy is among its reasons
"""

import pytest

pytestmark = pytest.mark.needs("real gateway")
POLICY = "ClientTrafficPolicy/default/idle"


@pytest.mark.feature("Stream idle timeout")
def test_idle_request_gets_504(tries, place, here):
    """At the {place}, with a ClientTrafficPolicy's streamIdleTimeout of 1 s, a request that the backend answers
    after 3 s returns 504 with response flag SI."""
    trial = tries.policy(place, "client_traffic/idle.yaml", here(POLICY), [place.get("/?delay=3s"), place.get()], 504)

    assert trial.control.statuses == trial.recovery.statuses == [200, 200]
    assert trial.treatment.statuses == [504, 200]
    assert trial.treatment.flags == ["SI", "-"]
    assert trial.treatment.details == ["stream_idle_timeout", "via_upstream"]
    assert trial.treatment.reached == [1, 1]
    assert trial.past == [[200, 200]] * 3
