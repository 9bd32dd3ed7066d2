"""Builds the input of the emulated network from the stored objects: workloads, Services, xDS, limits. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from harness.cluster.emulated.api.kinds import Object
from harness.cluster.emulated.api.selectors import having
from harness.cluster.emulated.api.store import Store
from harness.cluster.emulated.controllers import pod_states
from harness.cluster.emulated.controllers.conditions import at, is_true
from harness.cluster.emulated.controllers.enrolment import enrolled
from harness.cluster.emulated.controllers.envoy_gateway import BACKEND_POLICIES, CLIENT_POLICIES, OWNER, EnvoyGateway
from harness.cluster.emulated.controllers.istiod import AUTHORIZATION_POLICIES, IstiodController, binding_port
from harness.cluster.emulated.controllers.services import target_port
from harness.cluster.emulated.network import translate
from harness.cluster.emulated.network.model import (
    Allow,
    Json,
    LimitRule,
    MeshWorkload,
    Proxy,
    ServiceEntry,
    Waypoint,
    Xds,
)

_UNRESOLVED = "-unresolved-"  # a Service name that no Service can have
_ADMIN = (19001, 19003)  # Envoy's own ports, which are not ztunnel's to carry
_BAD_ADDRESS = "192.0.2.1"  # of the documentation's range: no listener can be there


@dataclass
class Bend:
    """What faults change between the objects and the data plane. Names are of policies, routes and Gateways."""

    unenforced: set[str] = field(default_factory=set)  # policies accepted but not sent to Envoy ("*": all)
    keep_removed: bool = False  # policies act on after they are deleted
    rejected: set[str] = field(default_factory=set)  # Gateways whose Envoy is sent a listener that it refuses
    warming: set[str] = field(default_factory=set)  # Gateways whose Envoy waits for endpoints that never arrive


@dataclass
class DataPlane:
    """Reads the store and the controllers' judgement; `bend` is what faults do to it."""

    store: Store
    envoy_gateway: EnvoyGateway
    istiod: IstiodController
    bend: Bend = field(default_factory=Bend)
    _policies: dict[str, Object] = field(default_factory=dict)

    def workloads(self) -> list[MeshWorkload]:
        """All pods that have an address."""
        targets = self._targets()
        found = []
        for pod in self.store.all("pods"):
            ip = at(pod, "status", "podIP")
            if ip:
                found.append(self._workload(pod, ip, targets))
        return found

    def _workload(self, pod: Object, ip: str, targets: list[tuple[str, Object, int]]) -> MeshWorkload:
        meta, labels = pod["metadata"], pod["metadata"].get("labels") or {}
        declared = {p["containerPort"] for c in pod["spec"]["containers"] for p in c.get("ports") or ()}
        selected = {
            port for ns, chosen, port in targets if ns == meta["namespace"] and chosen.items() <= labels.items()
        }
        gateway = self.store.find("gateways.gateway.networking.k8s.io", meta["namespace"], labels.get(OWNER, ""))
        # a proxy's 15008 is ztunnel's own port, whatever its Service says
        ports = (declared | selected) - ({*_ADMIN, 15008} if OWNER in labels else set())
        return MeshWorkload(
            uid=meta["uid"],
            name=meta["name"],
            namespace=meta["namespace"],
            ip=ip,
            node=pod["spec"]["nodeName"],
            service_account=pod["spec"].get("serviceAccountName", "default"),
            enrolled=enrolled(pod),
            labels=labels,
            ports=tuple(sorted(ports)),
            workload_name=_workload_name(pod),
            app_tunnel=binding_port(gateway) if gateway else None,
        )

    def _targets(self) -> list[tuple[str, Object, int]]:
        """Namespace, selector and target port of each port of each Service."""
        found = []
        for service in self.store.all("services"):
            selector = service["spec"].get("selector")
            for port in service["spec"]["ports"] if selector else ():
                target = target_port(port, self._backing(service))
                if target is not None:
                    found.append((service["metadata"]["namespace"], selector, target))
        return found

    def _backing(self, service: Object) -> list[Object]:
        selected = having(service["spec"].get("selector") or {})
        return [pod for pod in self.store.all("pods", service["metadata"]["namespace"]) if selected(pod)]

    def services(self) -> list[ServiceEntry]:
        """All Services that have an address."""
        return [self._service(one) for one in self.store.all("services") if one["spec"].get("clusterIP")]

    def _service(self, service: Object) -> ServiceEntry:
        meta, spec, backing = service["metadata"], service["spec"], self._backing(service)
        gateway = self.istiod.waypoint(service)
        ports = {p["port"]: target_port(p, backing) for p in spec["ports"]}
        return ServiceEntry(
            name=meta["name"],
            namespace=meta["namespace"],
            vip=spec["clusterIP"],
            ports={port: target for port, target in ports.items() if target is not None},
            endpoints=tuple(pod["status"]["podIP"] for pod in backing if pod_states.ready(pod)),
            waypoint=Waypoint(gateway["status"]["addresses"][0]["value"]) if gateway else None,
            node_ports={port["nodePort"]: port["port"] for port in spec["ports"] if "nodePort" in port},
            local_only=spec.get("externalTrafficPolicy") == "Local",
        )

    def policies(self) -> list[Allow]:
        """Which client may connect to which workload, as ztunnel receives it."""
        found = []
        for policy in self.store.all(AUTHORIZATION_POLICIES):
            meta, spec = policy["metadata"], policy["spec"]
            sources = [one["source"] for rule in spec["rules"] for one in rule["from"]]
            principals = tuple(principal for source in sources for principal in source["principals"])
            if self._enforced(policy):
                found.append(Allow(meta["namespace"], spec["selector"]["matchLabels"], principals))
        return found

    def xds(self, gateway: Object) -> Xds:
        """The xDS resources of a Gateway's Envoy."""
        meta = gateway["metadata"]
        resources = translate.xds(
            gateway,
            self._proxy(),
            routes=self._routes(gateway),
            services=self.services(),
            backend_policies=self._backend_policies(),
            client_policies=[one for one in self._accepted(CLIENT_POLICIES) if self._enforced(one)],
            envoy_proxy=self.envoy_gateway.envoy_proxy(gateway),
        )
        if {meta["name"], "*"} & self.bend.warming:
            resources = replace(resources, clusters=(*resources.clusters, _warming_cluster()))
        if {meta["name"], "*"} & self.bend.rejected:
            return replace(resources, listeners=(*resources.listeners, _refused_listener()))
        return resources

    def limits(self) -> list[LimitRule]:
        """The configuration of the rate limit service."""
        found: list[LimitRule] = []
        for gateway in self.envoy_gateway.managed().values():
            found += translate.limits(
                gateway,
                routes=self._routes(gateway),
                backend_policies=self._backend_policies(),
            )
        return found

    def _proxy(self) -> Proxy:
        settings = self.envoy_gateway.config.get("rateLimit") or {}
        address = at(self.store.find("services", "envoy-gateway-system", "envoy-ratelimit"), "spec", "clusterIP")
        timeout = settings.get("timeout")
        return Proxy(
            limiter=(address, 8081) if settings and address else None,
            limiter_timeout=seconds(timeout) if timeout else None,
            limiter_fail_closed=bool(settings.get("failClosed")),
        )

    def _routes(self, gateway: Object) -> list[Object]:
        """The routes that are accepted at a Gateway, backends that are not permitted taken out of them."""
        where = (gateway["metadata"]["namespace"], gateway["metadata"]["name"])
        found = []
        for route in self.store.all("httproutes.gateway.networking.k8s.io"):
            for place, _, attached in self.envoy_gateway.attached.get(route["metadata"]["uid"], ()):
                if place == where and is_true(attached.conditions, "Accepted"):
                    resolved = is_true(attached.conditions, "ResolvedRefs")
                    found.append(route if resolved else self._without_refused(route))
                    break
        return found

    def _without_refused(self, route: Object) -> Object:
        home = route["metadata"]["namespace"]
        rules = [
            rule
            | {
                "backendRefs": [
                    ref if ref.get("namespace", home) == home else ref | {"name": _UNRESOLVED}
                    for ref in rule.get("backendRefs") or ()
                ]
            }
            for rule in route["spec"].get("rules") or ()
        ]
        return route | {"spec": route["spec"] | {"rules": rules}}

    def _accepted(self, storage: str) -> list[Object]:
        judged = self.envoy_gateway.judged(storage)
        return [
            policy
            for policy in self.store.all(storage)
            if any(one.accepted for one in judged.get(policy["metadata"]["uid"], ()))
        ]

    def _backend_policies(self) -> list[Json]:
        accepted = {policy["metadata"]["uid"]: policy for policy in self._accepted(BACKEND_POLICIES)}
        self._policies = self._policies | accepted if self.bend.keep_removed else accepted
        return [policy for policy in self._policies.values() if self._enforced(policy)]

    def _enforced(self, policy: Object) -> bool:
        return not {policy["metadata"]["name"], "*"} & self.bend.unenforced


def seconds(duration: str) -> float:
    """Seconds of a duration such as 2s, 500ms or 1m."""
    for unit, factor in (("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0)):
        if duration.endswith(unit):
            return float(duration.removesuffix(unit)) * factor
    raise ValueError(f"{duration!r} is no duration")


def _workload_name(pod: Object) -> str:
    """The Deployment's or DaemonSet's name, or the bare pod's own."""
    meta = pod["metadata"]
    owner = next(iter(meta.get("ownerReferences") or ()), None)
    if owner is None:
        return str(meta["name"])
    hash_ = (meta.get("labels") or {}).get("pod-template-hash", "")
    return str(owner["name"]).removesuffix(f"-{hash_}") if hash_ else str(owner["name"])


def _refused_listener() -> Json:
    socket = {"address": _BAD_ADDRESS, "port_value": 1}
    proxy = "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"
    config = {"@type": proxy, "stat_prefix": "refused", "cluster": "EmptyCluster"}
    filters = [{"name": "envoy.filters.network.tcp_proxy", "typed_config": config}]
    return {
        "name": "refused",
        "address": {"socket_address": socket},
        "filter_chains": [{"filters": filters}],
        "bypass_overload_manager": True,
    }


def _warming_cluster() -> Json:
    """A cluster whose endpoints never come, and are awaited for ever."""
    eds = {"ads": {}, "initial_fetch_timeout": "0s", "resource_api_version": "V3"}
    return {"name": "warming", "type": "EDS", "eds_cluster_config": {"eds_config": eds, "service_name": "warming"}}
