"""Parses Envoy's access log in Envoy Gateway's default JSON format.

Keys from tests/recordings/logs and Envoy Gateway's internal/xds/translator/accesslog.go; the same in 1.5-1.9.
Envoy's own messages share the stdout and are skipped. A request's line is written when its answer ends.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from harness.logs.unreadable import NONE_UNREADABLE, UnreadableLines
from harness.objects.address_with_port import host_of
from harness.objects.unstructured import maybe_number, maybe_text, text

# Envoy's own default format of an access line, text: `[2026-01-01T00:00:00.000Z] "GET / HTTP/1.1" 200 ...`. Its other
# messages have a space in the time.
_TEXT_FORMAT = re.compile(r'\[\d{4}-\d\d-\d\dT[^\]]*\] "')


@dataclass(frozen=True, slots=True)
class AccessLine:
    """One request that Envoy answered, or one TCP connection: then method is None and status 0.

    flags is "-" when nothing went wrong, else Envoy's short cause: RL limited, UO overflow, UF connect failure,
    UH no healthy host, NR no route, NC no cluster. details is the long form ("via_upstream", "request_rate_limited").
    Addresses are "ip:port". Behind a waypoint downstream_remote_address has the client's IP with a port of ztunnel's
    own choice; upstream_local_address is None for an answer that Envoy gave by itself.
    """

    start_time: datetime
    method: str | None
    path: str | None
    authority: str | None
    status: int
    flags: str
    details: str | None
    duration_ms: int
    request_id: str | None
    user_agent: str | None
    route_name: str | None
    upstream_cluster: str | None
    upstream_host: str | None
    upstream_local_address: str | None
    downstream_local_address: str
    downstream_remote_address: str
    raw: Mapping[str, Any] = field(repr=False)

    @property
    def end_time(self) -> datetime:
        """When the answer had been sent, to the millisecond."""
        return self.start_time + timedelta(milliseconds=self.duration_ms)

    @property
    def client_ip(self) -> str:
        """The downstream address without its port."""
        return host_of(self.downstream_remote_address)

    @property
    def proxy_ip(self) -> str:
        """The address at which this Envoy was reached, without its port."""
        return host_of(self.downstream_local_address)


@dataclass(frozen=True, slots=True)
class ParsedAccessLog:
    """The access lines of a log, in order as written, and what looks like more of them. Envoy's own messages are
    neither."""

    lines: tuple[AccessLine, ...]
    unreadable: UnreadableLines = NONE_UNREADABLE


def parse_access_log(text: str) -> ParsedAccessLog:
    """The access lines in the text. Never raises."""
    candidates = [raw for raw in text.split("\n") if raw.lstrip().startswith("{") or _TEXT_FORMAT.match(raw)]
    read = [(raw, parse_access_line(raw)) for raw in candidates]
    return ParsedAccessLog(
        tuple(line for _, line in read if line is not None),
        UnreadableLines.of(raw for raw, line in read if line is None),
    )


def parse_access_line(raw: str) -> AccessLine | None:
    """The request this line is about, or None when it is no (readable) access line. Never raises."""
    try:
        found = json.loads(raw)
        start = datetime.fromisoformat(text(found, "start_time"))
    except (ValueError, RecursionError):
        return None
    status, duration = maybe_number(found, "response_code"), maybe_number(found, "duration")
    flags = maybe_text(found, "response_flags")
    if start.tzinfo is None or status is None or flags is None:
        return None
    try:
        start + timedelta(milliseconds=duration or 0)
    except OverflowError:
        return None
    return AccessLine(
        start_time=start,
        method=maybe_text(found, "method"),
        path=maybe_text(found, "x-envoy-origin-path"),
        authority=maybe_text(found, ":authority"),
        status=status,
        flags=flags,
        details=maybe_text(found, "response_code_details"),
        duration_ms=duration or 0,
        request_id=maybe_text(found, "x-request-id"),
        user_agent=maybe_text(found, "user-agent"),
        route_name=maybe_text(found, "route_name"),
        upstream_cluster=maybe_text(found, "upstream_cluster"),
        upstream_host=maybe_text(found, "upstream_host"),
        upstream_local_address=maybe_text(found, "upstream_local_address"),
        downstream_local_address=text(found, "downstream_local_address"),
        downstream_remote_address=text(found, "downstream_remote_address"),
        raw=found,  # A JSON object: from anything else no start_time could have been read.
    )
