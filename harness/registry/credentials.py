"""Credentials of `docker login` and its credential helpers, for nodes, caches and pods.

They are handed on through standard input, environments and API requests only: never in arguments, files or reports.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from docker import auth
from docker.credentials import StoreError
from docker.errors import DockerException

from harness.errors import BadInput
from harness.registry.reference import DOCKER_HUB


class Login(NamedTuple):
    """A user and a password (or access token) of one registry."""

    username: str
    password: str

    def __repr__(self) -> str:
        return f"Login({self.username!r}, [redacted])"


def login(registry: str) -> Login | None:
    """What `docker login` of a registry left; None without a login.

    An identity token (`docker login` of some clouds) is none: it is exchanged by Docker alone.

    Raises:
        BadInput: Docker's configuration or its credential helper cannot be read.
    """
    try:
        found = auth.load_config().resolve_authconfig(registry) or {}
    except (DockerException, StoreError, ValueError, OSError) as error:
        raise BadInput(
            f"credentials of {registry} cannot be read from Docker's configuration: {error}",
            remedy=f"`docker login {registry}` again, or `docker logout {registry}` to pull without",
        ) from None
    headers = {key.lower(): value for key, value in found.items()}
    if not headers.get("username") or not headers.get("password"):
        return None
    return Login(str(headers["username"]), str(headers["password"]))


def logins(registries: Iterable[str]) -> dict[str, Login]:
    """Those of the registries that have one.

    Raises:
        BadInput: as `login`.
    """
    return {registry: found for registry in registries if (found := login(registry))}


def docker_config(found: Mapping[str, Login]) -> str:
    """A config.json as the kubelet and pull secrets of type kubernetes.io/dockerconfigjson have it."""
    auths = {}
    for registry, one in found.items():
        key = "https://index.docker.io/v1/" if registry == DOCKER_HUB else registry
        auths[key] = {"auth": base64.b64encode(f"{one.username}:{one.password}".encode()).decode()}
    return json.dumps({"auths": auths})
