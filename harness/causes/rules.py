"""The list of all rules for causes, the most specific first. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from harness.causes import (
    changes,
    components,
    foreign_policies,
    references,
    statuses,
    traffic,
    wrong_connections,
    wrong_paths,
    wrong_rate_limit_counts,
    ztunnel_rejections,
)
from harness.causes.state import Cause, ClusterState, FailureFacts

MOST = 3  # causes that are named
Rule = Callable[[ClusterState, FailureFacts], Sequence[Cause]]

RULES: tuple[Rule, ...] = (
    references.missing_references,
    references.unbound_service,
    references.class_not_accepted,
    ztunnel_rejections.accepted_beside_rejected,
    ztunnel_rejections.rejected_by_foreign_policy,
    components.unbound_ports,
    components.unresolved,
    foreign_policies.foreign_policies,
    foreign_policies.foreign_routes,
    foreign_policies.foreign_mtls,
    traffic.unmatched_hostname,
    traffic.dead_backends,
    traffic.without_endpoints,
    ztunnel_rejections.foreign_deny_policies,
    ztunnel_rejections.not_in_ambient,
    components.not_ready,
    components.differing_replicas,
    changes.deleted,
    changes.recreated,
    changes.changed,
    changes.changed_until_deletion,
    changes.foreign_pods,
    changes.replaced_pods,
    statuses.bound_elsewhere,
    statuses.in_force_before,
    statuses.not_enforced,
    statuses.not_enforced_by_ztunnel,
    statuses.unmet,
    statuses.without_address,
    statuses.slow,
    statuses.counters,
    foreign_policies.quota_of_nobody,
    wrong_paths.without_binding,
    wrong_paths.from_backend,
    wrong_connections.wrong_identity,
    wrong_connections.wrong_port,
    wrong_connections.plaintext,
    wrong_connections.past_the_waypoint,
    wrong_connections.unknown_workload,
    wrong_paths.unknown_addresses,
    wrong_paths.without_upstream,
    wrong_rate_limit_counts.quota_not_kept,
    ztunnel_rejections.rejected_by_suite_policy,
    wrong_connections.failed,
    traffic.response_flags,
    wrong_paths.silent_access_log,
    wrong_paths.past_the_waypoint,
    wrong_paths.answered_by,
    traffic.unanswered,
)


def find_causes(state: ClusterState, failure: FailureFacts) -> list[Cause]:
    """At most three causes, the most specific first; none where the evidence names none.

    Never raises: a rule that meets an object of unknown shape says nothing.
    """
    found: list[Cause] = []
    for rule in RULES:
        try:
            causes = rule(state, failure)
        except Exception:  # noqa: BLE001  # a cause is help: it must not hide the failure that it is the cause of
            continue
        for cause in causes:
            # A later rule about the same objects says the same in more general words.
            if not any(
                cause.sentence == one.sentence or (cause.objects and cause.objects == one.objects) for one in found
            ):
                found.append(cause)
    return found[:MOST]
