"""Datagrams and DNS queries."""

import socket
import threading

import pytest

from harness import timeouts
from harness.clients import datagram
from tests.patience import SOON


def test_query_is_one_question() -> None:
    """RFC 1035: one question for an IPv4 address, the name's labels with their lengths."""
    sent = datagram.dns_query("a.example")

    assert sent[2:12] == b"\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"
    assert sent[12:] == b"\x01a\x07example\x00\x00\x01\x00\x01"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda sent: sent[:2] + b"\x81\x80\x00\x01\x00\x02" + sent[8:], 2),
        (lambda sent: sent, 0),
        (lambda sent: b"\x00\x00\x81\x80\x00\x01\x00\x02" + sent[8:], 0),
        (lambda sent: b"", 0),
    ],
    ids=["response", "query", "another", "nothing"],
)
def test_answers_are_those_of_a_response(change: object, expected: int) -> None:
    """The query itself, a response to another one and nothing have no answers."""
    assert callable(change)
    assert datagram.count_dns_answers(change(datagram.dns_query("a.example"))) == expected


def test_datagram_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """What an echo server sends back, and None where nobody answers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]

        def echo() -> None:
            server.sendto(*server.recvfrom(100))

        thread = threading.Thread(target=echo)
        thread.start()
        monkeypatch.setattr(timeouts, "DATAGRAM", SOON)
        assert datagram.send_datagram("127.0.0.1", port, b"hello") == b"hello"
        thread.join()
        monkeypatch.setattr(timeouts, "DATAGRAM", 0.05)
        assert datagram.send_datagram("127.0.0.1", port, b"hello") is None
