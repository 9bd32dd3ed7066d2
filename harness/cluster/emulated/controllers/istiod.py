"""The emulated istiod: its GatewayClasses, waypoints of Services, WaypointBound, while its own pod is ready."""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.cluster.emulated.api.kinds import GATEWAY, ISTIO_SECURITY, Object
from harness.cluster.emulated.api.store import Store
from harness.cluster.emulated.controllers.conditions import at, condition, merged

NAMESPACE = "istio-system"
AUTHORIZATION_POLICIES = f"authorizationpolicies.{ISTIO_SECURITY}"
BINDING = "ambient.istio.io/waypoint-inbound-binding"
_USE, _USE_NAMESPACE, _FOR = "istio.io/use-waypoint", "istio.io/use-waypoint-namespace", "istio.io/waypoint-for"
_MANAGED = "gateway.istio.io/managed"
_BOUND, _NOT_READY = "istio.io/WaypointBound", "WaypointIsNotReady"
_CLASSES = {
    "istio": ("istio.io/gateway-controller", "The default Istio GatewayClass"),
    "istio-remote": (
        "istio.io/unmanaged-gateway",
        "Remote to this cluster. Does not deploy or affect configuration.",
    ),
    "istio-waypoint": ("istio.io/mesh-controller", "The default Istio waypoint GatewayClass"),
}


@dataclass
class IstiodController:
    """Faults: `unbound` are the Services (by name, "*": all) that it does not bind, with the reason that it gives;
    `heedless` those whose waypoint ztunnel receives although it is rejected."""

    store: Store
    unbound: dict[str, str] = field(default_factory=dict)
    heedless: set[str] = field(default_factory=set)

    @property
    def active(self) -> bool:
        """Whether a pod of istiod is ready."""
        return bool(at(self.store.find("deployments.apps", NAMESPACE, "istiod"), "status", "readyReplicas"))

    def sync(self) -> None:
        if not self.active:
            return
        if any(kind.name == "GatewayClass" for kind in self.store.kinds.values()):
            self._classes()
        for service in self.store.all("services"):
            self._bind(service)
        for policy in self.store.all(AUTHORIZATION_POLICIES):
            self._attach(policy)

    def waypoint(self, service: Object) -> Object | None:
        """The Gateway that is this Service's waypoint: asked for, ready, and of a fitting traffic type."""
        asked = self._asked(service)
        gateway = asked and self._ready(service, asked)
        heedless = service["metadata"]["name"] in self.heedless
        return gateway if gateway and (heedless or not _refusal(service, gateway)) else None

    def _asked(self, service: Object) -> tuple[str, str] | None:
        """Namespace and name of the waypoint that a Service, or its namespace, asks for."""
        meta = service["metadata"]
        if _MANAGED in (meta.get("labels") or {}):
            return None
        namespace = self.store.find("namespaces", "", meta["namespace"])
        for labels in (meta.get("labels") or {}, at(namespace, "metadata", "labels") or {}):
            if _USE in labels:
                wanted = labels[_USE]
                return None if wanted == "none" else (labels.get(_USE_NAMESPACE, meta["namespace"]), wanted)
        return None

    def _ready(self, service: Object, asked: tuple[str, str]) -> Object | None:
        gateway = self.store.find(f"gateways.{GATEWAY}", *asked)
        if self._kept_from(service):
            return None
        return gateway if at(gateway, "status", "addresses") else None

    def _kept_from(self, service: Object) -> str:
        """Why a fault keeps the Service from its waypoint, if one does."""
        return self.unbound.get(service["metadata"]["name"], "") or self.unbound.get("*", "")

    def _bind(self, service: Object) -> None:
        status = service.get("status") or {}
        others = [one for one in status.get("conditions") or () if one["type"] != _BOUND]
        asked, written = self._asked(service), list[Object]()
        if asked:
            gateway, name = self._ready(service, asked), "/".join(asked)
            if gateway is None:
                why = (self._kept_from(service) or _NOT_READY, f'waypoint "{name}" is not ready')
                written = [condition(_BOUND, False, *why)]
            elif refused := _refusal(service, gateway):
                written = [condition(_BOUND, False, *refused)]
            else:
                message = f"Successfully attached to waypoint {name}"
                written = [condition(_BOUND, True, "WaypointAccepted", message)]
        conditions = [*others, *merged(status.get("conditions"), written)]
        fresh = {k: v for k, v in status.items() if k != "conditions"}
        fresh |= {"conditions": conditions} if conditions else {}
        self.store.update(self.store.named("Service"), service | {"status": fresh}, status=True)

    def _attach(self, policy: Object) -> None:
        """In istiod's words (pilot/pkg/serviceregistry/ambient/policies.go)."""
        seen = policy["metadata"]["generation"]
        written = condition("ZtunnelAccepted", True, "Accepted", "attached to ztunnel", generation=seen)
        conditions = merged(at(policy, "status", "conditions"), [written])
        kind = self.store.named("AuthorizationPolicy", ISTIO_SECURITY)
        self.store.update(kind, policy | {"status": {"conditions": conditions}}, status=True)

    def _classes(self) -> None:
        kind = self.store.named("GatewayClass", GATEWAY)
        for name, (controller, description) in _CLASSES.items():
            live = self.store.find(kind.storage, "", name)
            if live is None:
                spec = {"controllerName": controller, "description": description}
                body = {"apiVersion": kind.api_version, "kind": kind.name, "metadata": {"name": name}, "spec": spec}
                live = self.store.create(kind, body)
            written = condition("Accepted", True, "Accepted", "Handled by Istio controller", generation=1)
            conditions = merged(at(live, "status", "conditions"), [written])
            self.store.update(kind, live | {"status": {"conditions": conditions}}, status=True)


def _refusal(service: Object, gateway: Object) -> tuple[str, str] | None:
    """Reason and message when the Gateway may not be this Service's waypoint."""
    meta, home = gateway["metadata"], service["metadata"]["namespace"]
    name = f"{meta['namespace']}/{meta['name']}"
    handled = (meta.get("labels") or {}).get(_FOR, "service")
    if handled not in ("service", "all"):
        message = f'attempting to bind to traffic type "service" which the waypoint "{name}" does not support'
        return "UnsupportedTrafficType", message
    if home != meta["namespace"] and not _open(gateway):
        message = f'we are not permitted to attach to waypoint "{name}" (missing allowedRoutes?)'
        return "AttachmentDenied", message
    return None


def _open(gateway: Object) -> bool:
    """Whether Services of other namespaces may attach: the listener of the inbound binding takes routes from all."""
    port = binding_port(gateway)
    listeners = [one for one in gateway["spec"]["listeners"] if one["port"] == port]
    return any(one["allowedRoutes"]["namespaces"]["from"] == "All" for one in listeners)


def binding_port(gateway: Object) -> int | None:
    """The port of an inbound binding such as NONE/9080: where ztunnel hands calls to the waypoint's pod."""
    protocol, _, port = ((gateway["metadata"].get("annotations") or {}).get(BINDING) or "").partition("/")
    return int(port) if protocol in ("NONE", "PROXY") and port.isdigit() else None
