"""Circuit breaker, at both places (suites/circuit_breaker has the article's own, in depth).

Manifest: manifests/backend_traffic/breaker.yaml    Article: "Set Up Circuit Breaker"
"""

import pytest

pytestmark = [pytest.mark.needs("real gateway"), pytest.mark.timeout(300, func_only=True)]
POLICY = "BackendTrafficPolicy/default/breaker"


@pytest.mark.feature("Circuit breaker")
def test_request_without_room_is_rejected(tries, place, here):
    """At the {place}, a circuit breaker that allows no pending requests returns 503 with response flag UO, and no
    request reaches the backend."""
    trial = tries.policy(place, "backend_traffic/breaker.yaml", here(POLICY), [place.get()] * 3, 503)

    assert trial.control.statuses == trial.recovery.statuses == [200, 200, 200]
    assert trial.treatment.statuses == [503, 503, 503]
    assert set(trial.treatment.flags) == {"UO"}
    assert set(trial.treatment.details) == {"upstream_reset_before_response_started{overflow}"}
    assert trial.treatment.reached == [0, 0, 0]
    assert trial.past == [[200, 200]] * 3
