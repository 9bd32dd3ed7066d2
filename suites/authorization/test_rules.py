"""Authorization by header and method, with a default of deny.

Manifest: manifests/authorization/rules.yaml    Article: none; authorization is among its reasons for Envoy Gateway
"""

import pytest

pytestmark = pytest.mark.needs("real gateway")
POLICY = "SecurityPolicy/default/rules"
DENIED = "rbac_access_denied_matched_policy[DENY]"


@pytest.mark.feature("Authorization by header, default deny")
def test_header_decides(tries, place, here):
    """At the {place}, a SecurityPolicy with defaultAction Deny returns 200 for the allowed header value, and 403
    for another value or no header."""
    teams = [place.get(), place.get(x_team="red"), place.get(x_team="blue")]

    trial = tries.policy(place, "authorization/rules.yaml", here(POLICY), teams, 403)

    assert trial.control.statuses == trial.recovery.statuses == [200, 200, 200]
    assert trial.treatment.statuses == [403, 403, 200]
    assert trial.treatment.details == [DENIED, DENIED, "via_upstream"]
    assert trial.treatment.reached == [0, 0, 1]
    assert trial.past == [[200, 200]] * 3


@pytest.mark.feature("Authorization by method")
def test_method_decides(tries, place, here):
    """At the {place}, a SecurityPolicy that allows only method GET returns 200 for GET and 403 for POST."""
    requests = [place.get(method="POST", x_team="blue"), place.get(x_team="blue")]

    trial = tries.policy(place, "authorization/rules.yaml", here(POLICY), requests, 403)

    assert trial.control.statuses == trial.recovery.statuses == [200, 200]
    assert trial.treatment.statuses == [403, 200]
    assert trial.treatment.details[0] == DENIED
    assert trial.treatment.reached == [0, 1]
