"""Decides where ztunnel or kube-proxy sends a connection. Pure.

Follows the sources of ztunnel 1.29 and its recorded lines (tests/recordings/logs/ztunnel.log).
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from harness.cluster.emulated.network.model import HBONE_PORT, Allow, MeshWorkload, ServiceEntry


class NoRoute(Exception):
    """ztunnel's own words for a connection that has nowhere to go."""


@dataclass(frozen=True, slots=True)
class RoutingDecision:
    """A decision: the pod that gets the connection, on which port; `hbone` is what is asked for inside the tunnel.

    `service` is the Service that was called, by VIP; a pod called by its own IP has none on the source's line.
    """

    to: MeshWorkload
    port: int
    hbone: str | None = None
    service: ServiceEntry | None = None


@dataclass(frozen=True, slots=True)
class NodePort:
    """What a node port leads to, as seen from one node."""

    service: ServiceEntry
    port: int
    node: str


@dataclass(slots=True)
class MeshState:
    """The workloads and Services of the cluster, as every ztunnel knows them."""

    workloads: dict[str, MeshWorkload] = field(default_factory=dict)  # by IP
    services: dict[str, ServiceEntry] = field(default_factory=dict)  # by VIP
    node_ports: dict[tuple[str, int], NodePort] = field(default_factory=dict)  # by (node IP, node port)
    policies: tuple[Allow, ...] = ()
    detour: bool = False  # a fault: calls to a pod's own address take its Service's waypoint

    def allows(self, to: MeshWorkload, source: MeshWorkload | None) -> bool:
        """Whether ztunnel lets this caller, proven by HBONE (None: not proven), reach the pod."""
        covering = [policy for policy in self.policies if policy.covers(to)]
        caller = source.identity.removeprefix("spiffe://") if source else None
        return not covering or any(caller in policy.principals for policy in covering)

    def services_of(self, workload: MeshWorkload) -> Iterator[ServiceEntry]:
        """The Services that have this pod as an endpoint, by name."""
        mine = (s for s in self.services.values() if workload.ip in s.endpoints)
        return iter(sorted(mine, key=lambda s: (s.namespace, s.name)))

    def inbound_service(self, workload: MeshWorkload, port: int, called: str | None) -> str | None:
        """The Service that the destination's line names: the one called if the pod is its endpoint, else its first."""
        mine = [s for s in self.services_of(workload) if port in s.ports.values()]
        names = [s.hostname for s in mine]
        return called if called in names else names[0] if names else None

    def addresses(self) -> Iterator[tuple[str, int]]:
        """Every (IP, port) that somebody may dial, port 15008 of pods excepted."""
        for workload in self.workloads.values():
            yield from ((workload.ip, port) for port in workload.ports if port != HBONE_PORT)
        for service in self.services.values():
            yield from ((service.vip, port) for port in service.ports)
        yield from self.node_ports

    def direct(self, ip: str, port: int) -> RoutingDecision:
        """Where kube-proxy sends a connection: a Service's endpoint, or the pod itself.

        Raises:
            NoRoute: no such pod, or the Service has no endpoint (for a local-only node port: none on that node).
        """
        opened = self.node_ports.get((ip, port))
        service = opened.service if opened else self.services.get(ip)
        if service is None:
            return RoutingDecision(self._pod(ip, port), port)
        local = opened.node if opened and service.local_only else None
        ready = [w for w in self._endpoints(service) if local in (None, w.node)]
        return RoutingDecision(_one(ready, ip, port), service.ports[opened.port if opened else port], service=service)

    def captured(
        self, ip: str, port: int, *, plaintext: set[str], bypass: set[str], source: MeshWorkload | None = None
    ) -> RoutingDecision:
        """Where ztunnel sends a connection of one of its pods: by the Service's waypoint if it has one.

        `plaintext` and `bypass` are the faults of that name (workloads or Services; "*" is all).

        Raises:
            NoRoute: as its line says it.
        """
        service = self.services.get(ip)
        if self.detour and service is None and source is not None and source.app_tunnel is None:
            service = next((s for s in self.services.values() if ip in s.endpoints and s.waypoint), None)
        if service is None:
            pod = self._pod(ip, port)
            return self._hbone(RoutingDecision(pod, port, f"{ip}:{port}"), plaintext)
        if service.waypoint and not bypass & {"*", service.name}:
            waypoint = self.services.get(service.waypoint.vip)
            if waypoint is None:
                raise NoRoute(f"unknown waypoint: waypoint {service.waypoint.vip} not found")
            to = _one(self._endpoints(waypoint), ip, port)
            if to.app_tunnel is None and service.waypoint.port not in waypoint.ports:
                raise NoRoute(f"unknown waypoint: waypoint {waypoint.hostname} has no port {service.waypoint.port}")
            return self._hbone(RoutingDecision(to, to.app_tunnel or port, f"{ip}:{port}", service), plaintext)
        to, target = _one(self._endpoints(service), ip, port), service.ports[port]
        return self._hbone(RoutingDecision(to, target, f"{to.ip}:{target}", service), plaintext)

    def accepts(self, workload: MeshWorkload, target: str) -> bool:
        """Whether a tunnel that ends in this pod may ask for `target` ("ip:port")."""
        ip = target.rpartition(":")[0]
        service = self.services.get(ip)
        if workload.app_tunnel is not None or ip == workload.ip:
            return True
        waypoint = self.services.get(service.waypoint.vip) if service and service.waypoint else None
        return waypoint is not None and workload.ip in waypoint.endpoints

    def _hbone(self, route: RoutingDecision, plaintext: set[str]) -> RoutingDecision:
        names = {"*", route.to.name, route.to.workload_name, *([route.service.name] if route.service else [])}
        if route.to.enrolled and not plaintext & names:
            return route
        return RoutingDecision(route.to, route.port, None, route.service)

    def _pod(self, ip: str, port: int) -> MeshWorkload:
        if ip not in self.workloads:
            raise NoRoute(f"unknown destination: {ip}:{port}")
        return self.workloads[ip]

    def _endpoints(self, service: ServiceEntry) -> list[MeshWorkload]:
        return [self.workloads[ip] for ip in service.endpoints if ip in self.workloads]


def node_port_table(services: Iterable[ServiceEntry], nodes: dict[str, str]) -> dict[tuple[str, int], NodePort]:
    """Every node port on every node; `nodes` maps names to IPs."""
    return {
        (ip, node_port): NodePort(service, port, node)
        for service in services
        for node_port, port in service.node_ports.items()
        for node, ip in nodes.items()
    }


def _one(workloads: list[MeshWorkload], ip: str, port: int) -> MeshWorkload:
    if not workloads:
        raise NoRoute(f"no healthy upstream: {ip}:{port}")
    return random.choice(workloads)
