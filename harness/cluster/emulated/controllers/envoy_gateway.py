"""The emulated Envoy Gateway controller: statuses, and the proxies' objects, while its own pod is ready."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from harness.cluster.emulated.api.kinds import ENVOY_GATEWAY, GATEWAY, Object
from harness.cluster.emulated.api.store import Store
from harness.cluster.emulated.controllers import gateways, infrastructure, policies, routes
from harness.cluster.emulated.controllers.conditions import at, is_true, merged
from harness.cluster.emulated.controllers.gateways import CONTROLLER
from harness.strict_yaml import parse_yaml

NAMESPACE = "envoy-gateway-system"
FINALIZER = "gateway-exists-finalizer.gateway.networking.k8s.io"
CLASSES, GATEWAYS, ROUTES = (f"{plural}.{GATEWAY}" for plural in ("gatewayclasses", "gateways", "httproutes"))
BACKEND_POLICIES = f"backendtrafficpolicies.{ENVOY_GATEWAY}"
CLIENT_POLICIES = f"clienttrafficpolicies.{ENVOY_GATEWAY}"
PROXIES = f"envoyproxies.{ENVOY_GATEWAY}"
OWNER = "gateway.envoyproxy.io/owning-gateway-name"


@dataclass
class EnvoyGateway:
    """`images` are those of the version set by role; `later(uid, seconds)` says whether that long has passed since the
    object was first seen in its present state (and sees to it that sync comes again)."""

    store: Store
    images: dict[str, str]
    later: Callable[[str, float], bool]
    slow: float = 0.0  # a fault: seconds until a status is written
    attached: dict[str, list[tuple[tuple[str, str], Object, routes.RouteAttachment]]] = field(default_factory=dict)

    @property
    def active(self) -> bool:
        """Whether a pod of the controller is ready."""
        deployment = self.store.find("deployments.apps", NAMESPACE, "envoy-gateway")
        return bool(at(deployment, "status", "readyReplicas"))

    @property
    def config(self) -> Object:
        """The EnvoyGateway configuration it runs with."""
        found = at(self.store.find("configmaps", NAMESPACE, "envoy-gateway-config"), "data", "envoy-gateway.yaml")
        return _parsed(found or "{}")

    def sync(self) -> None:
        if not self.active:
            return
        mine = self.classes()
        for gateway_class in mine.values():
            self._class(gateway_class)
        managed = self.managed()
        for gateway in managed.values():
            self._infrastructure(gateway)
        self._attach(managed)
        for route in self.store.all(ROUTES):
            self._route(route)
        counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        for where, _, found in (one for attachments in self.attached.values() for one in attachments):
            counts[where].update(found.listeners)
        for where, gateway in managed.items():
            self._gateway(gateway, counts[where])
        for storage in (BACKEND_POLICIES, CLIENT_POLICIES):
            self._policies(storage)

    def classes(self) -> dict[str, Object]:
        """GatewayClasses of this controller by name."""
        found = self.store.all(CLASSES)
        return {one["metadata"]["name"]: one for one in found if one["spec"]["controllerName"] == CONTROLLER}

    def managed(self) -> dict[tuple[str, str], Object]:
        """Gateways of accepted classes by namespace and name."""
        accepted = {
            name for name, one in self.classes().items() if is_true(at(one, "status", "conditions"), "Accepted")
        }
        found = [one for one in self.store.all(GATEWAYS) if one["spec"]["gatewayClassName"] in accepted]
        return {_where(one): one for one in found}

    def envoy_proxy(self, gateway: Object) -> Object | None:
        """The EnvoyProxy that a Gateway goes by: its own, else its class's."""
        own = at(gateway, "spec", "infrastructure", "parametersRef")
        if own:
            return self.store.find(PROXIES, gateway["metadata"]["namespace"], own["name"])
        reference = at(self.classes().get(gateway["spec"]["gatewayClassName"]), "spec", "parametersRef")
        return self.store.find(PROXIES, reference.get("namespace", ""), reference["name"]) if reference else None

    def parents(self, route: Object) -> list[Object]:
        """The parentRefs of a route by which it is accepted at a Gateway of ours."""
        found = self.attached.get(route["metadata"]["uid"], ())
        return [parent for _, parent, one in found if is_true(one.conditions, "Accepted")]

    def judged(self, storage: str) -> dict[str, list[policies.Ancestor]]:
        """The statuses of all policies of a kind, by uid."""
        return policies.judge(
            self.store.all(storage),
            routes={_where(one): one for one in self.store.all(ROUTES)},
            gateways=self.managed(),
            parents=self.parents,
            limiter="rateLimit" in self.config,
        )

    def _class(self, gateway_class: Object) -> None:
        name = gateway_class["metadata"]["name"]
        used = any(one["spec"]["gatewayClassName"] == name for one in self.store.all(GATEWAYS))
        others = [one for one in gateway_class["metadata"].get("finalizers") or () if one != FINALIZER]
        finalizers = [*others, *([FINALIZER] if used else [])]
        if finalizers != (gateway_class["metadata"].get("finalizers") or []):
            meta = {k: v for k, v in gateway_class["metadata"].items() if k != "finalizers"}
            meta |= {"finalizers": finalizers} if finalizers else {}
            gateway_class = self.store.update(self._kind("GatewayClass"), gateway_class | {"metadata": meta})
            if (gateway_class["metadata"].get("deletionTimestamp")) and not finalizers:
                return
        conditions = gateways.class_conditions(gateway_class, self.store.find)
        self._write("GatewayClass", gateway_class, {"conditions": conditions})

    def _infrastructure(self, gateway: Object) -> None:
        for wanted in infrastructure.objects(gateway, self.envoy_proxy(gateway), self.images):
            kind = self.store.named(wanted["kind"], wanted["apiVersion"].rpartition("/")[0])
            meta = wanted["metadata"]
            live = self.store.find(kind.storage, meta["namespace"], meta["name"])
            if live is None:
                self.store.create(kind, wanted)
            elif any(ref["uid"] == gateway["metadata"]["uid"] for ref in live["metadata"].get("ownerReferences", ())):
                self._converge(kind.storage, live, wanted)

    def _converge(self, storage: str, live: Object, wanted: Object) -> None:
        """Writes what Envoy Gateway wants other than it is; what others filled in, and a scale, stay."""
        kind = next(one for one in self.store.kinds.values() if one.storage == storage)
        fresh = live | {"metadata": live["metadata"] | {"labels": wanted["metadata"]["labels"]}}
        if "spec" in wanted:
            kept = {"replicas": live["spec"]["replicas"]} if storage == "deployments.apps" else {}
            fresh["spec"] = live["spec"] | wanted["spec"] | kept
            if storage == "services":
                known = {port["port"]: port.get("nodePort") for port in live["spec"]["ports"]}
                fresh["spec"]["ports"] = [
                    port | ({"nodePort": known[port["port"]]} if known.get(port["port"]) else {})
                    for port in wanted["spec"]["ports"]
                ]
            if storage == "deployments.apps":
                fresh["spec"]["template"] = _restarted(live["spec"]["template"], wanted["spec"]["template"])
        self.store.update(kind, fresh)

    def _attach(self, managed: dict[tuple[str, str], Object]) -> None:
        """Works out, for each route by uid, what becomes of its parentRefs to Gateways of ours."""
        backends = self._backends()
        self.attached = {}
        for route in self.store.all(ROUTES):
            mine = self.attached.setdefault(route["metadata"]["uid"], [])
            for parent in route["spec"].get("parentRefs") or ():
                where = (parent.get("namespace", route["metadata"]["namespace"]), parent["name"])
                if where in managed:
                    found = routes.attach(route, parent, managed[where], backends)
                    mine.append((where, parent, found))

    def _route(self, route: Object) -> None:
        parents = [
            {"controllerName": CONTROLLER, "parentRef": parent, "conditions": found.conditions}
            for _, parent, found in self.attached[route["metadata"]["uid"]]
        ]
        self._write("HTTPRoute", route, {"parents": parents})

    def _backends(self) -> routes.Backends:
        services = {_where(one): one for one in self.store.all("services")}
        ready = frozenset(
            (one["metadata"]["namespace"], one["metadata"]["labels"]["kubernetes.io/service-name"])
            for one in self.store.all("endpointslices.discovery.k8s.io")
            if any(endpoint["conditions"]["ready"] for endpoint in one["endpoints"])
        )
        return routes.Backends(services, ready, tuple(self.store.all(f"referencegrants.{GATEWAY}")))

    def _gateway(self, gateway: Object, attached: Counter[str]) -> None:
        proxies = self._proxies(gateway)
        listeners = [
            gateways.listener_status(gateway, one, attached[one["name"]]) for one in gateway["spec"]["listeners"]
        ]
        status: Object = {"conditions": gateways.gateway_conditions(gateway, proxies, self.store.find)}
        if proxies.addresses:
            status["addresses"] = [{"type": "IPAddress", "value": one} for one in proxies.addresses]
        self._write("Gateway", gateway, status | {"listeners": listeners})

    def _proxies(self, gateway: Object) -> gateways.Proxies:
        namespace, name = _where(gateway)
        service = self.store.find("services", namespace, name)
        deployment = self.store.find("deployments.apps", namespace, name)
        type_ = at(service, "spec", "type")
        addresses: tuple[str, ...] = ()
        if type_ == "ClusterIP" and at(service, "spec", "clusterIP"):
            addresses = (at(service, "spec", "clusterIP"),)
        elif type_ == "NodePort":
            nodes = self.store.all("nodes")
            addresses = tuple(one["status"]["addresses"][0]["address"] for one in nodes)
        available = at(deployment, "status", "availableReplicas") or 0
        return gateways.Proxies(addresses, available, at(deployment, "spec", "replicas") or 0)

    def _policies(self, storage: str) -> None:
        judged = self.judged(storage)
        for policy in self.store.all(storage):
            ancestors = [
                {"ancestorRef": one.reference, "controllerName": CONTROLLER, "conditions": one.conditions}
                for one in judged.get(policy["metadata"]["uid"], ())
            ]
            if ancestors or at(policy, "status", "ancestors"):
                self._write(policy["kind"], policy, {"ancestors": ancestors})

    def _write(self, name: str, obj: Object, status: Object) -> None:
        """Writes a status: the conditions in it get their times."""
        meta, old = obj["metadata"], obj.get("status") or {}
        if not self.later(f"{meta['uid']}/{meta['generation']}", self.slow):
            return
        if "conditions" in status:
            status["conditions"] = merged(old.get("conditions"), status["conditions"])
        for key, same in (("listeners", "name"), ("parents", "parentRef"), ("ancestors", "ancestorRef")):
            before = old.get(key) or []
            for one in status.get(key, ()):
                had: Object = next((other for other in before if other[same] == one[same]), {})
                one["conditions"] = merged(had.get("conditions"), one["conditions"])
        group = ENVOY_GATEWAY if "Policy" in name else GATEWAY
        self.store.update(self._kind(name, group), obj | {"status": status}, status=True)

    def _kind(self, name: str, group: str = GATEWAY) -> Any:
        return self.store.named(name, group)


_configs: dict[str, Object] = {}


def _parsed(text: str) -> Object:
    """The YAML of a configuration, parsed once for each text."""
    if text not in _configs:
        _configs.clear()
        _configs[text] = parse_yaml(text) or {}
    return _configs[text]


def _where(obj: Object) -> tuple[str, str]:
    return obj["metadata"]["namespace"], obj["metadata"]["name"]


def _restarted(live: Object, wanted: Object) -> Object:
    """The wanted template with what `kubectl rollout restart` wrote into the live one."""
    stamp = "kubectl.kubernetes.io/restartedAt"
    have = (live["metadata"].get("annotations") or {}).get(stamp)
    if have is None:
        return wanted
    annotations = (wanted["metadata"].get("annotations") or {}) | {stamp: have}
    return wanted | {"metadata": wanted["metadata"] | {"annotations": annotations}}
