"""The path of one request through the mesh, joined from Envoy access logs and ztunnel logs.

Which line belongs to which, and how that was found out, is in harness.evidence.joins. A hop that left no line is
listed as missing and makes the verdict inconclusive, never held.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from harness.errors import Inconclusive
from harness.evidence.hops import OPEN, Hop, Journey, Kind, Pod, Protocol, Via
from harness.evidence.joins import (
    distance,
    find_connection_lines,
    ip_of,
    is_open_during,
    is_open_throughout,
    is_other_side_of,
    mirror_distance,
)
from harness.logs.envoy_access import AccessLine
from harness.logs.ztunnel import ZtunnelLine
from harness.objects.unstructured import Json, mapping, objects, text


def pods_by_ip(pods: Iterable[Json]) -> dict[str, Pod]:
    """Who owns which IP. Pods in the host's network share the node's IP and are left out."""
    owners: dict[str, Pod] = {}
    for pod in pods:
        name = f"{text(pod, 'metadata', 'namespace')}/{text(pod, 'metadata', 'name')}"
        owner = Pod(name, text(pod, "spec", "nodeName"))
        if mapping(pod, "spec").get("hostNetwork") is not True:
            owners |= {text(ip, "ip"): owner for ip in objects(pod, "status", "podIPs") if text(ip, "ip")}
    return owners


def join_journey(
    id: str,
    access_ingress: Iterable[AccessLine],
    access_waypoint: Iterable[AccessLine],
    ztunnel_lines: Iterable[ZtunnelLine],
    pods_by_ip: Mapping[str, Pod],
    *,
    via: Sequence[Via] = ("ingress", "waypoint"),
) -> Journey:
    """The journey of the request that our client sent with `user-agent: e2e/<id>`.

    via says which proxies it must have passed: ("waypoint",) for a call inside the mesh, ("ingress",) for a page that
    needs no ratings (reviews-v1). ztunnel_lines are those of all nodes together. Never raises.
    """
    access_ingress, access_waypoint, agent = tuple(access_ingress), tuple(access_waypoint), f"e2e/{id}"
    owned = {line.upstream_local_address for line in (*access_ingress, *access_waypoint)}
    trace = _Trace(tuple(ztunnel_lines), pods_by_ip, frozenset(owned))
    entered = [line for line in access_ingress if line.user_agent == agent]
    ids = {line.request_id for line in entered if line.request_id}
    passed = [line for line in access_waypoint if line.user_agent == agent or line.request_id in ids]
    for line in entered:
        trace.ingress(line)
    for line in passed:
        trace.waypoint(line, came_from=ip_of(entered[0].upstream_host) if entered else "")
    for proxy, lines in (("ingress", entered), ("waypoint", passed)):
        if proxy in via and not lines:
            trace.missing.append(f"{proxy} access line with user-agent {agent}")
    if len(entered) > 1:
        trace.ambiguous.append(f"{len(entered)} ingress access lines with user-agent {agent}")
    return Journey(id, tuple(trace.hops), tuple(trace.missing), tuple(trace.ambiguous), trace.nearby(entered or passed))


def workloads_passed(journey: Journey) -> list[str]:
    """Who the request passed, as workloads: ["bookinfo-ingress", "productpage-v1", "reviews-v3", "waypoint", ...].

    The client before the ingress is left out; a pod that is first called and then calls is one station.
    """
    passed = [hop for hop in journey.hops if hop.kind not in ("ztunnel-out", "ztunnel-in")]
    if len(passed) > 1 and (passed[0].kind, passed[1].kind) == ("client", "ingress"):
        passed = passed[1:]
    names = [_workload(hop) for hop in passed]
    return [name for at, name in enumerate(names) if at == 0 or names[at - 1] != name]


def source_accounts(journey: Journey, *kinds: Kind) -> tuple[tuple[str, str], ...]:
    """The workload and the client's service account of each mesh hop (of these kinds), in the order of travel.

    Raises:
        Inconclusive: a connection is open still: the destination's ztunnel logs the client's identity when it closes.
    """
    hops = [hop for hop in journey.hops if hop.kind in (kinds or ("ztunnel-out", "ztunnel-in"))]
    unknown = [hop for hop in hops if hop.status == OPEN and not hop.identity]
    if unknown:
        raise Inconclusive(f"the connection to {unknown[0].who} is open: ztunnel logs its client's identity at its end")
    return tuple((_workload(hop), hop.identity.rpartition("/sa/")[2]) for hop in hops)


def protocols_used(journey: Journey) -> set[Protocol]:
    """How ztunnel carried it, over all its mesh hops; empty when none was seen."""
    return {hop.protocol for hop in journey.hops if hop.kind in ("ztunnel-out", "ztunnel-in")}


def first_journey_as_text(journeys: Sequence[Journey]) -> str:
    """The first of several, for a failure's message."""
    return journey_as_text(journeys[0]) if journeys else "no journeys"


def journey_as_text(journey: Journey) -> str:
    """A small text picture: one line a hop, then what is missing or doubtful, then the verdict."""
    rows = [(_LABEL[hop.kind], hop.who, _facts(hop)) for hop in journey.hops]
    label, who = (max((len(row[column]) for row in rows), default=0) for column in (0, 1))
    lines = [f"request {journey.id}"]
    lines += [f"  {'|' if row else 'o'} {a:<{label}}  {b:<{who}}  {c}".rstrip() for row, (a, b, c) in enumerate(rows)]
    for title, notes in (
        ("missing", journey.missing),
        ("ambiguous", journey.ambiguous),
        ("nearby", journey.nearby),
    ):
        lines += [f"  ? {title}: {note}" for note in notes]
    return "\n".join([*lines, f"  = {journey.verdict}"])


# A Deployment's pod: its name, its ReplicaSet's hash, its own five letters.
_POD_SUFFIX = re.compile(r"-[a-z0-9]{6,10}-[a-z0-9]{5}$")


def _workload(hop: Hop) -> str:
    return _POD_SUFFIX.sub("", hop.who.rpartition("/")[2])


_LABEL: dict[Kind, str] = {
    "client": "client",
    "ingress": "ingress",
    "ztunnel-out": "  ztunnel out",
    "ztunnel-in": "  ztunnel in",
    "waypoint": "waypoint",
    "backend": "backend",
}


def ingress_pod_ip(line: AccessLine) -> str:
    """The pod IP of the ingress proxy that wrote the line, as far as the line shows it.

    Through a port-forward Envoy is reached at 127.0.0.1: then its upstream side knows the pod's IP, and when it
    answered by itself the x-forwarded-for that it wrote, which names its own address (logs/access-429.json).
    """
    upstream = ip_of(line.upstream_local_address)
    if upstream or line.proxy_ip != "127.0.0.1":
        return upstream or line.proxy_ip
    return text(line.raw, "x-forwarded-for").rpartition(",")[2].strip() or line.proxy_ip


class _Trace:
    """The journey while it is being put together."""

    def __init__(self, lines: Sequence[ZtunnelLine], pods: Mapping[str, Pod], owned: frozenset[str | None]) -> None:
        self.lines, self.pods, self.owned = lines, pods, owned  # owned: Envoys' own ends of their connections
        self.used: list[ZtunnelLine] = []
        self.hops: list[Hop] = []
        self.missing: list[str] = []
        self.ambiguous: list[str] = []

    def ingress(self, line: AccessLine) -> None:
        self._station("client", line.client_ip, line.downstream_remote_address)
        self._envoy("ingress", ingress_pod_ip(line), line)
        self._upstream("ingress", line)

    def waypoint(self, line: AccessLine, came_from: str) -> None:
        """came_from is the backend of the ingress; when another pod calls the waypoint, the two must have met."""
        if came_from not in ("", line.client_ip):
            self._enclosing(came_from, line.client_ip, line)
        self._station("client", line.client_ip, line.downstream_remote_address)
        self._enclosing(line.client_ip, line.proxy_ip, line)
        self._envoy("waypoint", line.proxy_ip, line)
        self._upstream("waypoint", line)

    def nearby(self, access: Sequence[AccessLine]) -> tuple[str, ...]:
        """Failed connections during the request that no hop stands for."""
        failed = [
            z for z in self.lines if not z.is_ok and z not in self.used and any(is_open_during(z, a) for a in access)
        ]
        return tuple(
            f"{z.time:%H:%M:%S.%f} {z.src.workload or z.src.addr} -> {z.dst.workload or z.dst.addr}: {z.error}"
            for z in failed
        )

    def _enclosing(self, src: str, dst: str, line: AccessLine) -> None:
        where = f"{self._who(src)} -> {self._who(dst)}"
        found = [z for z in self.lines if z.src.ip == src and z.dst.ip == dst and is_open_throughout(z, line)]
        self._leg(where, line, found)

    def _upstream(self, proxy: str, line: AccessLine) -> None:
        """Envoy's own connection to the backend; none when Envoy answered by itself."""
        if line.upstream_host is None or line.upstream_local_address is None:
            return
        where = f"{proxy} {line.upstream_local_address} -> {self._who(ip_of(line.upstream_host))}"
        source, reaches = line.upstream_local_address, ip_of(line.upstream_host)
        found = find_connection_lines(self.lines, source=source, around=line, reaches=reaches)
        # Under another port (see `legs`) it may not be one that some Envoy calls its own: that is another connection.
        out = self._leg(where, line, [z for z in found if z.src.addr == source or z.src.addr not in self.owned])
        identity = out.dst.identity if out is not None and out.dst.identity else ""
        self._station("backend", ip_of(line.upstream_host), line.upstream_host, identity)

    def _leg(self, where: str, line: AccessLine, fitting: Sequence[ZtunnelLine]) -> ZtunnelLine | None:
        """Both sides of one connection become hops; the outbound line, when there is one."""
        found = _closed_first(z for z in fitting if z.direction == "outbound")
        out = self._choose(where, "outbound", found, lambda z: distance(z, line))
        if out is None:
            self.missing.append(f"ztunnel outbound line of {where} (written when the connection closes)")
            return None
        self._ztunnel("ztunnel-out", out, out.src.ip)
        if not out.is_hbone or not out.is_ok:
            return out  # Past the mesh, or it never arrived: no ztunnel logs the other side.
        found = _closed_first(z for z in self.lines if is_other_side_of(z, out))
        arrived = self._choose(where, "inbound", found, lambda z: mirror_distance(z, out))
        if arrived is None:
            self.missing.append(f"ztunnel inbound line of {where}")
        else:
            self._ztunnel("ztunnel-in", arrived, out.dst.ip)
        return out

    def _choose(
        self, where: str, side: str, found: Sequence[ZtunnelLine], key: Callable[[ZtunnelLine], tuple[float, float]]
    ) -> ZtunnelLine | None:
        if len({(z.src.identity, z.dst.identity, z.dst.workload, z.is_hbone, z.is_ok) for z in found}) > 1:
            self.ambiguous.append(f"{len(found)} unlike ztunnel {side} lines fit {where}")
        chosen = min(found, key=key, default=None)
        self.used += [chosen] if chosen is not None else []
        return chosen

    def _station(self, kind: Kind, ip: str, address: str, identity: str = "") -> None:
        self.hops.append(Hop(self._who(ip), kind, identity, "-", "-", "-", None, self._node(ip), address))

    def _envoy(self, kind: Kind, ip: str, line: AccessLine) -> None:
        status, ms, address = str(line.status), float(line.duration_ms), line.downstream_local_address
        self.hops.append(Hop(self._who(ip), kind, "", "-", status, line.flags, ms, self._node(ip), address))

    def _ztunnel(self, kind: Kind, z: ZtunnelLine, ip: str) -> None:
        protocol: Protocol = "HBONE" if z.is_hbone else "mTLS" if z.src.identity and z.dst.identity else "plaintext"
        address, status = z.dst.hbone_addr or z.dst.addr, "ok" if z.is_ok else z.error or z.level
        identity, who, ms = z.src.identity or "", self._who(ip), z.duration_ms
        if z.is_open:
            status, ms = OPEN, None
        self.hops.append(Hop(who, kind, identity, protocol, status, "-", ms, self._node(ip), address))

    def _who(self, ip: str) -> str:
        return self.pods[ip].name if ip in self.pods else ip

    def _node(self, ip: str) -> str:
        return self.pods[ip].node if ip in self.pods else ""


def _closed_first(lines: Iterable[ZtunnelLine]) -> list[ZtunnelLine]:
    """The lines; connections that are open only where there is no line."""
    found = list(lines)
    return [z for z in found if not z.is_open] or found


def _facts(hop: Hop) -> str:
    ms = f"{hop.ms:g} ms" if hop.ms is not None else ""
    shown = (hop.protocol, hop.status, hop.flags, ms, hop.identity, hop.address, hop.node and f"@{hop.node}")
    return "  ".join(fact for fact in shown if fact not in ("", "-"))
