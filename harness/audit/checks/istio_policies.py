"""Audit check: Istio's L7 policies and mesh routes on a waypoint that does not enforce them.

istiod writes WaypointAccepted=True "bound to default/waypoint" for any Gateway with an address; Envoy Gateway's Envoy
takes no configuration from istiod. Measured: AuthorizationPolicy DENY on a Service and on the Gateway, 200 for each
request; RequestAuthentication with a damaged token, 200; a mesh HTTPRoute, without effect.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from harness.audit.finding import Result, Severity, make_finding
from harness.audit.state import AuditState, namespace_of
from harness.audit.waypoint_bindings import ROUTES, is_envoy_gateways, is_envoy_gateways_class, use_of
from harness.objects.conditions import conditions
from harness.objects.references import parents, targets
from harness.objects.unstructured import Json, name_of, text

KINDS: dict[str, Severity] = {
    "AuthorizationPolicy": "high",
    "RequestAuthentication": "high",
    "WasmPlugin": "high",
    "Telemetry": "medium",
}
INSTEAD = {
    "AuthorizationPolicy": "SecurityPolicy.authorization",
    "RequestAuthentication": "SecurityPolicy.jwt",
    "WasmPlugin": "EnvoyExtensionPolicy",
    "Telemetry": "EnvoyProxy.spec.telemetry",
}


def policies(state: AuditState) -> Iterable[Result]:
    """Istio policies with targetRefs whose waypoint is Envoy Gateway's."""
    for policy in state.readable_objects(*KINDS):
        kind = text(policy, "kind")
        for target, gateway in _targets(state, policy):
            accepted = [c for c in conditions(policy) if c.type == "WaypointAccepted"]
            yield make_finding(
                "istio-policy-not-enforced",
                KINDS[kind],
                [policy, target, *([gateway] if gateway is not target else [])],
                f"{name_of(policy)} targets {name_of(target)}, and {name_of(gateway)}, which is Envoy Gateway's, does "
                f"not enforce Istio's policies: use {INSTEAD[kind]}",
                *(f'{c.type}={c.status} "{c.message}"' for c in accepted),
            )


def partly_enforced(state: AuditState) -> Iterable[Result]:
    """AuthorizationPolicies of whose rules ztunnel, which knows no HTTP, leaves a part out, by istiod's own word."""
    for policy in state.all_objects("AuthorizationPolicy"):
        for accepted in conditions(policy):
            if accepted.type == "ZtunnelAccepted" and accepted.reason == "UnsupportedValue":
                yield make_finding(
                    "istio-policy-partly-enforced",
                    "high" if text(policy, "spec", "action") in ("", "ALLOW") else "medium",
                    policy,
                    f"{name_of(policy)} has rules about HTTP, and ztunnel enforces it without them",
                    f'{accepted.type}={accepted.status} {accepted.reason} "{accepted.message}"',
                )


def mesh_routes(state: AuditState) -> Iterable[Result]:
    """Routes with a Service as parent whose waypoint is Envoy Gateway's."""
    for route in state.readable_objects(*ROUTES):
        for group, kind, namespace, ref in parents(route):
            if kind != "Service" or group not in ("", "core"):
                continue
            service = state.find("Service", namespace, text(ref, "name"))
            gateway = _waypoint(state, service) if service else None
            if service and gateway:
                current = [c for c in conditions(route) if c.type in ("Accepted", "ResolvedWaypoints")]
                yield make_finding(
                    "mesh-route-not-enforced",
                    "high",
                    [route, service, gateway],
                    f"{name_of(route)} has {name_of(service)} as its parent, and {name_of(gateway)}, which is Envoy "
                    f"Gateway's, takes no mesh routes: traffic is untouched by it; make the Gateway its parent",
                    *(f'{c.type}={c.status} "{c.message}"' for c in current),
                )


def _targets(state: AuditState, policy: Json) -> Iterator[tuple[Json, Json]]:
    """(target, Gateway) of each targetRef behind which Envoy Gateway's waypoint stands."""
    for ref in targets(policy):
        kind, name = text(ref, "kind"), text(ref, "name")
        namespace = text(ref, "namespace") or namespace_of(policy)
        if kind == "GatewayClass":
            if is_envoy_gateways_class(state, name) and (of_class := state.find("GatewayClass", "", name)):
                yield of_class, of_class
            continue
        target = state.find(kind, namespace, name) if kind in ("Service", "Gateway", "ServiceEntry") else None
        if target and kind == "Gateway" and is_envoy_gateways(state, target):
            yield target, target
        elif target and kind != "Gateway" and (gateway := _waypoint(state, target)):
            yield target, gateway


def _waypoint(state: AuditState, service: Json) -> Json | None:
    use = use_of(state, service)
    gateway = state.find("Gateway", use.namespace, use.name) if use else None
    return gateway if gateway and is_envoy_gateways(state, gateway) else None
