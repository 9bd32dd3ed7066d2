"""ztunnel's /config_dump and /metrics, from what it knows. Pure.

Shapes of tests/recordings/admin/ztunnel-config_dump.json and ztunnel-metrics.prom.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from harness.cluster.emulated.network.connection import Connection
from harness.cluster.emulated.network.connection_target import MeshState
from harness.cluster.emulated.network.model import HBONE_PORT, Json, MeshWorkload, ServiceEntry

_PEM = "ZW11bGF0ZWQ6IG5vIGNlcnRpZmljYXRl"  # "emulated: no certificate"
_TIME = "%Y-%m-%dT%H:%M:%SZ"
_COUNTERS = {
    "istio_tcp_connections_opened": "The total number of TCP connections opened.",
    "istio_tcp_connections_closed": "The total number of TCP connections closed.",
    "istio_tcp_received_bytes": "The size of total bytes received during request in case of a TCP connection.",
    "istio_tcp_sent_bytes": "The size of total bytes sent during response in case of a TCP connection.",
}


@dataclass(slots=True)
class Books:
    """What one ztunnel has counted since it began, and the connections that are open."""

    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    open: list[Connection] = field(default_factory=list)
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)  # (metric, labels)
    started: int = 0
    stopped: int = 0

    def opened(self, flow: Connection) -> None:
        self.open.append(flow)
        self.counts["istio_tcp_connections_opened", _labels(flow)] += 1

    def closed(self, flow: Connection) -> None:
        self.open.remove(flow)
        labels = _labels(flow)
        self.counts["istio_tcp_connections_closed", labels] += 1
        self.counts["istio_tcp_received_bytes", labels] += flow.received
        self.counts["istio_tcp_sent_bytes", labels] += flow.sent


def config_dump(state: MeshState, node: str, *, captured: set[str], books: Books, no_certificate: set[str]) -> Json:
    """The whole dump; `captured` are the IPs of this node's pods whose proxy runs."""
    pods = [w for ip, w in sorted(state.workloads.items()) if ip in captured]
    identities = sorted({w.identity for w in pods if w.service_account not in no_certificate})
    return {
        "config": {
            "clusterDomain": "cluster.local",
            "clusterId": "Kubernetes",
            "inboundAddr": f"[::]:{HBONE_PORT}",
            "localNode": node,
            "network": "",
        },
        "certificates": [_certificate(identity, books.began) for identity in identities],
        "policies": [],
        "services": [_service(state, s) for s in sorted(state.services.values(), key=lambda s: (s.namespace, s.name))],
        "stagedServices": {},
        "staticConfig": {"policies": [], "services": [], "workloads": []},
        "version": {"istioVersion": "emulated", "version": "emulated"},
        "workloadState": {w.uid: _proxy(w, books) for w in pods},
        "workloads": [
            _workload(state, w) for w in sorted(state.workloads.values(), key=lambda w: (w.namespace, w.name))
        ],
    }


def metrics(books: Books, *, active: int, pending: int) -> str:
    """Prometheus text."""
    out = ["# HELP istio_build Istio component build info.", "# TYPE istio_build gauge"]
    out.append('istio_build{component="ztunnel",tag="emulated"} 1')
    for name, about in _COUNTERS.items():
        out += [f"# HELP {name} {about}", f"# TYPE {name} counter"]
        out += [
            f"{name}_total{{{labels}}} {n}" for (metric, labels), n in sorted(books.counts.items()) if metric == name
        ]
    gauges = {"active_proxy_count": active, "pending_proxy_count": pending}
    for name, number in gauges.items():
        out += [f"# TYPE workload_manager_{name} gauge", f"workload_manager_{name} {number}"]
    for name, number in (("proxies_started", books.started), ("proxies_stopped", books.stopped)):
        out += [f"# TYPE workload_manager_{name} counter", f"workload_manager_{name}_total {number}"]
    return "\n".join([*out, "# EOF", ""])


def canonical(workload: MeshWorkload) -> tuple[str, str]:
    """Its canonical service and revision, from its labels as istiod reads them."""
    labels = workload.labels
    names = ("service.istio.io/canonical-name", "app.kubernetes.io/name", "app")
    revisions = ("service.istio.io/canonical-revision", "app.kubernetes.io/version", "version")
    name = next((labels[key] for key in names if key in labels), workload.workload_name or workload.name)
    return name, next((labels[key] for key in revisions if key in labels), "latest")


def _workload(state: MeshState, w: MeshWorkload) -> Json:
    name, revision = canonical(w)
    found: Json = {
        "canonicalName": name,
        "canonicalRevision": revision,
        "capacity": 1,
        "clusterId": "Kubernetes",
        "name": w.name,
        "namespace": w.namespace,
        "networkMode": "HostNetwork" if w.host_network else "Standard",
        "node": w.node,
        "protocol": "HBONE" if w.enrolled else "TCP",
        "serviceAccount": w.service_account,
        "status": "Healthy",
        "trustDomain": "cluster.local",
        "uid": w.resource,
        "workloadIps": [w.ip],
        "workloadName": w.workload_name or w.name,
        "workloadType": "pod",
    }
    if services := [f"{s.namespace}/{s.hostname}" for s in state.services_of(w)]:
        found["services"] = services
    if w.app_tunnel is not None:
        found["applicationTunnel"] = {"port": w.app_tunnel, "protocol": "NONE"}
    return found


def _service(state: MeshState, s: ServiceEntry) -> Json:
    ports = {str(port): target for port, target in s.ports.items()}
    members = [state.workloads[ip].resource for ip in s.endpoints if ip in state.workloads]
    found: Json = {
        "canonical": True,
        "endpoints": {uid: {"port": ports, "status": "Healthy", "workloadUid": uid} for uid in members},
        "hostname": s.hostname,
        "ipFamilies": "IPv4",
        "name": s.name,
        "namespace": s.namespace,
        "ports": ports,
        "subjectAltNames": [],
        "vips": [f"/{s.vip}"],
    }
    if s.waypoint:
        found["waypoint"] = {"destination": f"/{s.waypoint.vip}", "hboneMtlsPort": s.waypoint.port}
    return found


def _proxy(w: MeshWorkload, books: Books) -> Json:
    connections: dict[str, list[Json]] = {"inbound": [], "outbound": []}
    for flow in books.open:
        if flow.workload.uid == w.uid:
            connections[flow.direction].append(
                {
                    "actualDst": flow.dst_addr,
                    "originalDst": flow.original_dst,
                    "protocol": "HBONE" if flow.mtls else "TCP",
                    "src": flow.src_addr,
                }
            )
    info = {"name": w.name, "namespace": w.namespace, "serviceAccount": w.service_account}
    return {"connections": connections, "info": info, "state": "Up"}


def _certificate(identity: str, began: datetime) -> Json:
    serial = str(int.from_bytes(hashlib.sha256(f"{identity}{began}".encode()).digest()[:16], "big"))
    leaf = {
        "expirationTime": (began + timedelta(days=1)).strftime(_TIME),
        "pem": _PEM,
        "serialNumber": serial,
        "validFrom": (began - timedelta(minutes=2)).strftime(_TIME),
    }
    root = leaf | {"expirationTime": (began + timedelta(days=3650)).strftime(_TIME), "serialNumber": "1"}
    return {"certChain": [leaf], "identity": identity, "rootCerts": [root], "state": "Available"}


def _labels(flow: Connection) -> str:
    service = (flow.service or "").split(".")
    shared = {
        "reporter": "source" if flow.direction == "outbound" else "destination",
        **_side("source", flow.src, flow.mtls),
        "destination_service": flow.service or "unknown",
        "destination_service_namespace": service[1] if len(service) > 1 else "unknown",
        "destination_service_name": service[0] or "unknown",
        **_side("destination", flow.dst, flow.mtls),
        "request_protocol": "tcp",
        "response_flags": "-",
        "connection_security_policy": "mutual_tls" if flow.mtls else "unknown",
    }
    return ",".join(f'{key}="{value}"' for key, value in shared.items())


def _side(side: str, w: MeshWorkload | None, mtls: bool) -> dict[str, str]:
    name, revision = canonical(w) if w else ("unknown", "unknown")
    return {
        f"{side}_workload": (w.workload_name or w.name) if w else "unknown",
        f"{side}_canonical_service": name,
        f"{side}_canonical_revision": revision,
        f"{side}_workload_namespace": w.namespace if w else "unknown",
        f"{side}_principal": w.identity if w and mtls else "unknown",
        f"{side}_app": name,
        f"{side}_version": revision,
        f"{side}_cluster": "Kubernetes" if w else "unknown",
    }
