"""The data model of the emulated network: workloads, Services, limits, xDS. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

HBONE_PORT = 15008


@dataclass(frozen=True, slots=True)
class MeshWorkload:
    """One pod as ztunnel sees it (`workloads[]` of tests/recordings/admin/ztunnel-config_dump.json).

    `ports` are TCP ports its containers listen on; the app itself is at `Addresses.hidden(ip)`, same port.
    `workload_name` is the Deployment's or DaemonSet's name (the pod's own for a bare pod).
    `app_tunnel` is the port of the annotation `ambient.istio.io/waypoint-inbound-binding: NONE/<port>`.
    `ready` pods alone are chosen as a Service's endpoint.
    """

    uid: str
    name: str
    namespace: str
    ip: str
    node: str
    service_account: str = "default"
    enrolled: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[int, ...] = ()
    workload_name: str = ""
    app_tunnel: int | None = None
    host_network: bool = False

    @property
    def identity(self) -> str:
        return f"spiffe://cluster.local/ns/{self.namespace}/sa/{self.service_account}"

    @property
    def resource(self) -> str:
        """istiod's name for it."""
        return f"Kubernetes//Pod/{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Allow:
    """An AuthorizationPolicy of action ALLOW: who alone may call the pods of a namespace with these labels.

    `principals` are SPIFFE identities without their scheme, as policies name them.
    """

    namespace: str
    labels: Mapping[str, str]
    principals: tuple[str, ...]

    def covers(self, workload: MeshWorkload) -> bool:
        return self.namespace == workload.namespace and self.labels.items() <= workload.labels.items()


@dataclass(frozen=True, slots=True)
class Waypoint:
    """Where a Service's calls are sent first: the waypoint's Service VIP, as istiod sends it."""

    vip: str
    port: int = HBONE_PORT


@dataclass(frozen=True, slots=True)
class ServiceEntry:
    """One Service: `ports` maps its ports to target ports, `endpoints` are the IPs of its ready pods.

    `node_ports` maps a node port to one of `ports`; it is opened on the node of each endpoint (`local_only`,
    externalTrafficPolicy: Local), else on every node.
    """

    name: str
    namespace: str
    vip: str
    ports: Mapping[int, int]
    endpoints: tuple[str, ...] = ()
    waypoint: Waypoint | None = None
    node_ports: Mapping[int, int] = field(default_factory=dict)
    local_only: bool = True

    @property
    def hostname(self) -> str:
        return f"{self.name}.{self.namespace}.svc.cluster.local"


@dataclass(frozen=True, slots=True)
class LimitRule:
    """One line of the rate limit service's /rlconfig: a descriptor path in a domain, and how many pass in each window.

    `path` holds (key, value) pairs; a value of None stands for each value by itself (EG's `Distinct`).
    """

    domain: str
    path: tuple[tuple[str, str | None], ...]
    requests: int
    unit: str  # SECOND, MINUTE, HOUR, DAY, MONTH, YEAR

    @property
    def key(self) -> str:
        """Its name in /rlconfig (tests/recordings/admin/ratelimit-rlconfig.txt)."""
        return ".".join([self.domain, *(k if v is None else f"{k}_{v}" for k, v in self.path)])


@dataclass(frozen=True, slots=True)
class Xds:
    """All that one Envoy receives; each resource as in Envoy's config_dump (JSON names of the protos).

    `endpoints` holds a ClusterLoadAssignment per EDS cluster name.
    """

    listeners: tuple[Json, ...] = ()
    routes: tuple[Json, ...] = ()
    clusters: tuple[Json, ...] = ()
    endpoints: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Proxy:
    """What each proxy gets from Envoy Gateway's configuration: the rate limit service's address (None: not installed).

    `limiter_timeout` is config.envoyGateway.rateLimit.timeout in seconds; None is Envoy's own 20 ms.
    """

    limiter: tuple[str, int] | None = None
    limiter_timeout: float | None = None
    limiter_fail_closed: bool = False
