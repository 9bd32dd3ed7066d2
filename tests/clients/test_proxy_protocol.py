"""PROXY protocol headers, and the relay that sends them."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from harness.clients.http import IngressClient
from harness.clients.proxy_protocol import proxy_header, relayed_client
from harness.http_exchange import get

SPECIFIED = {  # https://www.haproxy.org/download/2.1/doc/proxy-protocol.txt
    1: b"PROXY TCP4 203.0.113.7 10.0.0.2 40000 8080\r\n",
    2: b"\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a\x21\x11\x00\x0c"
    b"\xcb\x00\x71\x07\x0a\x00\x00\x02\x9c\x40\x1f\x90",
}


class Server:
    """Answers each connection with 200 once it has the end of a request's headers; `seen` has its bytes."""

    def __init__(self, answer: bytes) -> None:
        self.seen, self._answer = list[bytes](), answer
        self.listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                got = b""
                while b"user-agent" not in got.lower() or not got.endswith(b"\r\n\r\n"):
                    if not (chunk := connection.recv(65536)):
                        break
                    got += chunk
                self.seen.append(got)
                connection.sendall(self._answer)


@pytest.fixture
def server() -> Iterator[Server]:
    found = Server(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok")
    yield found
    found.listener.close()


@pytest.fixture
def silent() -> Iterator[Server]:
    found = Server(b"")
    yield found
    found.listener.close()


@pytest.mark.parametrize("version", [1, 2])
def test_header_is_as_specified(version: int) -> None:
    assert proxy_header(version, "203.0.113.7", ("10.0.0.2", 8080)) == SPECIFIED[version]


@pytest.mark.parametrize("version", [1, 2])
def test_each_connection_begins_with_the_header(server: Server, version: int) -> None:
    """And goes on with the client's request; the answer comes back."""
    host, port = server.listener.getsockname()
    direct = IngressClient(f"http://{host}:{port}", "here")

    with relayed_client(direct, version, "203.0.113.7") as client:
        answers = client.send_over_new_connections(get("/page"), 2)

    header = proxy_header(version, "203.0.113.7", (host, port))
    assert answers.statuses == [200, 200]
    assert [got.startswith(header + b"GET /page HTTP/1.1\r\n") for got in server.seen] == [True, True]
    assert client.via == f"PROXY protocol v{version} from 203.0.113.7 to here"


def test_connection_that_is_closed_gets_no_answer(silent: Server) -> None:
    """What the other side ends is ended here."""
    host, port = silent.listener.getsockname()

    with relayed_client(IngressClient(f"http://{host}:{port}", "here"), 1, "203.0.113.7") as client:
        answer = client.send(get("/"))

    assert answer.status is None
