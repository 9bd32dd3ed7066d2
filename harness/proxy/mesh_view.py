"""One ztunnel's view of the mesh, queried by name. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from harness.proxy import ztunnel_dump
from harness.proxy.ztunnel_dump import Certificate, Dump, Service, Workload


@dataclass(frozen=True, slots=True)
class MeshView:
    """The dump of one node's ztunnel. Workloads and services are of the whole mesh, certificates of this node."""

    workloads: tuple[Workload, ...]
    services: tuple[Service, ...]
    certificates: tuple[Certificate, ...]

    def protocols(self, pods: str, namespace: str = "default") -> tuple[str, ...]:
        """The protocols of pods so named (exactly, or as a Deployment's), each once; () when none is known."""
        found = {
            w.protocol
            for w in self.workloads
            if w.namespace == namespace and (w.name == pods or w.name.startswith(f"{pods}-"))
        }
        return tuple(sorted(found))

    def protocols_of(self, pods: Iterable[str], namespace: str = "default") -> tuple[str, ...]:
        """The protocols of all these pods, each once; "?" for one that is not known."""
        found = [self.protocols(pod, namespace) or ("?",) for pod in pods]
        return tuple(sorted({protocol for protocols in found for protocol in protocols}))

    def waypoint_of(self, service: str, namespace: str = "default") -> str:
        """The waypoint's address (or "namespace/hostname") of a Service; "" for none, or an unknown Service."""
        return next((s.waypoint for s in self.services if (s.name, s.namespace) == (service, namespace)), "")

    def certified(self, service_account: str, now: datetime, namespace: str = "default") -> bool:
        """Whether this node holds a certificate for the identity that is valid now."""
        identity = f"/ns/{namespace}/sa/{service_account}"
        return any(c.identity.endswith(identity) and c.valid(now) for c in self.certificates)


def view(dump: Dump) -> MeshView:
    """Reads a dump.

    Raises:
        SectionAbsent: it lacks workloads, services or certificates.
    """
    return MeshView(ztunnel_dump.workloads(dump), ztunnel_dump.services(dump), ztunnel_dump.certificates(dump))
