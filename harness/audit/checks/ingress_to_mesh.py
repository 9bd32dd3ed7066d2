"""Audit check: ingress proxies that bypass a waypoint, or are outside the mesh while their backends require mTLS."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from harness import version_differences
from harness.audit.finding import Result, make_finding
from harness.audit.state import AuditState, labels_of, namespace_of
from harness.audit.waypoint_bindings import (
    ROUTES,
    envoy_gateway_version,
    envoy_gateways,
    in_mesh,
    is_attached,
    proxy_pods,
    proxy_setting,
    use_of,
)
from harness.objects.conditions import conditions
from harness.objects.references import backends, targets
from harness.objects.stack_places import DEFAULT_PLACES
from harness.objects.unstructured import Json, mapping, name_of, text

INGRESS_USE = "istio.io/ingress-use-waypoint"


def bypass(state: AuditState) -> Iterable[Result]:
    """Services with `ingress-use-waypoint: true` that an ingress of Envoy Gateway calls by their pods' addresses."""
    for gateway, route, service in _served(state):
        use = use_of(state, service)
        if use is None or (use.namespace, use.name) == (namespace_of(gateway), text(gateway, "metadata", "name")):
            continue
        asked = labels_of(service).get(INGRESS_USE) or labels_of(
            state.find("Namespace", "", namespace_of(service)) or {}
        ).get(INGRESS_USE)
        if asked == "true" and not _routes_to_services(state, gateway, route):
            yield make_finding(
                "ingress-bypasses-waypoint",
                "high",
                [service, gateway, route],
                f"{name_of(service)} asks that ingress traffic passes waypoint {use.name}, and {name_of(gateway)} "
                "sends to its pods' addresses, past the waypoint: set routingType: Service in the EnvoyProxy of "
                f"{name_of(gateway)}",
                *(f'{c.type}={c.status} "{c.message}"' for c in conditions(service)),
            )


def outside_mesh(state: AuditState) -> Iterable[Result]:
    """Ingress proxies outside the mesh whose backends take mTLS alone."""
    seen = set()
    for gateway, route, service in _served(state):
        outside = [pod for pod in proxy_pods(state, gateway) if not in_mesh(pod)]
        strict = [(pod, by) for pod in state.pods_of(service) if in_mesh(pod) and (by := _strict(state, pod))]
        if outside and strict and (name_of(gateway), name_of(service)) not in seen:
            seen.add((name_of(gateway), name_of(service)))
            by = strict[0][1]
            yield make_finding(
                "ingress-outside-mesh",
                "high",
                [gateway, service, by],
                f"{name_of(outside[0])} of {name_of(gateway)} is outside the mesh, and {name_of(by)} refuses plain "
                f"text to {name_of(service)}: each request that {name_of(route)} sends there fails",
                f"{name_of(outside[0])}: no annotation ambient.istio.io/redirection: enabled, no istio-proxy container",
            )


def _served(state: AuditState) -> Iterator[tuple[Json, Json, Json]]:
    """(Gateway, route, Service) for every Service that a route of an Envoy Gateway sends to."""
    routes = state.readable_objects(*ROUTES)
    for gateway in envoy_gateways(state):
        for route in routes:
            if not is_attached(route, gateway):
                continue
            for group, kind, namespace, ref in backends(route):
                if (group, kind) != ("", "Service"):
                    continue
                if service := state.find("Service", namespace, text(ref, "name")):
                    yield gateway, route, service


def _routes_to_services(state: AuditState, gateway: Json, route: Json) -> bool:
    if proxy_setting(state, gateway, "routingType") == "Service":
        return True
    version = envoy_gateway_version(state)
    if version and version_differences.value("policy_routing_type", version) != "enforced":
        return False
    wanted = {("HTTPRoute", text(route, "metadata", "name")), ("Gateway", text(gateway, "metadata", "name"))}
    return any(
        text(policy, "spec", "routingType") == "Service"
        and any((text(ref, "kind"), text(ref, "name")) in wanted for ref in targets(policy))
        for policy in state.readable_objects("BackendTrafficPolicy")
        if namespace_of(policy) in (namespace_of(route), namespace_of(gateway))
    )


def _strict(state: AuditState, pod: Json) -> Json | None:
    """The PeerAuthentication that makes a pod take mTLS alone: the most specific one decides, UNSET leaves it open."""
    ranked: dict[int, list[Json]] = {0: [], 1: [], 2: []}
    istiods = [one for one in state.readable_objects("Deployment") if labels_of(one).get("app") == "istiod"]
    roots = {root for config in state.mesh.values() if (root := text(config, "rootNamespace"))}
    roots = roots or {namespace_of(one) for one in istiods} or {DEFAULT_PLACES.root_namespace}
    for one in state.all_objects("PeerAuthentication"):
        wanted = mapping(one, "spec", "selector", "matchLabels")
        here = namespace_of(one) == namespace_of(pod)
        if wanted and here and wanted.items() <= labels_of(pod).items():
            ranked[0].append(one)
        elif not wanted and here:
            ranked[1].append(one)
        elif not wanted and namespace_of(one) in roots:
            ranked[2].append(one)
    for rank in sorted(ranked):
        # Of several of a rank the oldest one counts.
        for one in sorted(ranked[rank], key=lambda one: text(one, "metadata", "creationTimestamp")):
            if (mode := text(one, "spec", "mtls", "mode")) not in ("", "UNSET"):
                return one if mode == "STRICT" else None
    return None
