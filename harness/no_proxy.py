"""Addresses that bypass any HTTP proxy: loopback and those of the cluster.

Go programs (kubectl, helm, docker, kind) never use a proxy for loopback. Python libraries obey HTTP_PROXY, HTTPS_PROXY
and ALL_PROXY for loopback too, unless NO_PROXY names it (kubernetes-client/python#2460). Pulls and downloads still go
through the proxy.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterable, Mapping, MutableMapping

PROXIES = ("http_proxy", "https_proxy", "all_proxy")
# The names beside the networks are for libraries that cannot read CIDR (urllib). kind's default pod and Service CIDRs.
ALWAYS = ("localhost", "127.0.0.1", "127.0.0.0/8", "::1", ".svc", ".cluster.local", "10.244.0.0/16", "10.96.0.0/16")


def extend_no_proxy(addresses: Iterable[str] = (), environ: MutableMapping[str, str] = os.environ) -> None:
    """Adds loopback, the cluster's networks and these addresses to NO_PROXY and no_proxy, for this process and those
    that it starts. Does nothing where no proxy is set. What the user has there stays."""
    if not any(environ.get(name) or environ.get(name.upper()) for name in PROXIES):
        return
    has = [one.strip() for name in ("NO_PROXY", "no_proxy") for one in environ.get(name, "").split(",")]
    value = ",".join(dict.fromkeys(one for one in (*has, *ALWAYS, *addresses) if one))
    environ["NO_PROXY"] = environ["no_proxy"] = value


def configured_proxies(environ: Mapping[str, str] = os.environ) -> dict[str, list[str]]:
    """The proxies that the environment sets: the variables' names by the proxy's URL."""
    found: dict[str, list[str]] = {}
    for name in (one for lower in PROXIES for one in (lower, lower.upper())):
        if environ.get(name):
            found.setdefault(environ[name], []).append(name)
    return found


def is_loopback(host: str | None) -> bool:
    """Whether a host of a URL (without brackets) is this machine."""
    if not host:
        return False
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
