"""Authorization by the client's address.

Manifest: manifests/authorization/client_address.yaml    Article: none; docs/findings.md, "Istio's L7 policies"
"""

import pytest

pytestmark = pytest.mark.needs("real gateway")
POLICY = "SecurityPolicy/default/client-address"


@pytest.mark.feature("Authorization by client address")
def test_address_decides(tries, place, here):
    """At the {place}, authorization by client address returns 403 to a client outside the allowed network, even if
    X-Forwarded-For names an allowed address."""
    requests = [place.get(), place.get(x_forwarded_for="203.0.113.7")]

    trial = tries.policy(place, "authorization/client_address.yaml", here(POLICY), requests, 403)

    assert trial.control.statuses == trial.recovery.statuses == [200, 200]
    assert trial.treatment.statuses == [403, 403]
    assert set(trial.treatment.details) == {"rbac_access_denied_matched_policy[DENY]"}
    assert trial.treatment.reached == [0, 0]
    assert trial.past == [[200, 200]] * 3
