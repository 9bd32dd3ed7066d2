"""Response override: another answer in place of the backend's.

Manifest: manifests/backend_traffic/override.yaml
Article: none; its reason is Envoy Gateway's policies
"""

import pytest

pytestmark = pytest.mark.needs("real gateway")
POLICY = "BackendTrafficPolicy/default/override"


@pytest.mark.feature("Response override")
def test_error_is_replaced(tries, place, here):
    """With a response override of 503, clients get 418 where the backend returns 503; other statuses do not change."""
    requests = [place.get("/?status=503"), place.get("/?status=500"), place.get()]

    trial = tries.policy(place, "backend_traffic/override.yaml", here(POLICY), requests, 418)

    assert trial.control.statuses == trial.recovery.statuses == [503, 500, 200]
    assert trial.treatment.statuses == [418, 500, 200]
    assert [each[0].status for each in trial.treatment.received] == [503, 500, 200]
    assert trial.past == [[503, 503]] * 3
