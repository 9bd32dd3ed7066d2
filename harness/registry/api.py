"""Client of a registry's HTTP API: reads and writes manifests and blobs.

Sources: opencontainers/distribution-spec (spec.md), distribution/distribution (docs/spec/auth/token).
"""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import httpx

from harness.errors import BadInput, SetupFailed
from harness.registry.credentials import Login
from harness.registry.private import is_loopback
from harness.registry.reference import DOCKER_HUB, digest_of

API_HOSTS = {DOCKER_HUB: "registry-1.docker.io"}  # where a registry's name is not the host of its API
MANIFEST_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
CHUNK = 2**20
TIMEOUT = httpx.Timeout(60.0, connect=10.0)  # between two bytes, and until connected


@dataclass(frozen=True)
class ImageManifest:
    """A manifest's bytes as they are, which its digest is of."""

    data: bytes
    media_type: str

    @property
    def digest(self) -> str:
        return digest_of(self.data)

    @property
    def body(self) -> Mapping[str, Any]:
        """The manifest as JSON."""
        read: Mapping[str, Any] = json.loads(self.data)
        return read


class ImageSource(Protocol):
    """Where manifests and blobs are read from."""

    def digest(self, repository: str, version: str) -> str:
        """The digest of a tag's manifest; empty where there is none."""

    def manifest(self, repository: str, version: str) -> ImageManifest:
        """A manifest by tag or digest."""

    def blob(self, repository: str, digest: str) -> Iterator[bytes]:
        """A blob, piece by piece."""


class RegistryApi:
    """One registry. `transport` stands in for the network in tests.

    Every method raises SetupFailed where the registry refuses or does not answer; BadInput where it wants a login.
    """

    def __init__(
        self,
        registry: str,
        *,
        plain_http: bool = False,
        ca: Path | None = None,
        login: Login | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.registry = registry
        url = f"{'http' if plain_http else 'https'}://{API_HOSTS.get(registry, registry)}/v2/"
        verify = ssl.create_default_context(cafile=ca) if ca else True
        self._client = httpx.Client(
            base_url=url,
            auth=_Auth(login),
            follow_redirects=True,
            timeout=TIMEOUT,
            transport=transport,
            trust_env=not is_loopback(registry),
            verify=verify,
        )

    def digest(self, repository: str, version: str) -> str:
        answer = self._send("HEAD", f"{repository}/manifests/{version}", accept=MANIFEST_TYPES, missing=True)
        if answer.status_code == 404:
            return ""
        return str(answer.headers.get("docker-content-digest") or self.manifest(repository, version).digest)

    def manifest(self, repository: str, version: str) -> ImageManifest:
        answer = self._send("GET", f"{repository}/manifests/{version}", accept=MANIFEST_TYPES)
        found = ImageManifest(answer.content, answer.headers.get("content-type", "").partition(";")[0])
        if version.startswith("sha256:") and found.digest != version:
            raise SetupFailed(f"{self.registry}/{repository}@{version}: the received manifest has {found.digest}")
        return found

    def has_blob(self, repository: str, digest: str) -> bool:
        return self._send("HEAD", f"{repository}/blobs/{digest}", missing=True).status_code == 200

    def blob(self, repository: str, digest: str) -> Iterator[bytes]:
        path, as_it_is = f"{repository}/blobs/{digest}", {"accept-encoding": "identity"}
        with self._says(path), self._client.stream("GET", path, headers=as_it_is) as answer:
            if not answer.is_success:
                answer.read()
            self._judge(answer, path)
            yield from answer.iter_bytes(CHUNK)

    def put_blob(self, repository: str, digest: str, size: int, data: Iterator[bytes]) -> None:
        begun = self._send("POST", f"{repository}/blobs/uploads/")
        where = begun.url.join(begun.headers["location"]).copy_merge_params({"digest": digest})
        headers = {"content-type": "application/octet-stream", "content-length": str(size)}
        with self._says(f"{repository}/blobs/{digest}"):
            self._judge(self._client.put(where, content=data, headers=headers), f"{repository}/blobs/{digest}")

    def put_manifest(self, repository: str, version: str, manifest: ImageManifest) -> None:
        path = f"{repository}/manifests/{version}"
        with self._says(path):
            headers = {"content-type": manifest.media_type}
            self._judge(self._client.put(path, content=manifest.data, headers=headers), path)

    def _send(self, method: str, path: str, *, accept: tuple[str, ...] = (), missing: bool = False) -> httpx.Response:
        with self._says(path):
            answer = self._client.request(method, path, headers={"accept": ", ".join(accept)} if accept else None)
            if not (missing and answer.status_code == 404):
                self._judge(answer, path)
            return answer

    @contextmanager
    def _says(self, path: str) -> Iterator[None]:
        try:
            yield
        except httpx.HTTPError as error:
            words = str(error) or type(error).__name__
            raise SetupFailed(f"registry {self.registry} ({path}): {words}") from None

    def _judge(self, answer: httpx.Response, path: str) -> None:
        if answer.status_code in (401, 403):
            raise BadInput(
                f"registry {self.registry} rejects {answer.request.method} {path}: status {answer.status_code}",
                remedy=f"`docker login {self.registry}` with a user who has this right",
            )
        if answer.status_code == 429:
            raise SetupFailed(
                f"registry {self.registry} answers 429: too many pulls for now",
                remedy=f"wait, or `docker login {self.registry}`; what is already there is not pulled again",
            )
        if not answer.is_success:
            text = " ".join(answer.text.split())[:200]
            raise SetupFailed(f"registry {self.registry}: {path}: status {answer.status_code} {text}")


class _Auth(httpx.Auth):
    """Basic, or a token from where the registry says; tokens are kept for the repository and action."""

    def __init__(self, login: Login | None) -> None:
        self._login, self._tokens = login, dict[str, str]()

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        key = re.sub(r"^/v2/(.*?)/(manifests|blobs)/.*", r"\1", request.url.path)
        if key in self._tokens:
            request.headers["authorization"] = self._tokens[key]
        answer = yield request
        scheme, _, rest = answer.headers.get("www-authenticate", "").partition(" ")
        if answer.status_code != 401:
            return
        if scheme.lower() == "basic" and self._login:
            self._tokens[key] = httpx.BasicAuth(*self._login)._auth_header
        elif scheme.lower() == "bearer":
            asked = dict(re.findall(r'(\w+)="([^"]*)"', rest))
            challenge = yield self._ask(asked, request)
            challenge.read()
            token = challenge.json() if challenge.is_success else {}
            self._tokens[key] = f"Bearer {token.get('token') or token.get('access_token') or ''}"
        else:
            return
        request.headers["authorization"] = self._tokens[key]
        yield request

    def _ask(self, asked: dict[str, str], request: httpx.Request) -> httpx.Request:
        realm = httpx.URL(asked.pop("realm", "")) if asked.get("realm") else request.url
        if self._login and (realm.scheme != "https" and request.url.scheme == "https"):
            raise httpx.UnsupportedProtocol(f"it sends to {realm.host} for a token without TLS", request=request)
        headers = {"authorization": httpx.BasicAuth(*self._login)._auth_header} if self._login else {}
        return httpx.Request("GET", realm.copy_merge_params(asked), headers=headers)


def copy_manifest(
    source: ImageSource, repository: str, version: str, target: RegistryApi, to: str, tag: str
) -> tuple[str, bool]:
    """Copies what a tag or digest names, with all of its platforms, so that its digest stays.

    Returns:
        The digest, and whether anything was copied: what the target has under that tag is not.
    """
    digest = source.digest(repository, version)
    if not digest:
        raise SetupFailed(f"{repository}{'@' if ':' in version else ':'}{version} does not exist and cannot be copied")
    if target.digest(to, tag) == digest:
        return digest, False
    manifest = source.manifest(repository, digest)
    _copy_parts(source, repository, target, to, manifest)
    target.put_manifest(to, tag, manifest)
    return digest, True


def _copy_parts(source: ImageSource, repository: str, target: RegistryApi, to: str, manifest: ImageManifest) -> None:
    body = manifest.body
    for child in body.get("manifests") or []:
        below = source.manifest(repository, child["digest"])
        _copy_parts(source, repository, target, to, below)
        target.put_manifest(to, child["digest"], below)
    for part in [*([body["config"]] if "config" in body else []), *(body.get("layers") or [])]:
        if not part.get("urls") and not target.has_blob(to, part["digest"]):
            target.put_blob(to, part["digest"], part["size"], source.blob(repository, part["digest"]))
