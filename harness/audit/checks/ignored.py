"""Fields that the running version of Envoy Gateway accepts and ignores."""

from __future__ import annotations

from collections.abc import Iterable

from harness.audit.finding import NotJudged, Result, make_finding
from harness.audit.mesh import envoy_gateway_version
from harness.audit.state import AuditState
from harness.objects.unstructured import at, name_of
from harness.versions import minor

# (kind, path below spec, first minor that reads it, source)
FIELDS = (
    (
        "BackendTrafficPolicy",
        ("routingType",),
        (1, 9),
        "measured on 1.7.5: Accepted, and the upstream stays the pod; no code reads it before 1.9",
    ),
)


def fields(state: AuditState) -> Iterable[Result]:
    """Objects with such a field."""
    version = envoy_gateway_version(state)
    for kind, path, since, source in FIELDS:
        users = [obj for obj in state.all_objects(kind) if at(obj, "spec", *path) is not None]
        if users and not version:
            yield NotJudged("field-ignored", "the version of Envoy Gateway cannot be read from its image's tag")
        elif users and minor(version) < since:
            for obj in users:
                yield make_finding(
                    "field-ignored",
                    "medium",
                    obj,
                    f"{name_of(obj)} sets spec.{'.'.join(path)}, which Envoy Gateway {version} accepts and ignores "
                    f"(read since {since[0]}.{since[1]})",
                    source,
                )
