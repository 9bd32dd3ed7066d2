"""Outlier detection: a backend that fails is left out.

Manifest: manifests/backend_traffic/outlier.yaml
Article: none; its reason is Envoy Gateway's policies
"""

import pytest

pytestmark = [pytest.mark.needs("real gateway"), pytest.mark.timeout(300, func_only=True)]
POLICY = "BackendTrafficPolicy/default/outlier"


@pytest.mark.feature("Outlier detection")
def test_failing_backend_is_left_out(tries, place, here):
    """At the {place}, with outlier detection, a backend that returned 503 receives none of the next 20 requests."""
    requests = [place.get("/?status=503")] + [place.get()] * 20

    trial = tries.configured(
        place,
        "backend_traffic/outlier.yaml",
        here(POLICY),
        lambda: place.send(requests),
        lambda: place.cluster.get("outlier_detection", {}).get("consecutive_5xx") == 1,
    )

    assert trial.treatment.statuses == trial.control.statuses == [503] + [200] * 20
    assert set(trial.control.backends[1:]) == set(trial.recovery.backends[1:]) == {"echo-v1", "echo-v2"}
    assert set(trial.treatment.backends[1:]) == {"echo-v1", "echo-v2"} - {trial.treatment.backends[0]}
