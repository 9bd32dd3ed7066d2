"""JSON Web Tokens: checked with an inline key, their claims as headers, and authorization by claim.

Manifest: manifests/authentication/jwt.yaml (jwt_claims.yaml: authorization by claim)    Article: none; JWT is among its
reasons for Envoy Gateway
"""

import pytest

from harness.clients.json_web_token import damage_token, sign_token

pytestmark = pytest.mark.needs("real gateway")
POLICY, CLAIMS_POLICY = "SecurityPolicy/default/jwt", "SecurityPolicy/default/jwt-claims"
USER, ADMIN = sign_token(role="user"), sign_token(role="admin")


@pytest.mark.feature("JWT, inline JWKS")
def test_token_is_checked(tries, place, here):
    """At the {place}, a SecurityPolicy with JWT authentication returns 401 for a missing token or an invalid
    signature, and 200 for a valid token."""
    tokens = [
        place.get(),
        place.get(authorization=f"Bearer {USER}"),
        place.get(authorization=f"Bearer {damage_token(USER)}"),
    ]

    trial = tries.policy(place, "authentication/jwt.yaml", here(POLICY), tokens, 401)

    assert trial.control.statuses == trial.recovery.statuses == [200, 200, 200]
    assert trial.treatment.statuses == [401, 200, 401]
    assert trial.treatment.details[0] == "jwt_authn_access_denied{Jwt_is_missing}"
    assert trial.treatment.details[2] == "jwt_authn_access_denied{Jwt_verification_fails}"
    assert trial.treatment.reached == [0, 1, 0]
    assert trial.past == [[200, 200]] * 3


@pytest.mark.feature("JWT claims as headers")
def test_claim_becomes_a_header(tries, place, here):
    """At the {place}, a SecurityPolicy with claimToHeaders sends the claim of the client's JWT to the backend as a
    request header."""
    tokens = [place.get(authorization=f"Bearer {token}") for token in (USER, ADMIN)]

    trial = tries.policy(
        place,
        "authentication/jwt.yaml",
        here(POLICY),
        tokens,
        401,
        probe=place.get(),
    )

    assert trial.treatment.statuses == [200, 200]
    assert trial.treatment.header("x-role") == ["user", "admin"]
    assert trial.control.header("x-role") == trial.recovery.header("x-role") == [None, None]


@pytest.mark.feature("Authorization by JWT claim")
def test_claim_decides(tries, place, here):
    """At the {place}, authorization by JWT claim returns 200 for a token with the claim, 403 for a token without
    the claim, and 401 without a token."""
    tokens = [place.get(authorization=f"Bearer {USER}"), place.get(authorization=f"Bearer {ADMIN}"), place.get()]

    trial = tries.policy(
        place,
        "authentication/jwt_claims.yaml",
        here(CLAIMS_POLICY),
        tokens,
        403,
    )

    assert trial.control.statuses == trial.recovery.statuses == [200, 200, 200]
    assert trial.treatment.statuses == [403, 200, 401]
    assert trial.treatment.details[0].startswith("rbac_access_denied_matched_policy")
    assert trial.treatment.reached == [0, 1, 0]
    assert trial.past == [[200, 200]] * 3
