"""Finds which Services, namespaces and pods are bound to which waypoint. Pure.

istiod takes any Gateway with an address for a waypoint, whatever its class; the label `istio.io/use-waypoint` of a
Service wins over its namespace's, and `none` opts out (istio pilot/pkg/serviceregistry/ambient/waypoints.go).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from harness.audit.state import AuditState, labels_of, namespace_of, object_name
from harness.objects.references import parents
from harness.objects.unstructured import Json, mapping, maybe_number, objects, strings, text
from harness.objects.waypoint_labels import USE_WAYPOINT, USE_WAYPOINT_NAMESPACE
from harness.objects.workloads import OWNING_GATEWAY, pod_containers

BINDING = "ambient.istio.io/waypoint-inbound-binding"
OWNING_NAMESPACE = "gateway.envoyproxy.io/owning-gateway-namespace"
ENVOY_GATEWAY = "gateway.envoyproxy.io"
HBONE = 15008
SHIFT = 10_000  # what Envoy Gateway adds to a listener port below 1024 (internal/gatewayapi/translator.go)
ROUTES = ("HTTPRoute", "GRPCRoute", "TCPRoute", "TLSRoute", "UDPRoute")
POLICIES = ("BackendTrafficPolicy", "ClientTrafficPolicy", "SecurityPolicy", "EnvoyExtensionPolicy", "EnvoyPatchPolicy")
_ENVOY_GATEWAY_IMAGE = re.compile(r"/gateway(?:-dev)?:v?(\d+\.\d+\.\d+)")


@dataclass(frozen=True, slots=True)
class Use:
    """A label use-waypoint that applies to an object: the Gateway it names, and the object that carries the label."""

    namespace: str
    name: str
    by: Json


def use_of(state: AuditState, obj: Json) -> Use | None:
    """The waypoint that an object's label, or its namespace's, names; None without one or with `none`."""
    holder = obj
    if USE_WAYPOINT not in labels_of(obj) and namespace_of(obj):
        holder = state.find("Namespace", "", namespace_of(obj)) or {}
    name = text(labels_of(holder), USE_WAYPOINT)
    if not name or name == "none":
        return None
    return Use(text(labels_of(holder), USE_WAYPOINT_NAMESPACE) or namespace_of(obj) or object_name(obj), name, holder)


def has_vip(service: Json) -> bool:
    """Whether a Service has an address of its own: one without is never called through a waypoint by name."""
    address = text(service, "spec", "clusterIP")
    return address not in ("", "None") and text(service, "spec", "type") != "ExternalName"


def bound_services(state: AuditState) -> Iterator[tuple[Json, Use, Json]]:
    """Every Service with an address that uses a waypoint that exists and is Envoy Gateway's, with that Gateway."""
    for service in state.all_objects("Service"):
        use = use_of(state, service) if has_vip(service) else None
        gateway = state.find("Gateway", use.namespace, use.name) if use else None
        if use and gateway and is_envoy_gateways(state, gateway):
            yield service, use, gateway


def waypoints(state: AuditState) -> list[Json]:
    """Envoy Gateway's Gateways that some Service or Namespace names as its waypoint."""
    wanted: set[tuple[str, str]] = set()
    for obj in state.all_objects("Service", "Namespace"):
        if use := use_of(state, obj):
            wanted.add((use.namespace, use.name))
    return [g for g in envoy_gateways(state) if (namespace_of(g), object_name(g)) in wanted]


def envoy_gateways(state: AuditState) -> list[Json]:
    """Every Gateway whose class is Envoy Gateway's."""
    return [gateway for gateway in state.all_objects("Gateway") if is_envoy_gateways(state, gateway)]


def is_envoy_gateways(state: AuditState, gateway: Json) -> bool:
    """Whether a Gateway's class is Envoy Gateway's."""
    return is_envoy_gateways_class(state, text(gateway, "spec", "gatewayClassName"))


def is_envoy_gateways_class(state: AuditState, name: str) -> bool:
    """Whether a GatewayClass of that name is Envoy Gateway's."""
    return is_controller(state, text(state.find("GatewayClass", "", name), "spec", "controllerName"))


def is_controller(state: AuditState, name: str) -> bool:
    """Whether a controller's name is Envoy Gateway's, its own configured one included."""
    return name.startswith(f"{ENVOY_GATEWAY}/") or name == (text(state.config, "gateway", "controllerName") or None)


def envoy_proxies(state: AuditState, gateway: Json) -> list[Json]:
    """The EnvoyProxy objects behind a Gateway, the more specific first: its own, then its class's."""
    own = mapping(gateway, "spec", "infrastructure", "parametersRef")
    gateway_class = state.find("GatewayClass", "", text(gateway, "spec", "gatewayClassName"))
    of_class = mapping(gateway_class, "spec", "parametersRef")
    found = []
    for ref, namespace in ((own, namespace_of(gateway)), (of_class, text(of_class, "namespace"))):
        if text(ref, "kind") == "EnvoyProxy":
            found.append(state.find("EnvoyProxy", namespace, text(ref, "name")))
    return [one for one in found if one]


def proxy_setting(state: AuditState, gateway: Json, *path: str) -> object:
    """A field of the first EnvoyProxy behind a Gateway that has it. They are not merged by default: the most specific
    one alone applies."""
    for proxy in envoy_proxies(state, gateway)[:1]:
        value: object = proxy
        for key in ("spec", *path):
            value = value.get(key) if isinstance(value, dict) else None
        return value
    return None


def listeners(gateway: Json) -> list[Json]:
    """A Gateway's listeners."""
    return list(objects(gateway, "spec", "listeners"))


def container_port(state: AuditState, gateway: Json, port: int) -> int:
    """The port on which Envoy listens for a listener's port."""
    kept = proxy_setting(state, gateway, "provider", "kubernetes", "useListenerPortAsContainerPort") is True
    return port if port >= 1024 or kept else port + SHIFT


def binding(state: AuditState, gateway: Json) -> str:
    """The inbound binding of a waypoint ("NONE/9080"), of the Gateway or its class; "" without."""
    gateway_class = state.find("GatewayClass", "", text(gateway, "spec", "gatewayClassName"))
    own = text(gateway, "metadata", "annotations", BINDING)
    return own or text(gateway_class, "metadata", "annotations", BINDING)


def is_attached(route: Json, gateway: Json) -> bool:
    """Whether a route names the Gateway as a parent."""
    return any(
        (kind, namespace, text(ref, "name")) == ("Gateway", namespace_of(gateway), object_name(gateway))
        for _, kind, namespace, ref in parents(route)
    )


def names_of(service: Json) -> tuple[str, ...]:
    """The host names under which a Service is called, by how often: short, with namespace, whole, and with svc."""
    name, namespace = object_name(service), namespace_of(service)
    return name, f"{name}.{namespace}", f"{name}.{namespace}.svc.cluster.local", f"{name}.{namespace}.svc"


def matches(route: Json, host: str) -> bool:
    """Whether a route takes a host name; one without hostnames takes all."""
    wanted = strings(route, "spec", "hostnames")
    return not wanted or any(
        host == one or (one.startswith("*.") and host.endswith(one[1:]) and host != one[2:]) for one in wanted
    )


def in_mesh(pod: Json) -> bool:
    """Whether a pod's traffic goes through ztunnel or a sidecar: what Istio's CNI says it did, not what labels ask."""
    containers = [*objects(pod, "spec", "containers"), *objects(pod, "spec", "initContainers")]
    redirected = text(pod, "metadata", "annotations", "ambient.istio.io/redirection") == "enabled"
    return redirected or any(text(one, "name") == "istio-proxy" for one in containers)


def proxy_pods(state: AuditState, gateway: Json | None = None) -> list[Json]:
    """The Envoy pods of a Gateway of Envoy Gateway, or of all."""
    found = [pod for pod in state.all_objects("Pod") if OWNING_GATEWAY in labels_of(pod)]
    if gateway is None:
        return found
    whose = (object_name(gateway), namespace_of(gateway))
    return [pod for pod in found if (labels_of(pod)[OWNING_GATEWAY], labels_of(pod).get(OWNING_NAMESPACE)) == whose]


def controllers(state: AuditState) -> list[Json]:
    """Envoy Gateway's own Deployments."""
    return [d for d in state.all_objects("Deployment") if labels_of(d).get("control-plane") == "envoy-gateway"]


def envoy_gateway_version(state: AuditState) -> str:
    """The version of Envoy Gateway by its image's tag; "" when it is unknown or several run."""
    images = [text(c, "image") for d in controllers(state) for c in pod_containers(d)]
    versions = {found[1] for image in images if (found := _ENVOY_GATEWAY_IMAGE.search(image))}
    return versions.pop() if len(versions) == 1 else ""


def port_of(value: Json) -> int:
    """The field `port`, 0 without."""
    return maybe_number(value, "port") or 0
