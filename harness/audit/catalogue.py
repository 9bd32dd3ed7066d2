"""The list of all audit checks, the most dangerous first, with the kinds that each reads. Pure.

A check whose `needs` could not be read, or are not served, is not judged. A kind of `uses` that the cluster does not
serve has no objects; one that is there and could not be read leaves the check unjudged too, or judged in part where it
looks at each kind alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from harness.audit.checks import (
    accepted_but_not_in_envoy,
    gateway_name_collisions,
    ignored_fields,
    ingress_to_mesh,
    istio_policies,
    logged_waypoint_bypasses,
    port_15008,
    rate_limit_service,
    references,
    statuses,
    versions,
    waypoint_hostnames,
    waypoints,
)
from harness.audit.finding import SEVERITIES, Finding, NotJudged, Result
from harness.audit.state import AuditState, Unread
from harness.audit.waypoint_bindings import POLICIES, ROUTES

GATEWAYS = ("Gateway", "GatewayClass")
BINDINGS = (*GATEWAYS, "Service", "Namespace")


@dataclass(frozen=True, slots=True)
class Check:
    """One rule; `ids` are those of its findings, each with a page docs/audit/<id>.md."""

    ids: tuple[str, ...]
    title: str
    rule: Callable[[AuditState], Iterable[Result]]
    needs: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()
    in_part: bool = False


def _rejected(state: AuditState) -> Iterable[Result]:
    """By the logs, which also show what is over, and by the configuration, which shows what is still so."""
    yield from port_15008.rejected(state)
    yield from accepted_but_not_in_envoy.refusals_stand(state)


CHECKS = (
    Check(
        ("istio-policy-not-enforced",),
        "Istio policy bound to a waypoint that does not enforce it",
        istio_policies.policies,
        BINDINGS,
        (*istio_policies.KINDS, "ServiceEntry"),
        in_part=True,
    ),
    Check(
        ("mesh-route-not-enforced",),
        "Route of a Service behind a waypoint that takes no mesh routes",
        istio_policies.mesh_routes,
        BINDINGS,
        ROUTES,
        in_part=True,
    ),
    Check(("waypoint-missing",), "use-waypoint names no Gateway", waypoints.missing, BINDINGS),
    Check(("waypoint-not-ready",), "Waypoint without address, or not Programmed", waypoints.not_ready, BINDINGS),
    Check(("waypoint-not-bound",), "Service not bound to its waypoint", waypoints.not_bound, BINDINGS),
    Check(
        ("ingress-bypasses-waypoint",),
        "Ingress bypasses the waypoint despite ingress-use-waypoint",
        ingress_to_mesh.bypass,
        (*BINDINGS, "HTTPRoute", "Deployment", "EnvoyProxy", "BackendTrafficPolicy"),
        ROUTES,
    ),
    Check(
        ("waypoint-bypassed",),
        "Waypoint that connections bypass",
        logged_waypoint_bypasses.bypassed,
        (*BINDINGS, "Pod"),
    ),
    Check(("port-15008-clash",), "ztunnel cannot bind port 15008 of a pod", port_15008.find_port_conflict, ("Pod",)),
    Check(("ztunnel-not-ready",), "ztunnel pod not ready", port_15008.ztunnel_ready, ("Pod",)),
    Check(("port-15008-listener",), "Waypoint with a listener on 15008", port_15008.listener_on_hbone_port, BINDINGS),
    Check(("envoy-rejects-configuration",), "Envoy refused configuration", _rejected, ("Pod",)),
    Check(
        ("route-not-active",),
        "Accepted route that a replica does not have",
        accepted_but_not_in_envoy.routes_active,
        (*GATEWAYS, "Pod"),
        accepted_but_not_in_envoy.KINDS,
    ),
    Check(
        ("policy-not-active",),
        "Accepted policy that holds for no route of a replica",
        accepted_but_not_in_envoy.policies_active,
        (*GATEWAYS, "Pod"),
        (*accepted_but_not_in_envoy.KINDS, *accepted_but_not_in_envoy.POLICIES),
    ),
    Check(("cluster-warming",), "Cluster that keeps warming", accepted_but_not_in_envoy.clusters_warm, ("Pod",)),
    Check(
        ("istio-policy-partly-enforced",),
        "Istio policy of which ztunnel leaves a part out",
        istio_policies.partly_enforced,
        ("AuthorizationPolicy",),
    ),
    Check(
        ("waypoint-port-shifted", "waypoint-without-listener"),
        "Service port and waypoint port do not meet",
        waypoints.ports,
        (*BINDINGS, "EnvoyProxy"),
    ),
    Check(("waypoint-without-hbone-port",), "Waypoint's Service lacks port 15008", waypoints.hbone_port, BINDINGS),
    Check(
        ("hostname-missing",),
        "Host name of a Service that its route lacks",
        waypoint_hostnames.missing_names,
        (*BINDINGS, "HTTPRoute"),
        ROUTES,
    ),
    Check(
        ("service-without-route",),
        "Service without a route at its waypoint",
        waypoint_hostnames.without_route,
        (*BINDINGS, "HTTPRoute"),
        ROUTES,
    ),
    Check(
        ("eg-service-bound",),
        "Envoy Gateway's own Service bound to a waypoint",
        waypoint_hostnames.own_services,
        BINDINGS,
    ),
    Check(("parent-missing",), "Route whose parent is missing", references.parents_missing, GATEWAYS, ROUTES),
    Check(
        ("backend-missing",),
        "Route whose backend or port is missing",
        references.backends_missing,
        (*GATEWAYS, "Service"),
        (*ROUTES, "Backend"),
    ),
    Check(
        ("target-missing",),
        "Policy whose target is missing",
        references.targets_missing,
        GATEWAYS,
        (*POLICIES, *ROUTES),
    ),
    Check(
        ("without-status",),
        "Policy or route that no controller has taken",
        references.without_status,
        GATEWAYS,
        (*POLICIES, *ROUTES),
    ),
    Check(
        ("status-not-true", "status-overridden"),
        "Status that says that it does not work",
        statuses.not_true,
        BINDINGS,
        (*POLICIES, *ROUTES),
        in_part=True,
    ),
    Check(
        ("status-of-older-generation",),
        "Status of an older generation",
        statuses.stale,
        GATEWAYS,
        (*POLICIES, *ROUTES),
        in_part=True,
    ),
    Check(
        ("field-ignored",),
        "Field that the running version ignores",
        ignored_fields.fields,
        ("Deployment", "BackendTrafficPolicy"),
    ),
    Check(
        ("gateway-name-taken",),
        "Gateway named like an application's object",
        gateway_name_collisions.names_in_use,
        (*GATEWAYS, "ServiceAccount", "ConfigMap", "Deployment", "Pod"),
    ),
    Check(
        ("ingress-outside-mesh",),
        "Ingress outside the mesh under STRICT mTLS",
        ingress_to_mesh.outside_mesh,
        (*GATEWAYS, "Service", "Pod", "PeerAuthentication"),
        ROUTES,
    ),
    Check(
        ("rate-limit-fails-open",),
        "Global rate limit whose service or Redis is down",
        rate_limit_service.fail_open,
        ("BackendTrafficPolicy", "Deployment", "Service", "Pod"),
    ),
    Check(
        ("controller-namespace-mode",),
        "Waypoint in Envoy Gateway's default mode",
        versions.mode,
        BINDINGS,
    ),
    Check(("version-unsupported",), "Envoy Gateway past its support", versions.support, ("Deployment",)),
    Check(("version-pair",), "Versions outside each other's limits", versions.pairs, ("Deployment",)),
    Check(
        ("gateway-api-mixed", "gateway-api-old"),
        "Mixed or old definitions of the Gateway API",
        versions.definitions,
        ("CustomResourceDefinition", "Deployment"),
    ),
)
TITLES = {id: check.title for check in CHECKS for id in check.ids}


def run_audit_checks(state: AuditState) -> tuple[list[Finding], list[NotJudged]]:
    """Every check over a state: findings, the most severe first, and what could not be judged."""
    results = [result for check in CHECKS for result in _run(check, state)]
    findings = [one for one in dict.fromkeys(results) if isinstance(one, Finding)]
    findings.sort(key=lambda one: -SEVERITIES.index(one.severity))
    return findings, [one for one in dict.fromkeys(results) if isinstance(one, NotJudged)]


def _run(check: Check, state: AuditState) -> list[Result]:
    lost = [kind for kind in check.needs if kind not in state.objects or kind in state.not_served]
    lost += [kind for kind in check.uses if kind not in state.objects]
    unjudged: list[Result] = [
        NotJudged(id, f"{kind} could not be read: {state.unread.get(kind, 'not served here')}")
        for kind in dict.fromkeys(lost)
        for id in check.ids
    ]
    if unjudged and not (check.in_part and set(lost).isdisjoint(check.needs)):
        return unjudged
    try:
        return [*check.rule(state), *unjudged]
    except Unread as error:
        return [*(NotJudged(id, f"could not be read: {error}") for id in check.ids), *unjudged]
