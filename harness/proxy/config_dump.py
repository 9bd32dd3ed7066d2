"""Parses Envoy's admin page /config_dump: the active configuration.

A changed cluster waits in `dynamic_warming_clusters` for up to 15 s while its policy is Accepted after 0.08 s, so
`active_cluster` reads active clusters only. A changed listener keeps its old self in `draining_state` for minutes.
Dumps are those of tests/recordings/admin/*-config_dump.json: the whole dump, asked for without mask or resource.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from harness.objects.address_with_port import host_port
from harness.objects.unstructured import Json, mapping, maybe_number, number, objects, text

State = Literal["static", "active", "warming", "draining"]
_STATES: tuple[State, ...] = ("active", "warming", "draining")  # of a listener that came over LDS


class SectionAbsent(LookupError):
    """The dump has no such section: it is not a whole /config_dump, and says nothing about what is not in it."""


@dataclass(frozen=True, slots=True)
class Listener:
    """A listener in one of its states; address is "0.0.0.0:9080", "" for what is no socket address."""

    name: str
    state: State
    address: str


@dataclass(frozen=True, slots=True)
class EnvoyRoute:
    """One route of one virtual host.

    rate_limits names the kinds in force on it: "global" (the rate limit service is asked), "local" (this Envoy counts).
    policies are the Envoy Gateway policies it was made from, as "Kind/namespace/name".
    """

    name: str
    rate_limits: tuple[str, ...]
    policies: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ErrorState:
    """A resource whose last update Envoy refused; details is Envoy's own reason. The old version stays active."""

    resource: str
    details: str


def listeners(dump: Json) -> tuple[Listener, ...]:
    """Every listener, once per state it is in; one that was refused at birth is in none (see error_states)."""
    section = _section(dump, "ListenersConfigDump")
    found = [_listener(mapping(entry, "listener"), "static") for entry in objects(section, "static_listeners")]
    for entry in objects(section, "dynamic_listeners"):
        for state in _STATES:
            held = mapping(entry, f"{state}_state")
            if held:
                found.append(_listener(mapping(held, "listener"), state))
    return tuple(found)


def active_cluster(dump: Json, cluster_name: str) -> Json | None:
    """The configuration of the ACTIVE cluster of this name; None when no such cluster is active."""
    section = _section(dump, "ClustersConfigDump")
    held = (mapping(entry, "cluster") for entry in objects(section, "dynamic_active_clusters"))
    return next((cluster for cluster in held if text(cluster, "name") == cluster_name), None)


def routes(dump: Json) -> tuple[EnvoyRoute, ...]:
    """The routes of the route configurations that came over RDS and are in use."""
    section = _section(dump, "RoutesConfigDump")
    return tuple(
        _route(route, host)
        for entry in objects(section, "dynamic_route_configs")
        for host in objects(entry, "route_config", "virtual_hosts")
        for route in objects(host, "routes")
    )


def route_config(dump: Json, route: str) -> Json | None:
    """The configuration in use of the first route whose name begins so ("httproute/default/echo/"), or None."""
    section = _section(dump, "RoutesConfigDump")
    found = (
        one
        for entry in objects(section, "dynamic_route_configs")
        for host in objects(entry, "route_config", "virtual_hosts")
        for one in objects(host, "routes")
        if text(one, "name").startswith(route)
    )
    return next(found, None)


def max_pending_requests(cluster: Json) -> int | None:
    """The limit of a cluster for the default priority; None where Envoy's own default applies (1024)."""
    limits = objects(cluster, "circuit_breakers", "thresholds")
    own = next((one for one in limits if text(one, "priority") in ("", "DEFAULT")), {})
    return maybe_number(own, "max_pending_requests")


def rate_limited_routes(dump: Json) -> tuple[EnvoyRoute, ...]:
    """The routes on which Envoy asks the rate limit service or counts by itself; () when no route is limited."""
    return tuple(route for route in routes(dump) if route.rate_limits)


def error_states(dump: Json) -> tuple[ErrorState, ...]:
    """What Envoy refused and still refuses, in every section of the dump; () when it took everything."""
    if not any(objects(dump, "configs")):
        raise SectionAbsent("the dump has no configs at all")
    return tuple(
        ErrorState(_resource_name(entry), text(entry, "error_state", "details"))
        for section in objects(dump, "configs")
        for key in section
        for entry in objects(section, key)
        if mapping(entry, "error_state")
    )


def _section(dump: Json, kind: str) -> Json:
    """The one section of this kind; RoutesConfigDump is also the tail of ScopedRoutesConfigDump's name."""
    for section in objects(dump, "configs"):
        if text(section, "@type").rpartition(".")[2] == kind:
            return section
    raise SectionAbsent(f"the dump has no {kind} (a masked or partial dump, or no dump)")


def _listener(listener: Json, state: State) -> Listener:
    socket = mapping(listener, "address", "socket_address")
    address = host_port(text(socket, "address"), number(socket, "port_value")) if socket else ""
    return Listener(text(listener, "name"), state, address)


def _route(route: Json, host: Json) -> EnvoyRoute:
    kinds = dict.fromkeys((*_limits(route), *_limits(host)))
    held = objects(route, "metadata", "filter_metadata", "envoy-gateway", "policies")
    policies = (f"{text(p, 'kind')}/{text(p, 'namespace')}/{text(p, 'name')}" for p in held)
    return EnvoyRoute(text(route, "name"), tuple(kinds), tuple(policies))


def _limits(holder: Json) -> Iterator[str]:
    """The kinds of limit on a route or virtual host: as actions of the route, or as a filter's own settings."""
    actions = (*objects(holder, "route", "rate_limits"), *objects(holder, "rate_limits"))
    filters = mapping(holder, "typed_per_filter_config")
    for name in filters:
        if "local_ratelimit" in name:
            yield "local"
        elif "ratelimit" in name and any(objects(filters, name, "rate_limits")):
            yield "global"
    if any(any(objects(action, "actions")) for action in actions):
        yield "global"


def _resource_name(entry: Json) -> str:
    failed = mapping(entry, "error_state", "failed_configuration")
    own = (text(entry, kind, "name") for kind in ("cluster", "route_config", "endpoint_config", "secret"))
    return text(entry, "name") or text(failed, "name") or next((name for name in own if name), "?")
