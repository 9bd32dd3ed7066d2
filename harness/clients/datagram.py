"""Sends UDP datagrams and DNS queries from outside the mesh."""

from __future__ import annotations

import base64
import socket
import struct

from harness import observations, timeouts
from harness.record_replay import recorded, refuse_when_replaying

_ID = 0x6D65  # of each query; one is under way at a time
_ANSWER_COUNT = struct.Struct("!HHHH")


def dns_query(name: str) -> bytes:
    """A DNS query for the IPv4 address of a name (RFC 1035, 4.1)."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.rstrip(".").split("."))
    return struct.pack("!HHHHHH", _ID, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", 1, 1)


def count_dns_answers(message: bytes) -> int:
    """How many answers a DNS response to `dns_query` has; 0 for what is no response to it."""
    if len(message) < _ANSWER_COUNT.size:
        return 0
    id_, flags, _, count = _ANSWER_COUNT.unpack(message[: _ANSWER_COUNT.size])
    return int(count) if id_ == _ID and flags & 0x8000 else 0


def send_datagram(host: str, port: int, payload: bytes) -> bytes | None:
    """The first datagram that comes back to one; None if none does within timeouts.DATAGRAM."""
    found = _ask(host, port, base64.b64encode(payload).decode())
    observations.record_sighting("UDP client", f"{len(found) if found else 'no'} bytes back from {host}:{port}")
    return found


@recorded(
    "datagram",
    pack=lambda found: None if found is None else base64.b64encode(found).decode(),
    unpack=lambda found: None if found is None else base64.b64decode(found),
)
def _ask(host: str, port: int, payload: str) -> bytes | None:
    refuse_when_replaying(f"a datagram to {host}:{port}")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sender:
        sender.settimeout(timeouts.DATAGRAM)
        sender.connect((host, port))
        sender.send(base64.b64decode(payload))
        try:
            return sender.recv(65535)
        except (TimeoutError, ConnectionRefusedError):
            return None
