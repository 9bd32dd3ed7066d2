"""The browser, against a server on loopback."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from harness.clients import chromium
from harness.errors import CannotJudge

FORM = b"<form method=post><input id=login name=login><button type=submit>Log in</button></form>"


class Handler(BaseHTTPRequestHandler):
    """/page leads to a form with a Secure cookie, and the form to a page that names the user agent."""

    def log_message(self, *_: object) -> None: ...

    def do_GET(self) -> None:
        moved = self.path == "/page"
        self.send_response(302 if moved else 200)
        if moved:
            self.send_header("location", "http://other.localhost/form")
            self.send_header("set-cookie", "Token=t;path=/;secure;HttpOnly")
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(b"" if moved else FORM if self.path == "/form" else self.headers["user-agent"].encode())

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(303)
        self.send_header("location", "/done")
        self.end_headers()


@pytest.fixture
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.skipif(not any(map(shutil.which, chromium.PROGRAMS)), reason="no Chromium on PATH")
@pytest.mark.timeout(600)  # a browser on a busy machine
def test_navigation_is_listed(address: str) -> None:
    """Each answer to a navigation with its host; a form's too; and a host's cookies, which another session lacks."""
    with chromium.running({"*.localhost": address}) as found, found.new_session() as tab:
        assert tab.open("http://shop.localhost/page") == ["302 shop.localhost/page", "200 other.localhost/form"]
        assert tab.submit(login="ali") == ["303 other.localhost/form", "200 other.localhost/done"]
        assert tab.submit(login="ali") == []
        assert tab.protected_cookies("http://shop.localhost/") == {"Token": True}
        with found.new_session() as other:
            assert other.protected_cookies("http://shop.localhost/") == {}


def test_without_chromium_nothing_is_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason says what to install."""
    monkeypatch.setenv("PATH", "")
    with pytest.raises(CannotJudge, match=r"none of chromium, .* is on PATH"), chromium.running({}):
        pytest.fail("there is no browser")
