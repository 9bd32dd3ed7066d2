"""JSON Web Tokens whose keys Envoy fetches from the issuer, which is inside the mesh.

Manifest: manifests/authentication/jwt_remote.yaml    Article: none; JWT is among its reasons for Envoy Gateway
"""

import pytest

from harness.clients.json_web_token import damage_token, sign_token

pytestmark = [
    pytest.mark.needs("real gateway"),
    pytest.mark.usefixtures("at_ingress"),
    pytest.mark.timeout(300, func_only=True),
]
POLICY = "SecurityPolicy/default/jwt-remote"
ISSUER = "httproute/default/issuer/"


@pytest.mark.feature("JWT, remote JWKS")
def test_keys_are_fetched(tries, place, at_ingress, since, here):
    """At the {place}, Envoy fetches the JWKS from the token issuer, and returns 200 for a valid JWT and 401 for one
    with an invalid signature."""
    token = sign_token(role="user")
    valid, other = (place.get(authorization=f"Bearer {one}") for one in (token, damage_token(token)))

    trial = tries.policy(place, "authentication/jwt_remote.yaml", here(POLICY), [valid, other], 401, probe=place.get())

    assert trial.control.statuses == trial.recovery.statuses == [200, 200]
    assert trial.treatment.statuses == [200, 401]
    assert trial.treatment.details[1] == "jwt_authn_access_denied{Jwt_verification_fails}"
    assert trial.treatment.reached == [1, 0]
    assert {line.status for line in at_ingress.envoy.lines_of_route(here(ISSUER), since, count=1)} == {200}
