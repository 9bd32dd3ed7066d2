"""JSON Web Tokens of clients."""

import base64
import hashlib
import hmac
import json
from typing import Any

import yaml

from harness.clients.json_web_token import KEY, damage_token, sign_token
from harness.objects.manifests import MANIFESTS


def decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def test_token_is_signed_by_the_manifests_key() -> None:
    """Its signature is HMAC-SHA256 of header and claims (RFC 7515), by the key that the manifests give to Envoy."""
    filters = (MANIFESTS / "authentication" / "jwt_remote.yaml").read_text()
    for name in ("jwt", "jwt_claims"):
        policy = yaml.safe_load((MANIFESTS / "authentication" / f"{name}.yaml").read_text())
        (provider,) = policy["spec"]["jwt"]["providers"]
        (key,) = json.loads(provider["localJWKS"]["inline"])["keys"]
        header, claims, signature = sign_token(role="user").split(".")
        parsed: dict[str, Any] = json.loads(decoded(claims))

        assert decoded(key["k"]) == KEY
        assert provider["localJWKS"]["inline"] in filters
        assert json.loads(decoded(header)) == {"alg": key["alg"], "kid": key["kid"], "typ": "JWT"}
        assert (parsed["iss"], parsed["role"]) == (provider["issuer"], "user")
        expected = hmac.new(decoded(key["k"]), f"{header}.{claims}".encode(), hashlib.sha256).digest()
        assert decoded(signature) == expected


def test_damaged_token_has_another_signature() -> None:
    """And the same claims."""
    token = sign_token()

    assert damage_token(token) != token
    assert damage_token(token).rpartition(".")[0] == token.rpartition(".")[0]
