"""Parses ztunnel's log: connections, and ports that it could not bind.

ztunnel writes one access line per connection and side, when the connection closes: 2 s after a productpage call,
5 s after a ratings call, up to 30 s behind a waypoint that gets no more requests (Envoy keeps its connections).
So one line may stand for several requests, and a line that does not exist yet proves nothing.

Formats: plain (tab separated, the default) and JSON (LOG_FORMAT=json). Field names from tests/recordings/logs
and ztunnel's src/proxy/metrics.rs; the README of ztunnel calls the format unstable.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from harness.logs.unreadable import NONE_UNREADABLE, UnreadableLines
from harness.objects.address_with_port import host_of

SCOPE = "access"
# At debug level ztunnel also writes "connection opened": the same connection once more, without its outcome.
MESSAGES = frozenset({"connection complete", "connection failed"})

_FIELD = re.compile(r'([A-Za-z_][\w.]*)=("(?:[^"\\]|\\.)*"|[^\s"]\S*)(?=\s|$)')
_ESCAPE = re.compile(r"\\(u\{([0-9a-fA-F]{1,6})\}|.)")
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "0": "\0"}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s)")
_TO_MS = {"ns": 1e-6, "us": 1e-3, "µs": 1e-3, "ms": 1.0, "s": 1e3}
_BIND = re.compile(r"failed to bind to address (\S+?): ([^\t\n]*)")
_UID = re.compile(r'uid="([^"]*)"')


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One end of a connection; None where ztunnel says nothing.

    addr is "ip:port". The port of a dst is 15008 for HBONE, and hbone_addr then holds the address that was asked for
    inside the tunnel. identity is a SPIFFE id; on a line with an error it is what was wanted, not what was proven.
    """

    addr: str
    hbone_addr: str | None = None
    workload: str | None = None
    namespace: str | None = None
    identity: str | None = None
    service: str | None = None

    @property
    def ip(self) -> str:
        """The address without its port."""
        return host_of(self.addr)


@dataclass(frozen=True, slots=True)
class ZtunnelLine:
    """One connection seen from one side, at its end.

    direction is "outbound" (the source's ztunnel writes) or "inbound" (the destination's). bytes are counted from
    the writer's side and are the same two numbers, exchanged, on the other side. Inbound, src.addr carries the port
    of the HBONE connection, which many connections share; only the IP is the client's.
    A line with "connection failed" has neither bytes nor a duration: ztunnel never got as far.
    """

    time: datetime
    level: str
    message: str
    src: Endpoint
    dst: Endpoint
    direction: str
    bytes_sent: int
    bytes_recv: int
    duration_ms: float | None
    error: str | None
    raw: str = field(repr=False)
    is_open: bool = False  # not a line: it is open still, see harness/evidence/open_connections.py

    @property
    def is_hbone(self) -> bool:
        """Whether ztunnel used (or with an error: tried) an HBONE tunnel; False is plain TCP past the mesh."""
        return self.dst.hbone_addr is not None

    @property
    def is_ok(self) -> bool:
        """Whether the connection ended without an error."""
        return self.error is None and self.level.lower() not in {"error", "warn"}

    @property
    def is_policy_rejection(self) -> bool:
        """Whether a policy is what ended it, as the destination's ztunnel says."""
        return "policy rejection" in (self.error or "")

    @property
    def opened(self) -> datetime:
        """When the connection began, to the millisecond; its end where no duration is given."""
        return self.time - timedelta(milliseconds=self.duration_ms or 0.0)


@dataclass(frozen=True, slots=True)
class ParsedZtunnelLog:
    """The access lines of a log, oldest first as written.

    skipped counts the lines that are about something else; unreadable are those that look like access lines and could
    not be read (a log cut in the middle of a line, a new format).
    """

    lines: tuple[ZtunnelLine, ...]
    skipped: int
    unreadable: UnreadableLines = NONE_UNREADABLE


@dataclass(frozen=True, slots=True)
class BindFailure:
    """A port that ztunnel wanted in a pod's network and could not have, e.g. "[::]:15008".

    text is the operating system's reason. uid is the pod's, where the line has it. ztunnel tries again every 5 s and
    writes each time, and its own pod is not Ready meanwhile.
    """

    time: datetime
    address: str
    text: str
    uid: str | None = None


def parse_ztunnel_log(text: str) -> ParsedZtunnelLog:
    """The access lines in the text, both formats, even mixed. Never raises."""
    lines: list[ZtunnelLine] = []
    skipped, unreadable = 0, list[str]()
    for raw in _rows(text):
        line = parse_ztunnel_line(raw)
        if line is not None:
            lines.append(line)
        elif _claims_access(raw):
            unreadable.append(raw)
        else:
            skipped += 1
    return ParsedZtunnelLog(tuple(lines), skipped, UnreadableLines.of(unreadable))


def parse_ztunnel_line(raw: str) -> ZtunnelLine | None:
    """The connection this line is about, or None when it is no (readable) access line. Never raises."""
    raw = raw.strip("\r\n")
    fields = _json(raw) if raw.lstrip().startswith("{") else _plain(raw)
    if fields is None or fields.get("scope") != SCOPE or fields.get("message") not in MESSAGES:
        return None
    try:
        time, src, dst = _time(fields["time"]), _endpoint(fields, "src"), _endpoint(fields, "dst")
        return ZtunnelLine(
            time=time,
            level=fields["level"],
            message=fields["message"],
            src=src,
            dst=dst,
            direction=fields["direction"],
            bytes_sent=int(fields.get("bytes_sent", "0")),
            bytes_recv=int(fields.get("bytes_recv", "0")),
            duration_ms=_milliseconds(fields["duration"]) if "duration" in fields else None,
            error=fields.get("error"),
            raw=raw,
        )
    except (KeyError, ValueError, OverflowError):
        return None  # Half a line, or a format we do not know: parse() counts it.


def parse_bind_failures(text: str) -> tuple[BindFailure, ...]:
    """Every "failed to bind to address" in the text, in order, each retry on its own. Never raises."""
    found = []
    for raw in _rows(text):
        match = _BIND.search(raw)
        fields = _json(raw) if raw.lstrip().startswith("{") else None
        if fields is not None:
            match = _BIND.search(" ".join((fields.get("message", ""), fields.get("error", ""))))
        if not match:
            continue
        try:
            time = _time(fields["time"] if fields is not None else raw.partition("\t")[0])
        except (KeyError, ValueError, OverflowError):
            continue  # The words alone, without a time, are some other text that quotes them.
        uid = _UID.search(raw)
        pod_uid = fields.get("uid") if fields is not None else (uid.group(1) if uid else None)
        found.append(BindFailure(time, match.group(1), match.group(2).strip(), pod_uid))
    return tuple(found)


def _rows(text: str) -> Iterator[str]:
    # Not splitlines(): it would also cut at characters that an error text may hold.
    return (row for row in text.split("\n") if row.strip())


def _claims_access(raw: str) -> bool:
    """By its scope, or in a format of another shape by what every access line has: both ends of a connection."""
    if "connection opened" in raw:
        return False
    if raw.lstrip().startswith("{"):
        return '"scope":"access"' in raw.replace(" ", "") or ("src.addr" in raw and "dst.addr" in raw)
    return f"\t{SCOPE}\t" in raw or ("src.addr" in raw and "dst.addr" in raw)


def _plain(raw: str) -> dict[str, str] | None:
    """`time TAB level TAB scope TAB message TAB key=value key="value" ...` as a flat dictionary."""
    head = raw.split("\t", 4)
    if len(head) != 5:
        return None
    fields = {key: _unquote(value) for key, value in _FIELD.findall(head[4])}
    time, level, scope, message = head[:4]
    return fields | {"time": time, "level": level.strip(), "scope": scope, "message": message}


def _json(raw: str) -> dict[str, str] | None:
    """The JSON form as the same flat dictionary; numbers become text, nested values are left out."""
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    return {key: str(value) for key, value in found.items() if isinstance(value, str | int | float)}


def _unquote(value: str) -> str:
    """Rust's Debug form of a string back to the string; an address or number has no quotes and stays."""
    if not value.startswith('"'):
        return value
    return _ESCAPE.sub(_unescape, value[1:-1])


def _unescape(match: re.Match[str]) -> str:
    code = match.group(2)
    if code is not None:
        return chr(int(code, 16)) if int(code, 16) < 0x110000 else match.group(0)
    return _ESCAPED.get(match.group(1), match.group(1))


def _endpoint(fields: Mapping[str, str], side: str) -> Endpoint:
    rest = {
        name: fields.get(f"{side}.{name}") for name in ("hbone_addr", "workload", "namespace", "identity", "service")
    }
    return Endpoint(fields[f"{side}.addr"], **rest)


def _time(value: str) -> datetime:
    """An aware time; ValueError for any text that names no moment."""
    time = datetime.fromisoformat(value)
    if time.tzinfo is None:
        raise ValueError(f"no time zone in {value!r}")
    return time


def _milliseconds(value: str) -> float:
    match = _DURATION.fullmatch(value)
    if not match:
        raise ValueError(f"no duration: {value!r}")
    return float(match.group(1)) * _TO_MS[match.group(2)]
