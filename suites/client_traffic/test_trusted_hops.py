"""Which address is the client's: trusted hops in X-Forwarded-For.

Manifest: manifests/client_traffic/trusted_hops.yaml    Article: none; client addresses are among its reasons
"""

import pytest

pytestmark = pytest.mark.needs("real gateway")
POLICY = "SecurityPolicy/default/trusted-address"


@pytest.mark.feature("Client address from X-Forwarded-For")
def test_address_of_a_trusted_hop_counts(tries, place, here):
    """At the {place}, with one trusted hop in a ClientTrafficPolicy, authorization by client address uses the last
    address in X-Forwarded-For."""
    allowed, other = "203.0.113.7", "198.51.100.7"
    requests = [
        place.get(x_forwarded_for=other),
        place.get(x_forwarded_for=allowed),
        place.get(x_forwarded_for=f"{allowed}, {other}"),
    ]

    trial = tries.policy(place, "client_traffic/trusted_hops.yaml", here(POLICY), requests, 403)

    assert trial.control.statuses == trial.recovery.statuses == [200, 200, 200]
    assert trial.treatment.statuses == [403, 200, 403]
    assert trial.treatment.lines[1].client_ip == allowed
    assert trial.treatment.reached == [0, 1, 0]
