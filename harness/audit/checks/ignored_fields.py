"""Audit check: fields that the running version of Envoy Gateway accepts and ignores."""

from __future__ import annotations

from collections.abc import Iterable

from harness.audit.finding import NotJudged, Result, make_finding
from harness.audit.state import AuditState
from harness.audit.waypoint_bindings import envoy_gateway_version
from harness.objects.unstructured import at, name_of
from harness.version_differences import load

# Kind, path below spec, and the difference between versions (harness/version_differences.yaml) that is about it.
FIELDS = (("BackendTrafficPolicy", ("routingType",), "policy_routing_type"),)


def fields(state: AuditState) -> Iterable[Result]:
    """Objects with such a field."""
    version = envoy_gateway_version(state)
    for kind, path, difference in FIELDS:
        users = [obj for obj in state.all_objects(kind) if at(obj, "spec", *path) is not None]
        if users and not version:
            yield NotJudged("field-ignored", "the version of Envoy Gateway cannot be read from its image's tag")
            continue
        row = load().differences[difference].row(version) if users else None
        if row is not None and row.value == "accepted and ignored":
            for obj in users:
                yield make_finding(
                    "field-ignored",
                    "medium",
                    obj,
                    f"{name_of(obj)} sets spec.{'.'.join(path)}, which Envoy Gateway {version} accepts and ignores "
                    f"(as all {row.versions})",
                    row.source,
                )
