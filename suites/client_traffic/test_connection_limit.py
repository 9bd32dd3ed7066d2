"""A limit of connections at once.

Manifest: manifests/client_traffic/connection_limit.yaml    Article: none; ClientTrafficPolicy is among its reasons
"""

import pytest

pytestmark = pytest.mark.needs("real gateway")
POLICY, COUNTER = "ClientTrafficPolicy/default/connection-limit", ".limited_connections"
SLOW = "/?delay=1s"


@pytest.mark.feature("Connection limit")
def test_connections_over_the_limit_are_closed(tries, place, here):
    """At the {place}, with a ClientTrafficPolicy's connection limit of 2, two of four concurrent requests return
    200, and the other two connections are closed without a response."""
    trial = tries.configured(
        place,
        "client_traffic/connection_limit.yaml",
        here(POLICY),
        lambda: place.send_counted([place.get(SLOW)] * 4, COUNTER, at_once=True),
        lambda: place.client.send_together(place.get(SLOW), 4).statuses.count(None) == 2,
    )

    assert trial.control.statuses == trial.recovery.statuses == [200] * 4
    assert (trial.control.counted, trial.treatment.counted, trial.recovery.counted) == (0, 2, 0)
    assert trial.treatment.statuses.count(200) == trial.treatment.statuses.count(None) == 2
    assert sorted(trial.treatment.reached) == [0, 0, 1, 1]
