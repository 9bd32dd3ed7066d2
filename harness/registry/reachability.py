"""Checks that a private registry answers before anything is created."""

from __future__ import annotations

import ssl

import httpx

from harness.errors import BadInput
from harness.registry.private import PrivateRegistry

WITHIN = 10.0  # seconds


def check_registry(private: PrivateRegistry) -> str:
    """Asks for the registry's API; any answer will do, also 401: who may pull what is seen later.

    Raises:
        BadInput: nothing answers at that address, or not in the protocol that is spoken.
    """
    try:
        verify = ssl.create_default_context(cafile=private.ca) if private.ca else True
        with httpx.Client(verify=verify, timeout=WITHIN, trust_env=not private.loopback) as client:
            client.get(f"{private.url}/v2/")
        return f"{private} answers"
    except (httpx.HTTPError, OSError) as error:
        tls = " (REGISTRY=http://… where it has no TLS, REGISTRY_CA=file for an authority of your own)"
        raise BadInput(
            f"registry {private} does not answer at {private.url}/v2/: {error}",
            remedy=f"is it up and reachable from here?{'' if private.plain_http else tls}",
        ) from None
