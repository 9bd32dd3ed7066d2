"""CSRF: a page of another origin cannot change anything.

Manifest: manifests/browsers/csrf.yaml    Article: none
"""

import pytest

pytestmark = pytest.mark.needs("real gateway")
POLICY = "SecurityPolicy/default/csrf"


@pytest.mark.feature("CSRF", since="1.9")
def test_other_origin_cannot_post(tries, place, here):
    """At the {place}, a SecurityPolicy with CSRF protection returns 403 for a POST from a foreign origin, and 200
    for a POST from an allowed origin and for GET."""
    requests = [
        place.get(method="POST", origin="https://evil.example"),
        place.get(method="POST", origin="https://shop.example"),
        place.get(origin="https://evil.example"),
    ]

    trial = tries.policy(place, "browsers/csrf.yaml", here(POLICY), requests, 403)

    assert trial.control.statuses == trial.recovery.statuses == [200, 200, 200]
    assert trial.treatment.statuses == [403, 200, 200]
    assert trial.treatment.details[0] == "csrf_origin_mismatch"
    assert trial.treatment.reached == [0, 1, 1]
