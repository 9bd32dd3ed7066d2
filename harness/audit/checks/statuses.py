"""Audit check: status conditions of Envoy Gateway's objects that are not True or of an older generation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from harness.audit.finding import Result, Severity, make_finding
from harness.audit.state import AuditState
from harness.audit.waypoint_bindings import POLICIES, ROUTES, envoy_gateways, is_controller, waypoints
from harness.objects.conditions import Condition, conditions
from harness.objects.unstructured import Json, maybe_number, name_of, objects, text

# Types that should be True; False is a finding of this severity.
WANTED: dict[str, Severity] = {
    "Accepted": "high",
    "ResolvedRefs": "high",
    "Programmed": "medium",
    "BackendsAvailable": "medium",
}
# Types that should not be True.
UNWANTED: dict[str, Severity] = {"Conflicted": "high", "PartiallyInvalid": "high", "Overridden": "low"}


def not_true(state: AuditState) -> Iterable[Result]:
    """Conditions that say that something does not work: Accepted, ResolvedRefs, Programmed False; Conflicted True."""
    used = {name_of(gateway) for gateway in waypoints(state)}
    for obj in _ours(state):
        for condition in conditions(obj):
            severity = (WANTED if condition.status == "False" else UNWANTED).get(condition.type)
            if severity is None or condition.status not in ("True", "False") or _stale(obj, condition):
                continue
            if condition.type == "Programmed" and not condition.about and name_of(obj) in used:
                continue  # waypoint-not-ready says it
            yield make_finding(
                "status-overridden" if condition.type == "Overridden" else "status-not-true",
                severity,
                obj,
                f"{name_of(obj)}{_where(condition)}: {condition.type} is {condition.status} ({condition.reason})",
                condition.message,
            )


def stale(state: AuditState) -> Iterable[Result]:
    """Objects whose status is of an older generation."""
    for obj in _ours(state):
        old = [c for c in conditions(obj) if _stale(obj, c)]
        if old:
            yield make_finding(
                "status-of-older-generation",
                "low",
                obj,
                f"{name_of(obj)} is at generation {maybe_number(obj, 'metadata', 'generation')}, and its status speaks "
                f"of {min(c.observed_generation or 0 for c in old)}: Envoy Gateway has not taken the change",
                *(f"{c.type}{_where(c)} observed {c.observed_generation}" for c in old),
            )


def _ours(state: AuditState) -> Iterator[Json]:
    yield from envoy_gateways(state)
    yield from (c for c in state.all_objects("GatewayClass") if is_controller(state, text(c, "spec", "controllerName")))
    for obj in state.readable_objects(*ROUTES, *POLICIES):
        for shape in ("parents", "ancestors"):
            entries = list(objects(obj, "status", shape))
            mine = [one for one in entries if is_controller(state, text(one, "controllerName"))]
            if mine:
                yield {**obj, "status": {shape: mine}}


def _stale(obj: Json, condition: Condition) -> bool:
    generation = maybe_number(obj, "metadata", "generation")
    observed = condition.observed_generation
    return generation is not None and observed is not None and observed < generation


def _where(condition: Condition) -> str:
    return f" [{condition.about}]" if condition.about else ""
