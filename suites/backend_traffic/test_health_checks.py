"""Active health checks.

Manifest: manifests/backend_traffic/health_checks.yaml    Article: none; its reason is Envoy Gateway's policies
"""

import pytest

pytestmark = [pytest.mark.needs("real gateway"), pytest.mark.timeout(300, func_only=True)]
POLICY = "BackendTrafficPolicy/default/health-checks"


@pytest.mark.feature("Active health checks")
def test_unhealthy_backends_get_nothing(tries, place, here):
    """At the {place}, while all backends fail their active health check, requests return 503 with response flag UH
    and do not reach a backend."""
    trial = tries.policy(place, "backend_traffic/health_checks.yaml", here(POLICY), [place.get()] * 2, 503)

    assert trial.control.statuses == trial.recovery.statuses == [200, 200]
    assert trial.treatment.statuses == [503, 503]
    assert set(trial.treatment.flags) == {"UH"}
    assert trial.treatment.reached == [0, 0]
    assert trial.past == [[200, 200]] * 3
