"""Signs the JSON Web Tokens that clients send. Pure.

Signed with HS256 (RFC 7518, 3.2), because the standard library has HMAC: the proxy is tested, not the algorithm.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

KEY = b"a key of the test suites, known to everybody"  # manifests/authentication/jwt.yaml has it as a JWKS
ISSUER, KEY_ID, EXPIRES = "https://issuer.example", "suites", 4102444800  # the year 2100


def sign_token(**claims: Any) -> str:
    """A token of ISSUER with these claims, signed with KEY."""
    header = {"alg": "HS256", "kid": KEY_ID, "typ": "JWT"}
    parts = (header, {"iss": ISSUER, "exp": EXPIRES, **claims})
    content = ".".join(_base64(json.dumps(part, separators=(",", ":")).encode()) for part in parts)
    return f"{content}.{_base64(hmac.new(KEY, content.encode(), hashlib.sha256).digest())}"


def damage_token(token: str) -> str:
    """The same token with another signature."""
    content, _, signature = token.rpartition(".")
    return f"{content}.{signature[::-1]}"


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
