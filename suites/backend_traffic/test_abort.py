"""Fault injection: aborted and delayed requests.

Manifest: manifests/backend_traffic/abort.yaml (delay.yaml)
Article: none; its reason is Envoy Gateway's policies
"""

import pytest

pytestmark = pytest.mark.needs("real gateway")


@pytest.mark.feature("Fault injection, abort")
def test_aborted_request_does_not_reach_the_backend(tries, place, here):
    """At the {place}, a BackendTrafficPolicy with fault injection returns 418 with response flag FI, and no request
    reaches the backend."""
    policy = here("BackendTrafficPolicy/default/abort")

    trial = tries.policy(place, "backend_traffic/abort.yaml", policy, [place.get()] * 2, 418)

    assert trial.control.statuses == trial.recovery.statuses == [200, 200]
    assert trial.treatment.statuses == [418, 418]
    assert set(trial.treatment.flags) == {"FI"}
    assert set(trial.treatment.details) == {"fault_filter_abort"}
    assert trial.treatment.reached == [0, 0]
    assert trial.past == [[200, 200]] * 3


@pytest.mark.feature("Fault injection, delay")
def test_delayed_request_is_late(tries, place, here):
    """At the {place}, a BackendTrafficPolicy with a fault delay of 700 ms delays each request by at least 700 ms;
    each returns 200 with response flag DI."""
    policy = here("BackendTrafficPolicy/default/delay")

    trial = tries.policy(
        place, "backend_traffic/delay.yaml", policy, [place.get()] * 2, lambda answer: answer.ms >= 700
    )

    assert trial.treatment.statuses == [200, 200]
    assert min(answer.ms for answer in trial.treatment.answers) >= 700
    assert (set(trial.control.flags), set(trial.treatment.flags), set(trial.recovery.flags)) == ({"-"}, {"DI"}, {"-"})
    assert trial.treatment.reached == [1, 1]
