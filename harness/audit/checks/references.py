"""Audit check: routes and policies that refer to missing objects, or that no controller has given a status.

A policy whose target does not exist gets no status at all; a route whose Gateway does not exist gets `parents: []`.
"""

from __future__ import annotations

from collections.abc import Iterable

from harness.audit.finding import Result, make_finding
from harness.audit.state import AuditState, namespace_of
from harness.audit.waypoint_bindings import (
    ENVOY_GATEWAY,
    POLICIES,
    ROUTES,
    envoy_gateways,
    is_envoy_gateways,
    listeners,
    port_of,
)
from harness.objects.references import GATEWAY_API, backends, parents, targets
from harness.objects.unstructured import Json, mapping, name_of, objects, text

TARGETS = ("Gateway", *ROUTES)


def parents_missing(state: AuditState) -> Iterable[Result]:
    """Routes with a parent Gateway, or a listener of it, that does not exist."""
    for route in state.readable_objects(*ROUTES):
        for group, kind, namespace, ref in parents(route):
            if (group, kind) != (GATEWAY_API, "Gateway"):
                continue
            name = text(ref, "name")
            gateway = state.find("Gateway", namespace, name)
            if gateway is None:
                what = f"Gateway {namespace}/{name}, which does not exist"
            elif is_envoy_gateways(state, gateway) and not _has_listener(gateway, ref):
                section = text(ref, "sectionName") or port_of(ref)
                what = f"listener {section} of {name_of(gateway)}, which has no such listener"
            else:
                continue
            yield make_finding(
                "parent-missing", "medium", route, f"{name_of(route)} has as its parent {what}: it routes nothing there"
            )


def backends_missing(state: AuditState) -> Iterable[Result]:
    """Routes of Envoy Gateway whose backend, or its port, does not exist."""
    ours = {(namespace_of(g), text(g, "metadata", "name")) for g in envoy_gateways(state)}
    for route in state.readable_objects(*ROUTES):
        if not any(kind == "Gateway" and (ns, text(ref, "name")) in ours for _, kind, ns, ref in parents(route)):
            continue
        for group, kind, namespace, ref in backends(route):
            if (group, kind) not in (("", "Service"), (ENVOY_GATEWAY, "Backend")):
                continue
            backend = state.find(kind, namespace, text(ref, "name"))
            ports = {port_of(one) for one in objects(backend, "spec", "ports")}
            if backend is None:
                what = f"{kind} {namespace}/{text(ref, 'name')}, which does not exist"
            elif kind == "Service" and port_of(ref) not in ports:
                what = f"port {port_of(ref)} of {name_of(backend)}, which has {sorted(ports)}"
            else:
                continue
            yield make_finding("backend-missing", "high", route, f"{name_of(route)} sends to {what}: 500 for its share")


def targets_missing(state: AuditState) -> Iterable[Result]:
    """Policies of Envoy Gateway whose target does not exist."""
    for policy in state.readable_objects(*POLICIES):
        for ref in targets(policy):
            kind, name = text(ref, "kind"), text(ref, "name")
            if kind not in TARGETS:
                continue
            if state.find(kind, namespace_of(policy), name) is None:
                yield make_finding(
                    "target-missing",
                    "high" if text(policy, "kind") == "SecurityPolicy" else "medium",
                    policy,
                    f"{name_of(policy)} targets {kind} {namespace_of(policy)}/{name}, which does not exist: it does "
                    "nothing, and gets no status",
                )


def without_status(state: AuditState) -> Iterable[Result]:
    """Policies and routes of Envoy Gateway whose targets exist and for which no controller has written a status."""
    for policy in state.readable_objects(*POLICIES):
        refs = [(text(r, "kind"), text(r, "name")) for r in targets(policy) if text(r, "kind") in TARGETS]
        there = [target for kind, name in refs if (target := state.find(kind, namespace_of(policy), name))]
        if there and len(there) == len(refs) and not list(objects(policy, "status", "ancestors")):
            yield make_finding(
                "without-status",
                "medium",
                [policy, *there],
                f"{name_of(policy)} has no status, though its target is there: no controller has taken it",
            )
    for route in state.readable_objects(*ROUTES):
        with_status = {
            (text(one, "parentRef", "namespace") or namespace_of(route), text(one, "parentRef", "name"))
            for one in objects(route, "status", "parents")
        }
        for _, kind, namespace, ref in parents(route):
            gateway = state.find("Gateway", namespace, text(ref, "name")) if kind == "Gateway" else None
            if gateway and is_envoy_gateways(state, gateway) and (namespace, text(ref, "name")) not in with_status:
                yield make_finding(
                    "without-status",
                    "medium",
                    [route, gateway],
                    f"{name_of(route)} has no status for {name_of(gateway)}: Envoy Gateway has not taken it",
                )


def _has_listener(gateway: Json, ref: Json) -> bool:
    section, port = text(ref, "sectionName"), port_of(ref)
    if mapping(gateway, "spec", "allowedListeners"):
        return True  # ListenerSets, which are not read, may add it
    return any(section in ("", text(one, "name")) and port in (0, port_of(one)) for one in listeners(gateway))
