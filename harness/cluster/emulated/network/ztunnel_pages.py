"""The admin page /config_dump of the emulated ztunnel. Pure.

Shape of tests/recordings/admin/ztunnel-config_dump.json.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from harness.cluster.emulated.network.connection_target import MeshState
from harness.cluster.emulated.network.model import HBONE_PORT, Json, MeshWorkload, ServiceEntry
from harness.cluster.emulated.network.ztunnel_access_line import Connection

_PEM = "ZW11bGF0ZWQ6IG5vIGNlcnRpZmljYXRl"  # "emulated: no certificate"
_TIME = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(slots=True)
class Books:
    """Since when one ztunnel runs, and the connections that are open."""

    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    open: list[Connection] = field(default_factory=list)


def config_dump(state: MeshState, node: str, *, captured: set[str], books: Books) -> Json:
    """The whole dump; `captured` are the IPs of this node's pods whose proxy runs."""
    pods = [w for ip, w in sorted(state.workloads.items()) if ip in captured]
    identities = sorted({w.identity for w in pods})
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


def _workload(state: MeshState, w: MeshWorkload) -> Json:
    found: Json = {
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
