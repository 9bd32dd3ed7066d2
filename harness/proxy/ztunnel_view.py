"""One ztunnel's view of the mesh, queried by name. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from harness.objects.unstructured import Json
from harness.proxy import ztunnel_dump
from harness.proxy.ztunnel_dump import Certificate, Service, Workload


@dataclass(frozen=True, slots=True)
class MeshView:
    """The dump of one node's ztunnel. Workloads and services are of the whole mesh, certificates of this node."""

    workloads: tuple[Workload, ...]
    services: tuple[Service, ...]
    certificates: tuple[Certificate, ...]
    namespace: str  # of what is named without one

    @property
    def trust_domain(self) -> str:
        """The trust domain of the pods of its namespace; "" while none is known."""
        identities = [w.identity for w in self.workloads if w.namespace == self.namespace]
        return identities[0].removeprefix("spiffe://").partition("/")[0] if identities else ""

    @property
    def cluster_domain(self) -> str:
        """The domain behind ".svc." in the host names of Services; "" while none is known."""
        found = (s.hostname.partition(f"{s.name}.{s.namespace}.svc.")[2] for s in self.services)
        return next(filter(None, found), "")

    def protocols(self, pods: str, namespace: str = "") -> tuple[str, ...]:
        """The protocols of pods so named (exactly, or as a Deployment's), each once; () when none is known."""
        found = {
            w.protocol
            for w in self.workloads
            if w.namespace == (namespace or self.namespace) and (w.name == pods or w.name.startswith(f"{pods}-"))
        }
        return tuple(sorted(found))

    def protocols_of(self, pods: Iterable[str]) -> tuple[str, ...]:
        """The protocols of all these pods, each once; "?" for one that is not known."""
        found = [self.protocols(pod) or ("?",) for pod in pods]
        return tuple(sorted({protocol for protocols in found for protocol in protocols}))

    def waypoint_of(self, service: str, namespace: str = "") -> str:
        """The waypoint's address (or "namespace/hostname") of a Service; "" for none, or an unknown Service."""
        asked = (service, namespace or self.namespace)
        return next((s.waypoint for s in self.services if (s.name, s.namespace) == asked), "")

    def has_valid_certificate(self, service_account: str, now: datetime, namespace: str = "") -> bool:
        """Whether this node holds a certificate for the identity that is valid now."""
        identity = f"/ns/{namespace or self.namespace}/sa/{service_account}"
        return any(c.identity.endswith(identity) and c.is_valid(now) for c in self.certificates)


def read_mesh_view(dump: Json, namespace: str = "default") -> MeshView:
    """Reads a dump.

    Raises:
        SectionAbsent: it lacks workloads, services or certificates.
    """
    return MeshView(
        ztunnel_dump.workloads(dump), ztunnel_dump.services(dump), ztunnel_dump.certificates(dump), namespace
    )
