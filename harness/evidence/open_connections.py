"""Open connections of ztunnel, in the form of its access log lines. Pure.

ztunnel writes a connection's line when it closes. Until then its config_dump lists it, without a time and without the
other end's identity (tests/recordings/open-connection). A request whose connection has left no line was carried by one
that is open: that holds where the list was read before the log.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime

from harness.logs.ztunnel import Endpoint, ZtunnelLine
from harness.proxy.ztunnel_dump import OpenConnection

SINCE = 24 * 3600 * 1000.0  # ms that it is taken to be open: when it was opened is not known


def lines_of_open_connections(connections: Iterable[OpenConnection], at: datetime) -> list[ZtunnelLine]:
    """A line for each, as of the moment when the list was read."""
    return [_line(one, at) for one in connections]


def _line(one: OpenConnection, at: datetime) -> ZtunnelLine:
    outbound, hbone = one.direction == "outbound", one.protocol == "HBONE"
    own = (one.workload, one.namespace, one.identity if hbone else None)
    asked = (one.original_dst if outbound else one.actual_dst) if hbone else None
    src = Endpoint(one.src, None, *own) if outbound else Endpoint(one.src)
    dst = Endpoint(one.actual_dst, asked) if outbound else Endpoint(one.actual_dst, asked, *own)
    raw = json.dumps(asdict(one))
    return ZtunnelLine(at, "info", "connection open", src, dst, one.direction, 0, 0, SINCE, None, raw, is_open=True)
