"""Audit check: host names of a Service that its waypoint's routes do not list, so that requests return 404."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from harness.audit.finding import Result, make_finding
from harness.audit.state import AuditState, labels_of, namespace_of, object_name
from harness.audit.waypoint_bindings import ROUTES, bound_services, is_attached, matches, names_of
from harness.objects.references import backends
from harness.objects.unstructured import Json, name_of, strings, text
from harness.objects.workloads import OWNING_GATEWAY

HTTP = ("HTTPRoute", "GRPCRoute")


def missing_names(state: AuditState) -> Iterable[Result]:
    """Bound Services whose routes at the waypoint take some of their names and not others."""
    for service, gateway, own in _bound(state):
        lacking = [name for name in names_of(service) if not any(matches(route, name) for route in own)]
        if own and lacking:
            yield make_finding(
                "hostname-missing",
                "low" if all(name.endswith(".svc") for name in lacking) else "medium",
                [own[0], service],
                f"{name_of(service)} can be called as {', '.join(lacking)}, and no route of it at {name_of(gateway)} "
                "takes that name: 404",
            )


def without_route(state: AuditState) -> Iterable[Result]:
    """Bound Services for which the waypoint has no route at all."""
    for service, gateway, own in _bound(state):
        if not own:
            yield make_finding(
                "service-without-route",
                "high",
                [service, gateway],
                f"{name_of(service)} uses waypoint {name_of(gateway)}, which has no route for it: 404 for each request",
            )


def own_services(state: AuditState) -> Iterable[Result]:
    """Envoy Gateway's own Services that a namespace-wide label binds to a waypoint."""
    for service, use, gateway in bound_services(state):
        if OWNING_GATEWAY in labels_of(service):
            yield make_finding(
                "eg-service-bound",
                "medium",
                [service, gateway],
                f"{name_of(service)} is Envoy Gateway's own, and {name_of(use.by)} binds it to waypoint {use.name}: "
                "calls to it from the mesh go to that waypoint and are answered 404; label Services, not the namespace",
            )


def _bound(state: AuditState) -> Iterator[tuple[Json, Json, list[Json]]]:
    """Each bound Service with its waypoint and the routes there that send to it or take its name. Waypoints with TCP
    routes are left out: those know no host names."""
    at_gateway: dict[str, _Routes] = {}
    for service, _, gateway in bound_services(state):
        if OWNING_GATEWAY in labels_of(service):
            continue
        if name_of(gateway) not in at_gateway:
            here = [route for route in state.readable_objects(*ROUTES) if is_attached(route, gateway)]
            at_gateway[name_of(gateway)] = _Routes(here)
        routes = at_gateway[name_of(gateway)]
        if routes.all_http:
            yield service, gateway, routes.of(service)


class _Routes:
    """The routes of one Gateway by backend and by host name: a large cluster has many of both."""

    def __init__(self, routes: list[Json]) -> None:
        self.all_http = all(text(route, "kind") in HTTP for route in routes)
        self._by_backend: dict[tuple[str, str], list[Json]] = {}
        self._by_name: dict[str, list[Json]] = {}
        self._open = []  # routes that take every name, or names by a wildcard
        for route in routes:
            for _, kind, namespace, ref in backends(route):
                if kind == "Service":
                    self._by_backend.setdefault((namespace, text(ref, "name")), []).append(route)
            names = strings(route, "spec", "hostnames")
            for name in names:
                self._by_name.setdefault(name, []).append(route)
            if not names or any(name.startswith("*") for name in names):
                self._open.append(route)

    def of(self, service: Json) -> list[Json]:
        """The routes that send to a Service; without any, those that take one of its names."""
        names = names_of(service)
        by_name = [route for name in names for route in self._by_name.get(name, ())]
        by_name += [route for route in self._open if any(matches(route, name) for name in names)]
        return self._by_backend.get((namespace_of(service), object_name(service)), []) or by_name
