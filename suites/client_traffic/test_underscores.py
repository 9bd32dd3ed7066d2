"""Headers with underscores in their names.

Manifest: manifests/client_traffic/underscores.yaml    Article: none; ClientTrafficPolicy is among its reasons
"""

from dataclasses import replace

import pytest

pytestmark = pytest.mark.needs("real gateway")
POLICY, COUNTER = "ClientTrafficPolicy/default/underscores", ".requests_rejected_with_underscores_in_headers"


@pytest.mark.feature("Headers with underscores")
def test_underscores_pass_if_allowed(tries, place, here):
    """At the {place}, a request with an underscore in a header name returns 400, and 200 with a
    ClientTrafficPolicy's withUnderscoresAction Allow."""
    request = replace(place.get(), headers={"x_team": "blue"})

    trial = tries.configured(
        place,
        "client_traffic/underscores.yaml",
        here(POLICY),
        lambda: place.send_counted([request] * 2, COUNTER, logged=lambda answer: answer.status == 200),
        lambda: place.send_one(request).status == 200,
    )

    assert trial.control.statuses == trial.recovery.statuses == [400, 400]
    assert (trial.control.counted, trial.treatment.counted, trial.recovery.counted) == (2, 0, 2)
    assert (trial.control.reached, trial.treatment.reached) == ([0, 0], [1, 1])
    assert trial.treatment.statuses == [200, 200]
    assert trial.treatment.header("x_team") == ["blue", "blue"]
