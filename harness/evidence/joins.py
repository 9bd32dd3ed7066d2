"""Joins the log lines of the same request or connection.

What joins what, as the recordings have it (tests/recordings/logs, tests/recordings/variants):

1. Our id -> access lines, by user-agent. `user-agent: e2e/<id>` is passed on by productpage and reviews, so the same
   id finds the ingress line and the waypoint lines. x-request-id does not: each Envoy Gateway proxy has
   use_remote_address and takes every client for an outsider, so the waypoint writes a new id over the old one. (569
   ids are recorded and no two proxies share one; logs/access-waypoint-200.json falls inside the ingress line of
   00:34:40.830 and has another.) For proxies configured to preserve it, a waypoint line with the ingress line's id is
   taken too.
2. Envoy -> its upstream: upstream_local_address is src.addr of the ztunnel outbound line, port and all (33 of 33).
   Envoy keeps connections: one ztunnel line may carry several requests (two of the three in
   variants/waypoint2-envoy.log) and is written when the connection closes, up to 30 s later. That is not ambiguous.
3. Client -> waypoint: no port survives. ztunnel tunnels inside a shared HBONE connection (whose port is src.addr of
   the inbound line) and then dials Envoy from the client's IP with a port of its own choice, and that is what Envoy
   logs as downstream_remote_address. What survives is the client's IP, the waypoint pod's IP, and time: the
   connection encloses the request. Of several that do, the closest is taken; a client with many requests at once
   (hey: 200 lines fit one request) cannot be distinguished further, so a join is ambiguous only when the lines that
   fit differ in identity, protocol or outcome.
4. Outbound line -> inbound line of one connection: same dst.addr, dst.hbone_addr and source IP, bytes_sent and
   bytes_recv exchanged, begun and ended at the same time. dst.service is no help: on the way to a waypoint it is the
   called Service outbound and the waypoint's own Service inbound; behind it, absent outbound.
"""

from collections.abc import Iterable
from datetime import timedelta

from harness.logs.envoy_access import AccessLine
from harness.logs.ztunnel import ZtunnelLine
from harness.objects.address_with_port import host_of

# Two witnesses of one connection were at most 9 ms apart on two busy cores; a starved node may be slower.
TOLERANCE = timedelta(milliseconds=100)


def is_open_throughout(z: ZtunnelLine, line: AccessLine) -> bool:
    """Whether the connection was open during the whole request, within TOLERANCE."""
    return z.opened - TOLERANCE <= line.start_time and line.end_time <= z.time + TOLERANCE


def is_open_during(z: ZtunnelLine, line: AccessLine) -> bool:
    """Whether the connection was open at some time of the request: Envoy may dial only after the request began."""
    return z.opened - TOLERANCE <= line.end_time and line.start_time <= z.time + TOLERANCE


def is_other_side_of(z: ZtunnelLine, out: ZtunnelLine) -> bool:
    """Whether z is the inbound side of the connection of which out is the outbound side.

    Of connections that are open still nothing but the two pods is known: any between them may be it.
    """
    if z.is_open or out.is_open:
        alike = (z.is_open, z.dst.ip, z.src.ip, z.is_hbone) == (out.is_open, out.dst.ip, out.src.ip, out.is_hbone)
        return z.direction == "inbound" and alike
    return (
        z.direction == "inbound"
        and (z.dst.addr, z.dst.hbone_addr, z.src.ip) == (out.dst.addr, out.dst.hbone_addr, out.src.ip)
        and (z.bytes_sent, z.bytes_recv) == (out.bytes_recv, out.bytes_sent)
        and abs(z.time - out.time) <= TOLERANCE
        and abs(z.opened - out.opened) <= TOLERANCE
    )


def distance(z: ZtunnelLine, line: AccessLine) -> tuple[float, float]:
    """How badly the connection fits around the request: seconds that stick out, then seconds too long."""
    none = timedelta(0)
    out = max(none, z.opened - line.start_time) + max(none, line.end_time - z.time)
    return out.total_seconds(), (z.time - z.opened).total_seconds()


def mirror_distance(z: ZtunnelLine, out: ZtunnelLine) -> tuple[float, float]:
    """How far apart the two sides say the connection ended, then began, in seconds."""
    return abs(z.time - out.time).total_seconds(), abs(z.opened - out.opened).total_seconds()


def ip_of(address: str | None) -> str:
    """The IP of "ip:port" or "[ip]:port"; "" for None."""
    return host_of(address)


def find_connection_lines(
    lines: Iterable[ZtunnelLine], *, source: str, around: AccessLine, reaches: str
) -> tuple[ZtunnelLine, ...]:
    """The source's lines of the connection that was dialled from `source` ("ip:port") and carried this request.

    reaches is where it went: an IP, or the address asked for inside the tunnel (dialled, in plain text). Usually the
    source port says which one it is. But the kernel redirects every connection of a pod to ztunnel's one port, and when
    another with the same port is still in its memory (a burst a minute ago) it gives this one another port, which
    ztunnel then logs
    (tests/recordings/source-port-remapped). Then source IP, destination and time must say it; more than one is returned
    when they cannot.
    """
    fitting = [
        z
        for z in lines
        if z.direction == "outbound"
        and z.src.ip == ip_of(source)
        and reaches in (z.dst.ip, z.dst.addr, z.dst.hbone_addr)
        and is_open_during(z, around)
    ]
    exact = [z for z in fitting if z.src.addr == source]
    return tuple(exact or [z for z in fitting if not z.is_open])
