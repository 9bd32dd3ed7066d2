"""Basic authentication with a htpasswd file.

Manifest: manifests/authentication/basic.yaml    Article: none; authentication is among its reasons for Envoy Gateway
"""

import base64

import pytest

pytestmark = pytest.mark.needs("real gateway")
POLICY = "SecurityPolicy/default/basic"
RIGHT, WRONG = (f"Basic {base64.b64encode(pair).decode()}" for pair in (b"ali:open sesame", b"ali:open barley"))


@pytest.mark.feature("Basic authentication")
def test_password_is_checked(tries, place, here):
    """At the {place}, a SecurityPolicy with basic authentication returns 401 for a missing or wrong password, and
    sends the user name of a correct login to the backend."""
    logins = [place.get(), place.get(authorization=WRONG), place.get(authorization=RIGHT)]

    trial = tries.policy(place, "authentication/basic.yaml", here(POLICY), logins, 401)

    assert trial.control.statuses == trial.recovery.statuses == [200, 200, 200]
    assert trial.treatment.statuses == [401, 401, 200]
    assert trial.treatment.details[:2] == ["no_credential_for_basic_auth", "invalid_credential_for_basic_auth"]
    assert trial.treatment.reached == [0, 0, 1]
    assert trial.treatment.header("x-user")[2] == "ali"
    assert trial.past == [[200, 200]] * 3
