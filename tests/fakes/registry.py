"""A registry in memory, behind httpx: manifests, blobs, uploads, and a login or tokens if it wants them."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

import httpx


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


class FakeRegistry:
    """`wants`: "" for nothing, "basic" for me:geheim, "bearer" for a token that me:geheim gets."""

    def __init__(self, wants: str = "") -> None:
        self.wants = wants
        self.manifests: dict[tuple[str, str], tuple[bytes, str]] = {}
        self.blobs: dict[tuple[str, str], bytes] = {}
        self.asked: list[str] = []  # method and path
        self.status = 0  # with which everything is refused

    @property
    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self._answer)

    def put_image(self, repository: str, tag: str, architecture: str = "amd64") -> str:
        """An image of one layer; returns its digest."""
        body: dict[str, Any] = {"schemaVersion": 2}
        config, layer = (
            f'{{"architecture": "{architecture}"}}'.encode(),
            f"{repository.rpartition('/')[2]} {architecture}".encode(),
        )
        for data in (config, layer):
            self.blobs[repository, digest(data)] = data
        body["config"] = {"digest": digest(config), "size": len(config)}
        body["layers"] = [{"digest": digest(layer), "size": len(layer)}]
        return self._put(repository, tag, body, "application/vnd.oci.image.manifest.v1+json")

    def put_index(self, repository: str, tag: str, *architectures: str) -> str:
        """An index of images by architecture; returns its digest."""
        below = [{"digest": self.put_image(repository, "", one)} for one in architectures]
        return self._put(repository, tag, {"manifests": below}, "application/vnd.oci.image.index.v1+json")

    def _put(self, repository: str, tag: str, body: dict[str, Any], kind: str) -> str:
        data = json.dumps(body).encode()
        for version in filter(None, (tag, digest(data))):
            self.manifests[repository, version] = (data, kind)
        return digest(data)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(f"{request.method} {request.url.path}")
        if request.url.path == "/token":
            known = request.headers.get("authorization") == httpx.BasicAuth("me", "geheim")._auth_header
            return httpx.Response(200, json={"token": "good" if known else "poor"})
        refused = self._refused(request)
        if refused:
            return refused
        if self.status:
            return httpx.Response(self.status)
        found = re.fullmatch(r"/v2/(.+)/(manifests|blobs)/(.*)", request.url.path)
        assert found
        repository, kind, version = found.groups()
        return (
            self._manifest(request, repository, version)
            if kind == "manifests"
            else self._blob(request, repository, version)
        )

    def _refused(self, request: httpx.Request) -> httpx.Response | None:
        basic = httpx.BasicAuth("me", "geheim")._auth_header
        challenge = {
            "basic": 'Basic realm="x"',
            "bearer": 'Bearer realm="https://auth.test/token",service="s",scope="x"',
        }
        good = {"basic": basic, "bearer": "Bearer good"}
        if self.wants and request.headers.get("authorization") != good[self.wants]:
            return httpx.Response(401, headers={"www-authenticate": challenge[self.wants]})
        return None

    def _manifest(self, request: httpx.Request, repository: str, version: str) -> httpx.Response:
        if request.method == "PUT":
            body = json.loads(request.content)
            for child in body.get("manifests", []):
                if (repository, child["digest"]) not in self.manifests:
                    return httpx.Response(400, text="manifest blob unknown")
            for part in [*filter(None, [body.get("config")]), *body.get("layers", [])]:
                if (repository, part["digest"]) not in self.blobs:
                    return httpx.Response(400, text="blob unknown")
            for one in {version, digest(request.content)}:
                self.manifests[repository, one] = (request.content, request.headers["content-type"])
            return httpx.Response(201)
        data, kind = self.manifests.get((repository, version), (b"", ""))
        if not data:
            return httpx.Response(404, json={"errors": [{"code": "MANIFEST_UNKNOWN"}]})
        headers = {"content-type": kind, "docker-content-digest": digest(data)}
        return httpx.Response(200, content=data if request.method == "GET" else b"", headers=headers)

    def _blob(self, request: httpx.Request, repository: str, version: str) -> httpx.Response:
        if request.method == "POST":
            return httpx.Response(202, headers={"location": f"/v2/{repository}/blobs/uploads/1?state=a"})
        if request.method == "PUT":
            named, data = request.url.params["digest"], request.read()
            if (
                named != digest(data)
                or request.url.params["state"] != "a"
                or int(request.headers["content-length"]) != len(data)
            ):
                return httpx.Response(400, text="DIGEST_INVALID")
            self.blobs[repository, named] = data
            return httpx.Response(201)
        data = self.blobs.get((repository, version))
        if data is None:
            return httpx.Response(404)
        return httpx.Response(200, content=data if request.method == "GET" else b"")
