"""Cause of a failure: an object refers to something that does not exist. Pure.

Recordings: tests/recordings/negative. A controller writes no status at all where a parent or target does not exist
(Envoy Gateway 1.7.5), so the status alone does not name the cause.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from harness.causes.state import (
    Cause,
    ClusterState,
    FailureFacts,
    describe,
    join_limited,
    labels,
    name_parts,
    object_key,
    similar_names_text,
)
from harness.objects.conditions import conditions
from harness.objects.references import backends, parents, targets
from harness.objects.unstructured import Json, maybe_number, objects, one_line, text
from harness.objects.waypoint_labels import (
    USE_WAYPOINT,
    USE_WAYPOINT_NAMESPACE,
    WAYPOINT_BOUND,
    WAYPOINT_FOR,
    is_for_services,
)

POLICIES = ("BackendTrafficPolicy", "SecurityPolicy", "ClientTrafficPolicy")
# "HTTPRoute default/ratings", "HTTPRoute/default/ratings": as statuses and waits name objects
_NAMED = re.compile(rf"\b(Gateway|HTTPRoute|Service|{'|'.join(POLICIES)})[ /]([a-z0-9-]+)/([a-z0-9.-]*[a-z0-9])")
_CLASS = re.compile(r"\bGatewayClass[ /]([a-z0-9.-]*[a-z0-9])")
_WORD = re.compile(r"[\w./]+")
READ = {  # what an object of a kind may refer to
    "GatewayClass": ("EnvoyProxy",),
    "Gateway": ("GatewayClass", "EnvoyProxy"),
    "HTTPRoute": ("Gateway", "Service"),
    "Service": ("Gateway",),
    **dict.fromkeys(POLICIES, ("Gateway", "HTTPRoute", "Service")),
}


def referred_namespaces(obj: Json) -> set[str]:
    """The namespaces in which an object looks for what it refers to: its own, and those that it names."""
    found = {name_parts(obj)[0], labels(obj).get(USE_WAYPOINT_NAMESPACE, "")}
    found.add(text(obj, "spec", "parametersRef", "namespace"))
    found |= {namespace for _, _, namespace, _ in (*parents(obj), *backends(obj))}
    return found - {""}


def missing_references(state: ClusterState, failure: FailureFacts) -> list[Cause]:
    """What the awaited object refers to and does not exist. Of a claim: the same of the objects that its message names,
    and for failed requests of each Gateway, route and policy of the suite's manifests."""
    found = [cause for one in _subjects(state, failure) for cause in dangling_references(state, one)]
    return [cause for cause in found if not state.removed & set(cause.objects)]


def unbound_service(state: ClusterState, failure: FailureFacts) -> list[Cause]:
    """The Service that should be bound to a waypoint has no label that says to which, or that Gateway's own label says
    that it is a waypoint of something else than Services."""
    if WAYPOINT_BOUND not in (failure.condition, *_WORD.findall(failure.text)):
        return []
    services = [one for one in _subjects(state, failure) if text(one, "kind") == "Service"]
    return [cause for one in services for cause in _of_other_traffic(state, one)] + [
        Cause(
            f"{describe('Service', *name_parts(one))} lacks the label {USE_WAYPOINT}, so no waypoint is bound to it",
            (object_key(one),),
        )
        for one in services
        if USE_WAYPOINT not in labels(one)
    ]


def _of_other_traffic(state: ClusterState, service: Json) -> Iterator[Cause]:
    namespace = labels(service).get(USE_WAYPOINT_NAMESPACE) or name_parts(service)[0]
    gateway = state.find("Gateway", namespace, labels(service).get(USE_WAYPOINT, ""))
    if gateway is not None and not is_for_services(labels(gateway)):
        takes = labels(gateway)[WAYPOINT_FOR]
        sentence = f"{describe('Gateway', *name_parts(gateway))} has the label {WAYPOINT_FOR}={takes}"
        subject = describe("Service", *name_parts(service))
        yield Cause(f"{sentence}: it is a waypoint of no Service, and {subject} refers to it", (object_key(gateway),))


def class_not_accepted(state: ClusterState, failure: FailureFacts) -> list[Cause]:
    """The GatewayClass of the awaited Gateway is not accepted; its status says why."""
    found = []
    for gateway in _subjects(state, failure):
        name = text(gateway, "spec", "gatewayClassName") if text(gateway, "kind") == "Gateway" else ""
        gateway_class = state.find("GatewayClass", "", name)
        if gateway_class is None:
            continue
        for condition in conditions(gateway_class):
            if condition.type == "Accepted" and condition.status == "False":
                message = f'{condition.reason} "{one_line(condition.message)}"'
                sentence = (
                    f"GatewayClass {name} of {describe('Gateway', *name_parts(gateway))} is not accepted: {message}"
                )
                found.append(Cause(sentence, (object_key(gateway_class),)))
    return found


def _subjects(state: ClusterState, failure: FailureFacts) -> list[Json]:
    if failure.object:
        kind, *rest = failure.object.split("/")
        obj = state.find(kind, rest[0] if len(rest) > 1 else "", rest[-1])
        return [obj] if obj is not None else []
    named = [state.find(*names) for names in dict.fromkeys(_NAMED.findall(failure.text))]
    named += [state.find("GatewayClass", "", name) for name in dict.fromkeys(_CLASS.findall(failure.text))]
    found = {object_key(one): one for one in named if one is not None}
    if failure.failed_calls:
        ours = [
            one
            for kind in ("Gateway", "HTTPRoute", *POLICIES)
            for one in state.objects_of(kind)
            if object_key(one) in state.ours
        ]
        found |= {object_key(one): one for one in ours}
    return list(found.values())


def dangling_references(state: ClusterState, obj: Json) -> Iterator[Cause]:
    """Each reference of this object to something that does not exist."""
    kind = text(obj, "kind")
    if kind == "GatewayClass":
        yield from _parameters(state, obj, text(obj, "spec", "parametersRef", "namespace"))
    elif kind == "Gateway":
        yield from _gateway_class(state, obj)
    elif kind == "HTTPRoute":
        yield from _parents(state, obj)
        yield from _backends(state, obj)
    elif kind == "Service":
        yield from _waypoint(state, obj)
    elif kind in POLICIES:
        yield from _targets(state, obj)


def _none(state: ClusterState, obj: Json, says: str, kind: str, namespace: str, name: str) -> Cause:
    near = state.similar_name_text(kind, namespace, name)
    subject = describe(text(obj, "kind"), *name_parts(obj))
    sentence = f"{subject} {says} {describe(kind, namespace, name)}, which does not exist{near}"
    return Cause(sentence, (object_key(obj), "/".join(p for p in (kind, namespace, name) if p)), final=True)


def _parameters(state: ClusterState, obj: Json, namespace: str) -> Iterator[Cause]:
    path = "infrastructure" if text(obj, "kind") == "Gateway" else ""
    steps = ("spec", path, "parametersRef") if path else ("spec", "parametersRef")
    kind, name = text(obj, *steps, "kind"), text(obj, *steps, "name")
    if kind == "EnvoyProxy" and state.is_known_missing(kind, namespace, name):
        yield _none(state, obj, "has a parametersRef to", kind, namespace, name)


def _gateway_class(state: ClusterState, obj: Json) -> Iterator[Cause]:
    name = text(obj, "spec", "gatewayClassName")
    if state.is_known_missing("GatewayClass", "", name):
        yield _none(state, obj, "has the gatewayClassName of", "GatewayClass", "", name)
    yield from _parameters(state, obj, name_parts(obj)[0])


def _parents(state: ClusterState, obj: Json) -> Iterator[Cause]:
    for _, kind, namespace, ref in parents(obj):
        if kind != "Gateway":
            continue
        name = text(ref, "name")
        if state.is_known_missing("Gateway", namespace, name) and not _is_for_another_run(state, obj):
            yield _none(state, obj, "has a parentRef to", "Gateway", namespace, name)
        gateway = state.find("Gateway", namespace, name)
        if gateway is None:
            continue
        listeners = list(objects(gateway, "spec", "listeners"))
        section, port = text(ref, "sectionName"), maybe_number(ref, "port")
        subject, parent = describe("HTTPRoute", *name_parts(obj)), describe("Gateway", namespace, name)
        names = [text(one, "name") for one in listeners]
        if section and section not in names:
            sentence = f"{subject} refers to listener {section} of {parent}, which has no such listener"
            yield Cause(
                sentence + similar_names_text(section, names), (object_key(obj), object_key(gateway)), final=True
            )
        ports = [maybe_number(one, "port") for one in listeners]
        if port is not None and port not in ports:
            sentence = (
                f"{subject} refers to port {port} of {parent}, whose listeners "
                f"have {join_limited(list(map(str, ports)))}"
            )
            yield Cause(sentence, (object_key(obj), object_key(gateway)), final=True)


def _is_for_another_run(state: ClusterState, route: Json) -> bool:
    """Whether a route has the parents that the harness gave it, and one of them exists: a run applies only the Gateways
    that its tests need. One that it applied and that is gone is a cause by `changes.deleted`."""
    wanted, named = state.wanted.get(object_key(route)), _parent_names(route)
    if wanted is None or _parent_names(wanted) != named:
        return False
    return any(state.find("Gateway", *parent) is not None for parent in named)


def _parent_names(route: Json) -> list[tuple[str, str]]:
    return [(namespace, text(ref, "name")) for _, _, namespace, ref in parents(route)]


def _backends(state: ClusterState, obj: Json) -> Iterator[Cause]:
    for group, kind, namespace, ref in backends(obj):
        if (group, kind) != ("", "Service"):
            continue
        name, port = text(ref, "name"), maybe_number(ref, "port")
        if state.is_known_missing("Service", namespace, name):
            yield _none(state, obj, "has a backendRef to", "Service", namespace, name)
        service = state.find("Service", namespace, name)
        if service is None or port is None:
            continue
        ports = [str(maybe_number(one, "port")) for one in objects(service, "spec", "ports")]
        if str(port) not in ports:
            subject, backend = describe("HTTPRoute", *name_parts(obj)), describe("Service", namespace, name)
            sentence = f"{subject} has a backendRef to port {port} of {backend}, which has {_ports(ports)}"
            yield Cause(sentence, (object_key(obj), object_key(service)), final=True)


def _ports(ports: list[str]) -> str:
    return f"only port {ports[0]}" if len(ports) == 1 else f"ports {join_limited(ports)}" if ports else "no ports"


def _waypoint(state: ClusterState, obj: Json) -> Iterator[Cause]:
    found = labels(obj)
    name = found.get(USE_WAYPOINT, "")
    namespace = found.get(USE_WAYPOINT_NAMESPACE) or name_parts(obj)[0]
    if name not in ("", "none") and state.is_known_missing("Gateway", namespace, name):
        yield _none(state, obj, f"has the label {USE_WAYPOINT}={name} for", "Gateway", namespace, name)


def _is_meant_for_later(state: ClusterState, obj: Json, ref: Json, target: str) -> bool:
    """Whether the harness itself applied a policy with this target and not, so far, the target: a policy may cover
    Gateways that some tests make."""
    return ref in objects(state.wanted.get(object_key(obj), {}), "spec", "targetRefs") and target not in state.wanted


def _targets(state: ClusterState, obj: Json) -> Iterator[Cause]:
    for ref in targets(obj):
        kind, name, namespace = text(ref, "kind"), text(ref, "name"), name_parts(obj)[0]
        missing = kind in ("Gateway", "HTTPRoute", "Service") and state.is_known_missing(kind, namespace, name)
        if missing and not _is_meant_for_later(state, obj, ref, f"{kind}/{namespace}/{name}"):
            yield _none(state, obj, "has a targetRef to", kind, namespace, name)
        gateway = state.find("Gateway", namespace, name) if kind == "Gateway" else None
        section = text(ref, "sectionName")
        names = [text(one, "name") for one in objects(gateway, "spec", "listeners")]
        if gateway is not None and section and section not in names:
            sentence = (
                f"{describe(text(obj, 'kind'), *name_parts(obj))} targets listener "
                f"{section} of Gateway {namespace}/{name}"
            )
            yield Cause(
                f"{sentence}, which has no such listener{similar_names_text(section, names)}",
                (object_key(obj),),
                final=True,
            )
