"""The time that a request may take.

Manifest: manifests/backend_traffic/timeout.yaml
Article: none; its reason is Envoy Gateway's policies
"""

import pytest

pytestmark = pytest.mark.needs("real gateway")
POLICY = "BackendTrafficPolicy/default/timeout"


@pytest.mark.feature("Request timeout")
def test_slow_request_gets_504(tries, place, here):
    """At the {place}, with a BackendTrafficPolicy's requestTimeout of 300 ms, a request that the backend answers
    after 1 s returns 504 with response flag UT."""
    trial = tries.policy(place, "backend_traffic/timeout.yaml", here(POLICY), [place.get("/?delay=1s")], 504)

    assert trial.control.statuses == trial.recovery.statuses == [200]
    assert trial.treatment.statuses == [504]
    assert trial.treatment.flags == ["UT"]
    assert trial.treatment.details == ["response_timeout"]
    assert trial.treatment.reached == [1]
    assert trial.past == [[200, 200]] * 3
