"""Parses references to images and charts: `registry/repository:tag@digest`.

Source: github.com/distribution/reference (reference.go) and, for names without a registry, Docker's `normalize.go`.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace

from harness.errors import BadInput

DOCKER_HUB = "docker.io"
_HOST = r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*"
_REGISTRY = re.compile(rf"(?:{_HOST}|\[[0-9a-fA-F:]+\])(?::[0-9]+)?")
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")


@dataclass(frozen=True)
class Reference:
    """What is pulled: `tag` or `digest` may be empty. With both, the digest decides what is pulled."""

    registry: str
    repository: str
    tag: str = ""
    digest: str = ""

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.name}{tag}{digest}"

    @property
    def name(self) -> str:
        """Registry and repository, without tag and digest."""
        return f"{self.registry}/{self.repository}"

    @property
    def version(self) -> str:
        """What a manifest is asked for by: the digest if there is one, else the tag, else `latest`."""
        return self.digest or self.tag or "latest"

    def moved_to(self, registry: str, prefix: str = "") -> Reference:
        """The same image under another registry, its repository below `prefix` if one is given."""
        return replace(self, registry=registry, repository=f"{prefix.strip('/')}/{self.repository}".lstrip("/"))


def parse_reference(text: str) -> Reference:
    """Reads a reference: "redis:6.0.6" is docker.io/library/redis:6.0.6; `oci://` before a chart's is left out.

    Raises:
        BadInput: it is not a reference; the message names the part that is wrong.
    """
    rest, at, digest = text.removeprefix("oci://").partition("@")
    if at and not _DIGEST.fullmatch(digest):
        raise BadInput(f"{text!r} is not a reference: digest {digest!r} is not sha256: and 64 hexadecimal digits")
    head, slash, last = rest.rpartition("/")
    last, colon, tag = last.partition(":")
    if colon and not _TAG.fullmatch(tag):
        raise BadInput(f"{text!r} is not a reference: tag {tag!r}")
    registry, repository = _split(f"{head}{slash}{last}")
    if not _REGISTRY.fullmatch(registry):
        raise BadInput(f"{text!r} is not a reference: registry {registry!r}")
    if not _REPOSITORY.fullmatch(repository):
        raise BadInput(f"{text!r} is not a reference: repository {repository!r}")
    return Reference(registry, repository, tag, digest)


def _split(name: str) -> tuple[str, str]:
    """Registry and repository of a name, as Docker reads it."""
    first, slash, rest = name.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return (DOCKER_HUB if first == "index.docker.io" else first), rest
    return DOCKER_HUB, name if slash else f"library/{name}"


def digest_of(data: bytes) -> str:
    """The digest of a blob or manifest: "sha256:…"."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
