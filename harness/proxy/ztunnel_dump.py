"""Parses ztunnel's /config_dump: one node's workloads, Services and certificates.

Workloads and services are those of the whole cluster, and the same on every node; certificates are the node's own.
Shapes from tests/recordings/admin/ztunnel-config_dump.json.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from harness.objects.unstructured import Json, objects, text
from harness.proxy.config_dump import SectionAbsent


@dataclass(frozen=True, slots=True)
class Workload:
    """A pod (or the API server) as ztunnel sees it; protocol "HBONE" means enrolled, "TCP" not."""

    name: str
    namespace: str
    protocol: str
    identity: str


@dataclass(frozen=True, slots=True)
class Service:
    """A Service; waypoint is the waypoint's own VIP or "namespace/hostname", or ""."""

    name: str
    namespace: str
    hostname: str
    waypoint: str


@dataclass(frozen=True, slots=True)
class Certificate:
    """A workload identity's certificate; state "Available" when there is one. Times are None and serial is "" until
    then."""

    identity: str
    state: str
    valid_from: datetime | None
    expires: datetime | None
    serial: str = ""

    def is_valid(self, now: datetime) -> bool:
        """Whether ztunnel can use it at this (aware) time."""
        began = self.valid_from is not None and self.valid_from <= now
        return self.state == "Available" and began and self.expires is not None and now < self.expires


@dataclass(frozen=True, slots=True)
class OpenConnection:
    """A connection that is open now, as one end's ztunnel has it ("namespace/workload" is that end).

    Outbound, `src` is the pod's own "ip:port", `original_dst` what it dialled, and `actual_dst` where ztunnel sent it.
    Inbound, the port of `src` is the HBONE connection's, `original_dst` is the Service's host name or "", and
    `actual_dst` the pod's own address. Neither says when it was opened. `identity` is that end's own.
    """

    direction: str
    workload: str
    namespace: str
    identity: str
    src: str
    original_dst: str
    actual_dst: str
    protocol: str


def open_connections(dump: Json) -> tuple[OpenConnection, ...]:
    """The connections of the node's pods that are open now (tests/recordings/open-connection).

    Raises:
        SectionAbsent: the dump lacks workloads, or the state of the node's own.
    """
    states = dump.get("workloadState")
    if not isinstance(states, Mapping):
        raise SectionAbsent("the ztunnel dump has no workloadState")
    identities = {(w.namespace, w.name): w.identity for w in workloads(dump)}
    found = []
    for state in states.values():
        namespace, name = text(state, "info", "namespace"), text(state, "info", "name")
        for direction in ("inbound", "outbound"):
            found += [
                OpenConnection(
                    direction,
                    name,
                    namespace,
                    identities.get((namespace, name), ""),
                    text(one, "src"),
                    text(one, "originalDst"),
                    text(one, "actualDst"),
                    text(one, "protocol"),
                )
                for one in objects(state, "connections", direction)
            ]
    return tuple(found)


def workloads(dump: Json) -> tuple[Workload, ...]:
    """Every workload. Raises SectionAbsent when the dump has no such part."""
    return tuple(
        Workload(
            name=text(w, "name"),
            namespace=text(w, "namespace"),
            protocol=text(w, "protocol"),
            identity=f"spiffe://{text(w, 'trustDomain')}/ns/{text(w, 'namespace')}/sa/{text(w, 'serviceAccount')}",
        )
        for w in _part(dump, "workloads")
    )


def services(dump: Json) -> tuple[Service, ...]:
    """Every Service. Raises SectionAbsent when the dump has no such part."""
    return tuple(
        Service(
            name=text(s, "name"),
            namespace=text(s, "namespace"),
            hostname=text(s, "hostname"),
            waypoint=text(s, "waypoint", "destination").removeprefix("/"),
        )
        for s in _part(dump, "services")
    )


def certificates(dump: Json) -> tuple[Certificate, ...]:
    """Every identity's leaf certificate on this node. Raises SectionAbsent when the dump has no such part."""
    found = []
    for held in _part(dump, "certificates"):
        leaf = next(objects(held, "certChain"), {})
        times = _time(text(leaf, "validFrom")), _time(text(leaf, "expirationTime"))
        found.append(Certificate(text(held, "identity"), text(held, "state"), *times, text(leaf, "serialNumber")))
    return tuple(found)


def istiod_address(dump: Json) -> str:
    """The istiod that configures ztunnel ("https://istiod.istio-system.svc:15012"); empty if the dump lacks it."""
    return text(dump, "config", "xdsAddress")


def _part(dump: Json, name: str) -> Iterator[Json]:
    if not isinstance(dump.get(name), list):
        raise SectionAbsent(f"the ztunnel dump has no {name}")
    return objects(dump, name)


def _time(value: str) -> datetime | None:
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        return None
