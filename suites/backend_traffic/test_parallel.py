"""Requests in parallel to one backend.

Manifest: manifests/backend_traffic/parallel.yaml    Article: "Set Up Circuit Breaker"
"""

import pytest

pytestmark = [pytest.mark.needs("real gateway"), pytest.mark.timeout(300, func_only=True)]
POLICY = "BackendTrafficPolicy/default/parallel"
SLOW = "/?delay=3s"  # longer than it takes to send all of them


@pytest.mark.feature("Requests in parallel")
def test_second_request_at_a_time_is_rejected(tries, place, here):
    """At the {place}, with maxParallelRequests 1, one of five concurrent requests returns 200, and four return 503
    with response flag UO."""
    trial = tries.configured(
        place,
        "backend_traffic/parallel.yaml",
        here(POLICY),
        lambda: place.send([place.get(SLOW)] * 5, at_once=True),
        lambda: "'max_requests'" in str(place.cluster),
    )

    assert trial.control.statuses == trial.recovery.statuses == [200] * 5
    assert sorted(trial.treatment.statuses) == [200, 503, 503, 503, 503]
    assert sorted(trial.treatment.flags) == ["-", "UO", "UO", "UO", "UO"]
    assert set(trial.treatment.details) == {"via_upstream", "upstream_reset_before_response_started{overflow}"}
    assert sorted(trial.treatment.reached) == [0, 0, 0, 0, 1]
    assert trial.past == [[200, 200]] * 3
