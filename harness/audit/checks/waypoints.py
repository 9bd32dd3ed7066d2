"""Audit check: waypoints that are missing or not ready, or whose ports differ from those of their Services.

ztunnel in a waypoint's pod sends to the Service's own port (or to the binding's), in plain text; Envoy listens on the
listener's port, plus 10000 below 1024. istiod and ztunnel want port 15008 on the waypoint's Service, unless there is a
binding with a port (ztunnel src/state.rs, src/proxy/inbound.rs).
"""

from __future__ import annotations

from collections.abc import Iterable

from harness.audit.finding import Result, make_finding
from harness.audit.state import AuditState, namespace_of, object_name
from harness.audit.waypoint_bindings import (
    HBONE,
    SHIFT,
    binding,
    bound_services,
    container_port,
    has_vip,
    listeners,
    port_of,
    use_of,
    waypoints,
)
from harness.objects.conditions import conditions, judge_condition
from harness.objects.unstructured import Json, name_of, objects, text
from harness.objects.waypoint_labels import WAYPOINT_BOUND
from harness.objects.workloads import OWNING_GATEWAY


def missing(state: AuditState) -> Iterable[Result]:
    """Labels use-waypoint that name no Gateway."""
    seen = set()
    for obj in state.all_objects("Namespace", "Service"):
        use = use_of(state, obj)
        if use is None or state.find("Gateway", use.namespace, use.name):
            continue
        holder = name_of(use.by)
        if (holder, use.name) not in seen:
            seen.add((holder, use.name))
            yield make_finding(
                "waypoint-missing",
                "high",
                use.by,
                f"{holder} uses waypoint {use.namespace}/{use.name}, and there is no such Gateway: its traffic goes "
                "past every policy that was meant for it",
                *(
                    f'{c.type}={c.status} {c.reason} "{c.message}"'
                    for c in conditions(use.by)
                    if c.type == WAYPOINT_BOUND
                ),
            )


def not_ready(state: AuditState) -> Iterable[Result]:
    """Waypoints of Envoy Gateway without an address, or not Programmed."""
    for gateway in waypoints(state):
        judged = judge_condition(gateway, "Programmed", about="")
        addresses = list(objects(gateway, "status", "addresses"))
        if addresses and judged.met:
            continue
        lacks = "is not Programmed" if addresses else "has no address, so istiod does not take it for a waypoint"
        yield make_finding(
            "waypoint-not-ready", "high", gateway, f"{name_of(gateway)} is used as a waypoint and {lacks}", judged.text
        )


def not_bound(state: AuditState) -> Iterable[Result]:
    """Services that use a waypoint that exists, and whose WaypointBound is False."""
    for service in state.all_objects("Service"):
        use = use_of(state, service)
        if use is None or not state.find("Gateway", use.namespace, use.name):
            continue
        for condition in conditions(service):
            if condition.type == WAYPOINT_BOUND and condition.status != "True":
                yield make_finding(
                    "waypoint-not-bound",
                    "high",
                    service,
                    f"{name_of(service)} uses waypoint {use.namespace}/{use.name} and is not bound to it",
                    f'{condition.type}={condition.status} {condition.reason} "{condition.message}"',
                )


def ports(state: AuditState) -> Iterable[Result]:
    """Bound Services with a port for which the waypoint's Envoy does not listen where ztunnel sends."""
    for service, _, gateway in bound_services(state):
        if _owner(service):
            continue  # Envoy Gateway's own: eg-service-bound says it
        bound = binding(state, gateway).rpartition("/")[2]
        open_ports = {container_port(state, gateway, port_of(one)): port_of(one) for one in listeners(gateway)}
        for port in objects(service, "spec", "ports"):
            number = int(bound) if bound.isdigit() else port_of(port)
            if text(port, "protocol") in ("UDP", "SCTP") or number in open_ports:
                continue
            shifted = number < SHIFT and number in open_ports.values()
            where = f"port {port_of(port)} of {name_of(service)}" + (f" (binding {bound})" if bound.isdigit() else "")
            open_text = ", ".join(str(one) for one in sorted(open_ports)) or "none"
            yield make_finding(
                "waypoint-port-shifted" if shifted else "waypoint-without-listener",
                "high",
                [service, gateway],
                f"ztunnel sends {where} to port {number} of the waypoint's pod, and Envoy there listens on "
                + (
                    f"{number + SHIFT}: set useListenerPortAsContainerPort in its EnvoyProxy"
                    if shifted
                    else f"{open_text}: each request to it is reset; add a listener for it to {name_of(gateway)}"
                ),
            )


def hbone_port(state: AuditState) -> Iterable[Result]:
    """Waypoints without a binding whose Service lacks port 15008: ztunnel finds no way to them."""
    services = state.all_objects("Service")
    for gateway in waypoints(state):
        own = {text(one, "value") for one in objects(gateway, "status", "addresses")}
        if binding(state, gateway).rpartition("/")[2].isdigit():
            continue
        for service in services:
            ports = {port_of(one) for one in objects(service, "spec", "ports")}
            here = namespace_of(service) == namespace_of(gateway) and has_vip(service)
            if here and text(service, "spec", "clusterIP") in own and HBONE not in ports:
                yield make_finding(
                    "waypoint-without-hbone-port",
                    "high",
                    [gateway, service],
                    f"{name_of(service)} is the address of waypoint {object_name(gateway)} "
                    f"and has no port {HBONE}: ztunnel "
                    "refuses what goes to the Services it serves (unknown waypoint)",
                    f"ports {sorted(ports)}",
                )


def _owner(service: Json) -> str:
    return text(service, "metadata", "labels", OWNING_GATEWAY)
