"""API keys in a header.

Manifest: manifests/authentication/api_key.yaml    Article: none; authentication is among its reasons for Envoy Gateway
"""

import pytest

pytestmark = pytest.mark.needs("real gateway")
POLICY = "SecurityPolicy/default/api-key"


@pytest.mark.feature("API key")
def test_key_is_checked(tries, place, here):
    """At the {place}, a SecurityPolicy with API key authentication returns 401 for a missing or unknown key, and
    sends the client ID of a known key to the backend."""
    keys = [place.get(), place.get(x_api_key="key-of-nobody"), place.get(x_api_key="key-of-shop")]

    trial = tries.policy(place, "authentication/api_key.yaml", here(POLICY), keys, 401)

    assert trial.control.statuses == trial.recovery.statuses == [200, 200, 200]
    assert trial.treatment.statuses == [401, 401, 200]
    assert trial.treatment.reached == [0, 0, 1]
    assert trial.treatment.header("x-client-id")[2] == "shop"
    assert (trial.control.header("x-api-key")[2], trial.treatment.header("x-api-key")[2]) == ("key-of-shop", None)
    assert trial.past == [[200, 200]] * 3
