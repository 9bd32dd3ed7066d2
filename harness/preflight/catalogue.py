"""The list of all preflight checks, the rows that they return, and the capabilities that a cluster lacks. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from harness.audit.state import Unread
from harness.cluster.protocol import CAPABILITIES, Capability
from harness.preflight.checks import envoy_gateway, mesh, platform
from harness.preflight.facts import Facts
from harness.preflight.row import Row, unknown

Rule = Callable[[Facts], Iterable[Row]]
RULES: tuple[tuple[str, Rule], ...] = (
    ("rights", platform.rights),
    ("nodes", platform.nodes),
    ("clock", platform.clock),
    ("Gateway API", platform.definitions),
    ("istiod", mesh.istiod),
    ("ztunnel", mesh.ztunnel),
    ("ztunnel's log", mesh.ztunnel_log),
    ("Istio CNI", mesh.cni),
    ("trust domain", mesh.trust_domain),
    ("Envoy Gateway", envoy_gateway.controller),
    ("Envoy Gateway's mode", envoy_gateway.mode),
    ("GatewayClasses", envoy_gateway.classes),
    ("replicas", envoy_gateway.replicas),
    ("access logs", envoy_gateway.access_log),
    ("rate limit service", envoy_gateway.limiter),
    ("rate limit counters", envoy_gateway.limiter_counters),
    ("Pod Security", platform.pod_security),
    ("NetworkPolicies", platform.network_policies),
    ("admission", platform.admission),
    ("capabilities", platform.capabilities),
)
CHEAP: tuple[Rule, ...] = (platform.nodes, platform.clock)  # on a cluster of our own


def rows(facts: Facts) -> list[Row]:
    """Every row. A rule whose kinds could not be read gives one row that says so."""
    return [row for subject, rule in RULES for row in _run(subject, rule, facts)]


def cheap_rows(facts: Facts) -> list[Row]:
    """The rows that need nodes and the clock alone."""
    return [row for rule in CHEAP for row in rule(facts)]


def _run(subject: str, rule: Rule, facts: Facts) -> list[Row]:
    try:
        return list(rule(facts))
    except Unread as error:
        return [unknown(subject, str(error), "`mesh-e2e rbac` prints the Role and ClusterRole that a run needs")]


def lacking(found: Iterable[Row]) -> dict[Capability, str]:
    """The capabilities that the cluster lacks, each with the first reason, in the order of the protocol."""
    reasons: dict[Capability, str] = {}
    for row in found:
        for capability in row.lacks if row.verdict == "not judged" else ():
            remedy = f" ({row.remedy})" if row.remedy else ""
            reasons.setdefault(capability, f"{row.subject}: {row.reason}{remedy}")
    return {one: reasons[one] for one in CAPABILITIES if one in reasons}
