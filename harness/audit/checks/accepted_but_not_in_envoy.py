"""Audit check: routes and policies that are Accepted but missing in the active configuration of an Envoy replica.

A condition is a controller's word. Routes and policies reach each proxy by xDS, and a proxy that lags behind, refuses
an update or waits for a cluster goes on with what it had. Envoy Gateway names a route
"httproute/NAMESPACE/NAME/rule/N/…" and writes the policies that it was made from into its metadata.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta

from harness.audit.finding import NotJudged, Result, make_finding
from harness.audit.state import AuditState, namespace_of, object_name
from harness.audit.waypoint_bindings import envoy_gateways, is_attached, is_controller, proxy_pods
from harness.objects.conditions import conditions
from harness.objects.references import targets
from harness.objects.unstructured import Json, mapping, name_of, objects, text
from harness.objects.workloads import pod_name
from harness.proxy.config_dump import SectionAbsent, error_states, routes

NO_CONFIG = "no active configuration was read (ask for it with --config)"
KINDS = ("HTTPRoute", "GRPCRoute")
POLICIES = ("BackendTrafficPolicy", "SecurityPolicy", "EnvoyExtensionPolicy")
ON_ITS_WAY = timedelta(seconds=60)  # from its creation; the configurations are read in the meantime
WARMING = timedelta(seconds=30)  # Envoy gives up waiting for a cluster's first endpoints after 15 s


def routes_active(state: AuditState) -> Iterable[Result]:
    """Routes that are Accepted and that a replica of their Gateway does not have."""
    if state.configs is None:
        return [NotJudged("route-not-active", NO_CONFIG)]
    results: list[Result] = []
    for gateway, dumps in _replicas(state):
        for route in state.readable_objects(*KINDS):
            if not is_attached(route, gateway) or not _is_accepted(state, route, gateway) or not _rules(route):
                continue
            if _is_young(state, route):
                continue
            prefix = f"{text(route, 'kind').lower()}/{namespace_of(route)}/{object_name(route)}/rule/"
            lacking = _lacking(dumps, lambda dump, prefix=prefix: any(r.name.startswith(prefix) for r in routes(dump)))  # type: ignore[misc]  # the default binds the loop's value
            if lacking:
                results.append(
                    make_finding(
                        "route-not-active",
                        "high",
                        [route, gateway],
                        f"{name_of(route)} is Accepted, and {len(lacking)} of {len(dumps)} replicas of "
                        f"{name_of(gateway)} do not have it: {', '.join(lacking)}",
                    )
                )
    return results + _unread(state, "route-not-active")


def policies_active(state: AuditState) -> Iterable[Result]:
    """Policies that are Accepted and that no route of a replica was made from."""
    if state.configs is None:
        return [NotJudged("policy-not-active", NO_CONFIG)]
    results: list[Result] = []
    for gateway, dumps in _replicas(state):
        active = [{one for route in routes(dump) for one in route.policies} for dump in dumps.values() if _whole(dump)]
        for policy in state.readable_objects(*POLICIES):
            if not _targets(state, policy, gateway) or not _is_accepted(state, policy, gateway):
                continue
            if _is_young(state, policy):
                continue
            name = f"{text(policy, 'kind')}/{namespace_of(policy)}/{object_name(policy)}"
            if not any(active):
                results.append(NotJudged("policy-not-active", f"{name_of(gateway)}: no route names its policies"))
                continue
            lacking = _lacking(dumps, lambda dump, name=name: any(name in r.policies for r in routes(dump)))  # type: ignore[misc]  # as above
            if lacking:
                results.append(
                    make_finding(
                        "policy-not-active",
                        "high",
                        [policy, gateway],
                        f"{name_of(policy)} is Accepted, and {len(lacking)} of {len(dumps)} replicas of "
                        f"{name_of(gateway)} have no route that it holds for: {', '.join(lacking)}",
                    )
                )
    return [*dict.fromkeys(results), *_unread(state, "policy-not-active")]


def clusters_warm(state: AuditState) -> Iterable[Result]:
    """Clusters that have been warming for longer than Envoy waits for their endpoints."""
    if state.configs is None:
        return [NotJudged("cluster-warming", NO_CONFIG)]
    results: list[Result] = []
    for pod in proxy_pods(state):
        dump = state.configs.get(pod_name(pod)) or {}
        for since, name in _warming(dump):
            if state.now - since > WARMING:
                results.append(
                    make_finding(
                        "cluster-warming",
                        "medium",
                        pod,
                        f"cluster {name} of Envoy in {name_of(pod)} has been warming since {since:%Y-%m-%d %H:%M:%S}: "
                        "until it is warm, what it was before holds, or nothing",
                    )
                )
    return results + _unread(state, "cluster-warming")


def refusals_stand(state: AuditState) -> Iterable[Result]:
    """Configuration that an Envoy refused and still refuses, by its own word."""
    if state.configs is None:
        return []  # the check of the log says that it was not read
    return [
        make_finding(
            "envoy-rejects-configuration",
            "high",
            pod,
            f"Envoy in {name_of(pod)} refuses {one.resource or 'an update'} now: it goes on with what it had before",
            one.details,
        )
        for pod in proxy_pods(state)
        if (dump := state.configs.get(pod_name(pod)))
        for one in error_states(dump)
    ]


def _replicas(state: AuditState) -> Iterator[tuple[Json, dict[str, Json]]]:
    """Each Gateway of Envoy Gateway with the configuration of its replicas that could be read, by pod."""
    for gateway in envoy_gateways(state):
        pods = map(pod_name, proxy_pods(state, gateway))
        dumps = {name: dump for name in pods if (dump := (state.configs or {}).get(name))}
        if dumps:
            yield gateway, dumps


def _lacking(dumps: dict[str, Json], has: Callable[[Json], bool]) -> list[str]:
    """The replicas, by pod, that lack what `has` looks for."""
    return [name for name, dump in dumps.items() if _whole(dump) and not has(dump)]


def _whole(dump: Json) -> bool:
    try:
        routes(dump)
    except SectionAbsent:  # a proxy that has no route configuration at all
        return False
    return True


def _is_young(state: AuditState, obj: Json) -> bool:
    """Whether an object came so shortly before that it may still be on its way to the proxies."""
    try:
        made = datetime.fromisoformat(text(obj, "metadata", "creationTimestamp"))
    except ValueError:
        return False
    return abs(state.now - made) < ON_ITS_WAY


def _is_accepted(state: AuditState, obj: Json, gateway: Json) -> bool:
    """Whether Envoy Gateway has accepted an object for this Gateway, and nothing else overrides it."""
    for shape in ("parents", "ancestors"):
        for entry in objects(obj, "status", shape):
            ref = mapping(entry, "parentRef") or mapping(entry, "ancestorRef")
            about = (text(ref, "namespace") or namespace_of(obj), text(ref, "name"))
            if about != (namespace_of(gateway), object_name(gateway)) or not is_controller(
                state, text(entry, "controllerName")
            ):
                continue
            statuses = {c.type: c.status for c in conditions({"status": {"conditions": entry.get("conditions") or []}})}
            return statuses.get("Accepted") == "True" and statuses.get("Overridden") != "True"
    return False


def _targets(state: AuditState, policy: Json, gateway: Json) -> bool:
    """Whether a policy is for this Gateway, or for a route of it."""
    for ref in targets(policy):
        kind, name = text(ref, "kind"), text(ref, "name")
        if kind == "Gateway" and (namespace_of(policy), name) == (namespace_of(gateway), object_name(gateway)):
            return any(is_attached(route, gateway) for route in state.readable_objects(*KINDS))
        route = state.find(kind, namespace_of(policy), name) if kind in KINDS else None
        if route and is_attached(route, gateway):
            return True
    return False


def _rules(route: Json) -> bool:
    rules = objects(route, "spec", "rules")
    return any(any(objects(rule, "backendRefs")) or any(objects(rule, "filters")) for rule in rules)


def _warming(dump: Json) -> Iterator[tuple[datetime, str]]:
    for section in objects(dump, "configs"):
        for entry in objects(section, "dynamic_warming_clusters"):
            try:
                yield datetime.fromisoformat(text(entry, "last_updated")), text(entry, "cluster", "name")
            except ValueError:
                continue


def _unread(state: AuditState, id: str) -> list[Result]:
    return [NotJudged(id, f"active configuration of {pod}: {why}") for pod, why in state.unread_configs.items()]
