"""Response override: another answer in place of the backend's.

Manifest: manifests/backend_traffic/override.yaml
Article: none; its reason is Envoy Gateway's policies
"""

import pytest

pytestmark = pytest.mark.needs("real gateway")
POLICY = "BackendTrafficPolicy/default/override"


@pytest.mark.feature("Response override")
def test_error_is_replaced(tries, place, here):
    """At the {place}, a response override replaces the backend's 503 by 418, and leaves its 500 and 200 unchanged."""
    requests = [place.get("/?status=503"), place.get("/?status=500"), place.get()]

    trial = tries.policy(place, "backend_traffic/override.yaml", here(POLICY), requests, 418)

    assert trial.control.statuses == trial.recovery.statuses == [503, 500, 200]
    assert trial.treatment.statuses == [418, 500, 200]
    assert [each[0].status for each in trial.treatment.received] == [503, 500, 200]
    assert trial.past == [[503, 503]] * 3
