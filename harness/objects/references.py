"""What routes and policies refer to, with Gateway API's defaults filled in. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from harness.objects.unstructured import Json, mapping, objects, text

GATEWAY_API = "gateway.networking.k8s.io"


def parents(route: Json) -> Iterator[tuple[str, str, str, Json]]:
    """(group, kind, namespace, parentRef) of each parent of a route."""
    for ref in objects(route, "spec", "parentRefs"):
        group = text(ref, "group") if "group" in ref else GATEWAY_API
        yield group, text(ref, "kind") or "Gateway", _namespace(ref, route), ref


def backends(route: Json) -> Iterator[tuple[str, str, str, Json]]:
    """(group, kind, namespace, backendRef) of each backend of a route."""
    for rule in objects(route, "spec", "rules"):
        for ref in objects(rule, "backendRefs"):
            yield text(ref, "group"), text(ref, "kind") or "Service", _namespace(ref, route), ref


def targets(policy: Json) -> Iterator[Json]:
    """Each targetRef of a policy; one of Envoy Gateway's may have a single, deprecated one."""
    yield from objects(policy, "spec", "targetRefs")
    if single := mapping(policy, "spec", "targetRef"):
        yield single


def _namespace(ref: Json, obj: Json) -> str:
    return text(ref, "namespace") or text(obj, "metadata", "namespace")
