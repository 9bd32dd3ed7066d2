"""Authorization by path.

Manifest: manifests/authorization/path.yaml    Article: none; authorization is among its reasons for Envoy Gateway
"""

import pytest

pytestmark = pytest.mark.needs("real gateway")
POLICY = "SecurityPolicy/default/path"


@pytest.mark.feature("Authorization by path", since="1.9")
def test_path_decides(tries, place, here):
    """At the {place}, a SecurityPolicy that denies a path prefix returns 403 below that prefix and 200 for other
    paths."""
    requests = [place.get("/private/a"), place.get("/public")]

    trial = tries.policy(place, "authorization/path.yaml", here(POLICY), requests, 403)

    assert trial.control.statuses == trial.recovery.statuses == [200, 200]
    assert trial.treatment.statuses == [403, 200]
    assert trial.treatment.reached == [0, 1]
    assert trial.past == [[200, 200]] * 3
