"""A connection as ztunnel sees it, and the access log line that ztunnel writes when it closes. Pure.

Format of logs/ztunnel.log and variants/ztunnel-two-nodes.log in tests/recordings.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from harness.cluster.emulated.network.model import MeshWorkload

RESET = "io error: Connection reset by peer (os error 104)"
TLS_EOF = "io error: tls handshake eof"
NOT_ALLOWED = "connection closed due to policy rejection: allow policies exist, but none allowed"


@dataclass(slots=True)
class Connection:
    """What is known of a connection on one side of it; `sent` and `received` are bytes, seen from that side.

    `mtls` is whether both ends proved who they are. `workload`'s ztunnel is the one that writes.
    """

    direction: str  # outbound, inbound
    workload: MeshWorkload
    src_addr: str
    src: MeshWorkload | None
    dst_addr: str
    dst: MeshWorkload | None
    hbone_addr: str | None = None
    service: str | None = None
    mtls: bool = False
    sent: int = 0
    received: int = 0
    error: str = ""
    began: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def original_dst(self) -> str:
        return self.hbone_addr or self.dst_addr


def now() -> datetime:
    return datetime.now(UTC)


def stamp(at: datetime) -> str:
    """ztunnel's time stamp: RFC 3339 with microseconds."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def line(level: str, scope: str, message: str, fields: str = "", at: datetime | None = None) -> str:
    """One line of ztunnel's log; its parts are separated by tabs, the last may be empty."""
    return f"{stamp(at or now())}\t{level}\t{scope}\t{message}\t{fields}"


def complete(flow: Connection, ended: datetime) -> str:
    """The line of a connection that has ended, `connection complete` also when it failed."""
    fields = [f"src.addr={flow.src_addr}", *_peer("src", flow.src, flow.mtls), f"dst.addr={flow.dst_addr}"]
    if flow.hbone_addr:
        fields.append(f"dst.hbone_addr={flow.hbone_addr}")
    if flow.service:
        fields.append(f'dst.service="{flow.service}"')
    fields += _peer("dst", flow.dst, flow.mtls)
    ms = round((ended - flow.began).total_seconds() * 1000)
    fields.append(f'direction="{flow.direction}" bytes_sent={flow.sent} bytes_recv={flow.received} duration="{ms}ms"')
    if flow.error:
        fields.append(f'error="{flow.error}"')
    return line("error" if flow.error else "info", "access", "connection complete", " ".join(fields), ended)


def failed(src_addr: str, dst_addr: str, direction: str, error: str) -> str:
    """The line of a connection that ztunnel could not send anywhere."""
    fields = f'src.addr={src_addr} dst.addr={dst_addr} direction="{direction}" error="{error}"'
    return line("warn", "access", "connection failed", fields)


def _peer(side: str, workload: MeshWorkload | None, mtls: bool) -> list[str]:
    if workload is None:
        return []
    fields = [f'{side}.workload="{workload.name}"', f'{side}.namespace="{workload.namespace}"']
    if mtls:
        fields.append(f'{side}.identity="{workload.identity}"')
    return fields
