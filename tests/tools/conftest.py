"""The fakes' fixtures for the tests of this folder, and a server of releases on loopback."""

import functools
import hashlib
import io
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from harness.settings import Settings
from harness.tools.published import FILE, this_platform


@dataclass
class Releases:
    """Files by path, what was asked for, and statuses that come first; `settings` point at it."""

    url: str
    settings: Settings
    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    first: list[int] = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, releases: list[Releases], *rest: object) -> None:
        self.releases = releases
        super().__init__(*rest)  # type: ignore[arg-type]  # as the server calls it

    def do_GET(self) -> None:
        (served,) = self.releases
        served.asked.append(self.path)
        body = served.files.get(self.path)
        status = served.first.pop(0) if served.first else 200 if body is not None else 404
        self.send_response(status)
        self.send_header("content-length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *_: object) -> None:
        """Nothing on standard error."""


@pytest.fixture
def releases(settings: Settings, tmp_path: Path, own_world: None) -> Iterator[Releases]:
    """A mirror with all three programs, small shell scripts, and a tools.yaml with their SHA-256."""
    held: list[Releases] = []
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Handler, held)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        named = yaml.safe_load(FILE.read_text())
        of, files = this_platform(), {}
        system, _, architecture = of.partition("-")
        for name, tool in named["tools"].items():
            body = script(f"{name} v{tool['version']}")
            if "member" in tool:
                body = archive(tool["member"].format(os=system, arch=architecture), body)
            path = tool["url"].format(version=tool["version"], os=system, arch=architecture).removeprefix("https:/")
            files[path], tool["sha256"] = body, {of: hashlib.sha256(body).hexdigest()}
        file = tmp_path / "tools.yaml"
        file.write_text(yaml.safe_dump(named))
        chosen = settings.model_copy(
            update={"tools": tmp_path / "fetched", "tools_file": file, "tools_mirror": f"{url}/"}
        )
        held.append(Releases(url, chosen, files))
        yield held[0]
        server.shutdown()


def script(says: str) -> bytes:
    return f"#!/bin/sh\necho '{says}'\n".encode()


def archive(member: str, body: bytes) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        info = tarfile.TarInfo(member)
        info.size = len(body)
        tar.addfile(info, io.BytesIO(body))
    return made.getvalue()
