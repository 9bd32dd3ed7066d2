"""Certificates of a run: real handshakes with them, and the Secrets that get them."""

import base64
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from harness.clients.certificates import COMMON_NAME, HOSTS, Authority, Certificate
from harness.clients.http import IngressClient
from harness.http_exchange import get
from harness.record_replay import key
from harness.report.redact import redact

HOST = "secure.example"
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok"


@contextmanager
def serving(tmp_path: Path, shown: Certificate, *, clients: Authority | None = None) -> Iterator[str]:
    """The URL of a server that answers 200 to one connection; with `clients` only to one with their certificate."""
    file = tmp_path / "server.pem"
    file.write_text(shown.certificate + shown.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    if clients:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=clients.certificate)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            try:
                with context.wrap_socket(listener.accept()[0], server_side=True) as connection:
                    connection.recv(4096)
                    connection.sendall(ANSWER)
            except OSError:  # a handshake that fails is what some tests are about
                return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join(10)


def secret(**annotations: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "secure", "namespace": "default", "annotations": annotations},
        "data": {"tls.crt": "", "tls.key": ""},
    }


def test_client_knows_who_served_it(tmp_path: Path) -> None:
    """A client that trusts the authority sends the request's host as server name, and reports the common name."""
    authority = Authority()
    with serving(tmp_path, authority.issue("first", HOST)) as url:
        client = IngressClient(url, "a test", tls=authority.client_context())
        answer = client.send(get("/", host=HOST))

    assert (answer.status, answer.body, answer.served_by) == (200, "ok", "first")


@pytest.mark.parametrize(("authority", "host"), [(Authority("another"), HOST), (None, "other.example")])
def test_client_refuses_other_certificates(tmp_path: Path, authority: Authority | None, host: str) -> None:
    """Of another authority, or for another host: no answer, and the error says why."""
    own = Authority()
    with serving(tmp_path, (authority or own).issue("first", HOST)) as url:
        answer = IngressClient(url, "a test", tls=own.client_context()).send(get("/", host=host))

    assert answer.status is None
    assert "CERTIFICATE_VERIFY_FAILED" in answer.error


def test_client_shows_its_certificate(tmp_path: Path) -> None:
    """A server that requires the authority's certificates answers a client that has one, and no other."""
    own, another = Authority(), Authority("another")
    statuses = []
    for shown in (own.issue("known"), another.issue("stranger"), None):
        with serving(tmp_path, own.issue("first", HOST), clients=own) as url:
            client = IngressClient(url, "a test", tls=own.client_context(shown))
            statuses.append(client.send(get("/", host=HOST)).status)

    assert statuses == [200, None, None]


def test_secret_gets_what_its_annotations_name() -> None:
    """The same whenever it is read, others untouched; nothing of it is shown, and it is no part of what is asked."""
    authority = Authority()
    document = secret(**{COMMON_NAME: "first", HOSTS: HOST})
    completed = authority.complete(document)
    issued = authority.issue("first", HOST)
    settings = {"kind": "ConfigMap", "metadata": {"annotations": {COMMON_NAME: "x"}}, "data": {"ca.crt": ""}}
    other: dict[str, Any] = {"kind": "ConfigMap", "metadata": {}, "data": {"a": "b"}}

    assert {name: base64.b64decode(value).decode() for name, value in completed["data"].items()} == {
        "tls.crt": issued.certificate,
        "tls.key": issued.key,
    }
    assert authority.complete(document) == completed
    assert authority.complete(secret()) == secret()
    assert authority.complete(other) == other
    assert authority.complete(settings)["data"] == {"ca.crt": authority.certificate}
    assert key({"documents": [completed]}) == key({"documents": [Authority().complete(document)]})
    assert key({"documents": [other]}) != key({"documents": [other | {"data": {}}]})
    assert issued.key not in repr(issued)
    assert "PRIVATE" not in redact(issued.key)
