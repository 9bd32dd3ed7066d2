"""Requests that Envoy receives as a whole before it calls a backend.

Manifest: manifests/backend_traffic/buffering.yaml    Article: none; its reason is Envoy Gateway's policies
"""

import pytest

pytestmark = pytest.mark.needs("real gateway")
POLICY = "BackendTrafficPolicy/default/buffering"


@pytest.mark.feature("Request buffering")
def test_large_body_is_rejected(tries, place, here):
    """At the {place}, with a request buffer limit of 1 KiB, a body of 1100 bytes returns 413 and a body of 1000
    bytes returns 200."""
    large, small = (place.get(method="POST", body="x" * count) for count in (1100, 1000))

    trial = tries.policy(place, "backend_traffic/buffering.yaml", here(POLICY), [large, small, place.get()], 413)

    assert trial.control.statuses == trial.recovery.statuses == [200, 200, 200]
    assert trial.treatment.statuses == [413, 200, 200]
    assert trial.treatment.details == ["request_payload_too_large", "via_upstream", "via_upstream"]
    assert trial.treatment.reached == [0, 1, 1]
    assert trial.treatment.header("content-length")[1] == "1000"
    assert trial.past == [[200, 200]] * 3
