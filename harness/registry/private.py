"""The private registry for everything (`REGISTRY=`): where each public reference is in it."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path

from harness.errors import BadInput
from harness.registry.reference import Reference, parse_reference

FORM = "host[:port][/prefix]"


@dataclass(frozen=True)
class PrivateRegistry:
    """A registry that holds what the public ones do: each repository under its own path, without the public host.

    `prefix` stands before each repository, or is empty. `ca` is a PEM file of the authority that signed its
    certificate. `secret` names the pull secret that pods refer to, or is empty.
    """

    host: str
    prefix: str = ""
    plain_http: bool = False
    ca: Path | None = None
    secret: str = ""

    def __str__(self) -> str:
        return f"{self.host}/{self.prefix}".rstrip("/")

    @property
    def url(self) -> str:
        """Its API's address, without a path."""
        return f"{'http' if self.plain_http else 'https'}://{self.host}"

    @property
    def loopback(self) -> bool:
        """Whether its address is this machine's own: inside a kind node it is another machine's."""
        return is_loopback(self.host)

    def rewrite(self, reference: str) -> str:
        """Where a reference to an image or chart (oci://…) is found here: docker.io/istio/pilot becomes istio/pilot."""
        moved: Reference = parse_reference(reference).moved_to(self.host, self.prefix)
        return f"{'oci://' if reference.startswith('oci://') else ''}{moved}"

    def contains(self, reference: str) -> bool:
        """Whether a reference leads here."""
        return reference.removeprefix("oci://").startswith(f"{self.host}/")


def parse_registry(text: str, *, plain_http: bool = False, ca: Path | None = None, secret: str = "") -> PrivateRegistry:
    """What `REGISTRY=` says: "registry.example.com/mirror", "localhost:5001", "http://10.0.0.5:5000".

    A registry on this machine's loopback address is spoken to by plain HTTP unless `https://` or a CA says otherwise,
    as Docker does it.

    Raises:
        BadInput: it is not host[:port][/prefix], or plain HTTP and a CA are both asked for.
    """
    scheme, separator, rest = text.strip().rpartition("://")
    host, _, prefix = rest.strip("/").partition("/")
    if separator and scheme not in ("http", "https", "oci"):
        raise BadInput(f"REGISTRY={text}: {scheme}:// is not http:// or https://", remedy=f"REGISTRY={FORM}")
    if "@" in rest:
        raise BadInput(
            "REGISTRY= has a user or a digest in it",  # not shown: it may be a password
            remedy=f"REGISTRY={FORM}; credentials come from `docker login {host.rpartition('@')[2]}`",
        )
    try:
        found = parse_reference(f"{host}/{prefix}/x" if prefix else f"{host}/x")
        if not host or found.registry != host or found.tag:
            raise BadInput("no host")
    except BadInput:
        hint = f"; a host without a dot needs its port ({host}:5000)" if re.fullmatch(r"[a-zA-Z0-9-]+", host) else ""
        raise BadInput(
            f"REGISTRY={text!r} is not {FORM}", remedy=f"for instance REGISTRY=localhost:5001{hint}"
        ) from None
    plain = plain_http or scheme == "http" or (is_loopback(host) and scheme != "https" and ca is None)
    if plain and (ca or scheme == "https"):
        raise BadInput(
            f"REGISTRY={text}: plain HTTP and TLS are both requested",
            remedy="leave out REGISTRY_PLAIN_HTTP and http://, or REGISTRY_CA and https://",
        )
    if secret and not re.fullmatch(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", secret):
        raise BadInput(f"REGISTRY_SECRET={secret!r} is not a valid name of a Secret", remedy="REGISTRY_SECRET=registry")
    return PrivateRegistry(host, prefix, plain, ca, secret)


def is_loopback(host: str) -> bool:
    """Whether a host[:port] is this machine's loopback."""
    name = re.sub(r":\d+$", "", host).strip("[]")
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")
