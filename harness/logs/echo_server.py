"""Parses the log of the echo backend: one JSON object for each request.

Seen with fortio 1.75.3: `msg` "Echo", `method`, `url`, `host`, `proto`, `remote_addr`, `status`, `user-agent`, and
every other header as `header.<name>`, several values joined by a comma, and over TLS `tls` true. Its other
messages have another `msg`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from harness.logs.unreadable import NONE_UNREADABLE, UnreadableLines
from harness.objects.address_with_port import host_of

_HEADER = "header."
# Messages of its TCP and UDP servers: who connected, who sent a datagram.
_TCP = re.compile(r"^TCP echo server .* accepted connection from (\S+) -> ")
_UDP = re.compile(r"^UDP echo server .* read \d+ from \S+ -> (\S+)$")


@dataclass(frozen=True, slots=True)
class Received:
    """One request as the backend received it. `backend` names the workload that did, `client` is "ip:port"; `tls`: it
    came over TLS."""

    time: datetime
    backend: str
    method: str
    path: str
    host: str
    protocol: str
    client: str
    status: int
    user_agent: str
    headers: Mapping[str, str]
    raw: str
    tls: bool = False


@dataclass(frozen=True, slots=True)
class Parsed:
    """The requests of a log, in order as written, and the lines that should be some and cannot be read."""

    requests: tuple[Received, ...]
    unreadable: UnreadableLines = NONE_UNREADABLE


def parse_echo_log(text: str, backend: str) -> Parsed:
    """The requests in a workload's log. Never raises."""
    found, lost = [], []
    for raw in text.split("\n"):
        if '"Echo"' not in raw:
            continue
        try:
            found.append(_received(json.loads(raw), backend, raw))
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
            lost.append(raw)
    return Parsed(tuple(found), UnreadableLines.of(lost))


def tcp_clients(text: str, since: datetime) -> list[str]:
    """The IPs of those who connected since then, a connection each. Never raises."""
    return _clients(text, since, _TCP)


def udp_clients(text: str, since: datetime) -> list[str]:
    """The IPs of those who sent a datagram since then, a datagram each. Never raises."""
    return _clients(text, since, _UDP)


def _clients(text: str, since: datetime, message: re.Pattern[str]) -> list[str]:
    found = []
    for raw in text.split("\n"):
        try:
            one = json.loads(raw)
            matched = message.match(str(one["msg"]))
            if matched and float(one["ts"]) >= since.timestamp():
                found.append(host_of(matched[1]))
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
    return found


def _received(one: Mapping[str, object], backend: str, raw: str) -> Received:
    return Received(
        time=datetime.fromtimestamp(float(str(one["ts"])), UTC),
        backend=backend,
        method=str(one["method"]),
        path=str(one["url"]),
        host=str(one["host"]),
        protocol=str(one["proto"]),
        client=str(one["remote_addr"]),
        status=int(str(one["status"])),
        user_agent=str(one.get("user-agent", "")),
        headers={name.removeprefix(_HEADER): str(value) for name, value in one.items() if name.startswith(_HEADER)},
        raw=raw,
        tls=one.get("tls") is True,
    )
