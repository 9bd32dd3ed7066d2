"""Statuses that Envoy Gateway writes on HTTPRoutes. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from harness.cluster.emulated.api.kinds import Object
from harness.cluster.emulated.controllers.conditions import condition


@dataclass(frozen=True, slots=True)
class Backends:
    """The Services there are, by (namespace, name), whether each has a ready endpoint, and the ReferenceGrants."""

    services: dict[tuple[str, str], Object] = field(default_factory=dict)
    ready: frozenset[tuple[str, str]] = frozenset()
    grants: tuple[Object, ...] = ()


@dataclass(frozen=True, slots=True)
class RouteAttachment:
    """What became of one parentRef: its conditions, and the names of the listeners that the route is attached to."""

    conditions: list[Object]
    listeners: tuple[str, ...]


def attach(route: Object, parent: Object, gateway: Object, backends: Backends) -> RouteAttachment:
    """The route at one Gateway."""
    generation = route["metadata"]["generation"]
    listeners, why = _listeners(route, parent, gateway)
    if why:
        accepted = condition("Accepted", False, *why, generation=generation)
    else:
        accepted = condition("Accepted", True, "Accepted", "Route is accepted", generation=generation)
    return RouteAttachment([accepted, *_resolved(route, backends)], tuple(listeners))


def _listeners(route: Object, parent: Object, gateway: Object) -> tuple[list[str], tuple[str, str] | None]:
    named = [
        one
        for one in gateway["spec"]["listeners"]
        if parent.get("sectionName") in (None, one["name"]) and parent.get("port") in (None, one["port"])
    ]
    if not named:
        return [], ("NoMatchingParent", "No listeners match this parent ref")
    same = route["metadata"]["namespace"] == gateway["metadata"]["namespace"]
    open_ = [
        one
        for one in named
        if one["protocol"] != "TCP" and (same or one["allowedRoutes"]["namespaces"]["from"] == "All")
    ]
    if not open_:
        message = "No listeners included by this parent ref allowed this attachment."
        return [], ("NotAllowedByListeners", message)
    hostnames = route["spec"].get("hostnames") or []
    matching = [one["name"] for one in open_ if _meet(one.get("hostname", ""), hostnames)]
    if not matching:
        message = "There were no hostname intersections between the HTTPRoute and this parent ref's Listener(s)."
        return [], ("NoMatchingListenerHostname", message)
    return matching, None


def _meet(listener: str, hostnames: Iterable[str]) -> bool:
    names = list(hostnames)
    return not listener or not names or any(_covers(listener, one) or _covers(one, listener) for one in names)


def _covers(pattern: str, name: str) -> bool:
    return pattern == name or (pattern.startswith("*.") and name.endswith(pattern[1:]))


def _resolved(route: Object, backends: Backends) -> list[Object]:
    generation = route["metadata"]["generation"]
    missing = ""
    for number, rule in enumerate(route["spec"].get("rules") or ()):
        for index, backend in enumerate(rule.get("backendRefs") or ()):
            why = _backend(route, backend, backends)
            if why:
                message = f"Failed to process route rule {number} backendRef {index}: {why[1]}"
                return [condition("ResolvedRefs", False, why[0], message, generation=generation)]
            where = (backend.get("namespace", route["metadata"]["namespace"]), backend["name"])
            if where not in backends.ready:
                missing = missing or "/".join(where)
    resolved = "Resolved all the Object references for the Route"
    found = [condition("ResolvedRefs", True, "ResolvedRefs", resolved, generation=generation)]
    if missing:
        message = f"Failed to find endpoints: no ready endpoints for the related Service {missing}."
        found.append(condition("BackendsAvailable", False, "EndpointsNotFound", message, generation=generation))
    return found


def _backend(route: Object, backend: Object, backends: Backends) -> tuple[str, str] | None:
    """Reason and message of a backendRef that cannot be resolved."""
    home = route["metadata"]["namespace"]
    namespace, name = backend.get("namespace", home), backend["name"]
    if namespace != home and not any(_grants(one, home, namespace, name) for one in backends.grants):
        return "RefNotPermitted", f"Backend ref to Service {namespace}/{name} not permitted by any ReferenceGrant."
    service = backends.services.get((namespace, name))
    if service is None:
        return "BackendNotFound", f"service {namespace}/{name} not found."
    if "port" not in backend:
        return "PortNotSpecified", "a valid port number corresponding to a port on the Service must be specified."
    if all(port["port"] != backend["port"] for port in service["spec"]["ports"]):
        return "PortNotFound", f"TCP Port {backend['port']} not found on Service {namespace}/{name}."
    return None


def _grants(grant: Object, home: str, namespace: str, name: str) -> bool:
    spec = grant["spec"]
    return (
        grant["metadata"]["namespace"] == namespace
        and any(one["kind"] == "HTTPRoute" and one["namespace"] == home for one in spec["from"])
        and any(one["kind"] == "Service" and one.get("name", name) == name for one in spec["to"])
    )
