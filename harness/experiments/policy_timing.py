"""Measures the time from applying a policy to Accepted, to enforced, and to removed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from harness import observations, record_replay, timeouts
from harness.errors import Inconclusive
from harness.kube import ApiUnavailable, Kube
from harness.wait import scaled_bound, until
from harness.waits.every_replica import Arrivals
from harness.waits.status import wait_for_condition

EVERY = 0.1  # seconds between two looks: how exact the figures are

# Seconds from our call that each may take: held to on every cluster, and docs/waiting.md says what they come from. Some
# thirty times what a quiet machine of two cores takes, and twice where 15 s are Envoy's initial fetch timeout.
BUDGET: Mapping[str, float] = {
    "Accepted": 5.0,
    "rate limit applied": 10.0,
    "rate limit removed": 10.0,
    "circuit breaker applied": 30.0,
    "circuit breaker removed": 30.0,
    "client headers applied": 10.0,
    "client headers removed": 10.0,
    "route applied": 10.0,
    "route removed": 10.0,
}


def time_policy(
    kube: Kube,
    applying: Callable[[str], AbstractContextManager[Any]],
    manifest: str,
    policy: str,
    enforced: Callable[[], Mapping[str, bool]],
    removed: Callable[[], Mapping[str, bool]],
    *,
    kind: str,
    of: str,
) -> dict[str, float]:
    """Applies the manifest, awaits Accepted and `enforced`, takes it away, awaits `removed`. Seconds by what took them,
    from the moment before the call; each becomes a figure of the report.

    Both say it of each replica, by pod; the slowest one counts, and with several the spread is a figure too.
    `removed` is what is to be seen then, not that `enforced` is not: one 503 on the way is neither.

    Raises:
        Inconclusive: it was in force before it was applied: nothing can be timed.
        NotReady: it did not come, or did not go, in time.
    """
    with observations.probing():
        before = enforced()
    if any(before.values()):
        raise Inconclusive(f"{kind} is in force at {of} before {manifest} was applied")
    found = {}
    started = record_replay.monotonic()
    with applying(manifest):
        wait_for_condition(kube, policy, "Accepted")
        found["Accepted"] = record_replay.monotonic() - started
        arrived = _until(enforced, f"{kind} is in force at {of}")
        found[f"{kind} applied"] = arrived.measure(f"{kind}: applied to enforced", started, of)
        removing = record_replay.monotonic()
    left = _until(removed, f"{kind} is no longer in force at {of}")
    found[f"{kind} removed"] = left.measure(f"{kind}: removed to enforced", removing, of)
    observations.record_seconds(f"{kind}: applied to Accepted", found["Accepted"], of=policy)
    seen = f"{kind} in force after {found[f'{kind} applied']:.2f}s, gone after {found[f'{kind} removed']:.2f}s"
    observations.record_sighting(f"{of}, asked every {EVERY:g}s", seen)
    return found


def over_budget(found: Mapping[str, float]) -> list[str]:
    """What took longer than its budget, in words. E2E_PATIENCE above 1 stretches budgets as it does waits."""
    return [
        f"{name} took {seconds:.2f}s, its budget is {budget:g}s"
        for name, seconds in found.items()
        if seconds > (budget := BUDGET[name] * max(1.0, scaled_bound(1.0)))
    ]


def _until(seen: Callable[[], Mapping[str, bool]], what: str) -> Arrivals:
    arrivals = Arrivals()
    until(
        seen,
        arrivals.note,
        what=what,
        within=timeouts.XDS_PROPAGATION,
        every=EVERY,
        transient=(Inconclusive, ApiUnavailable),
        show=lambda found: ", ".join(f"{name}: {'yes' if is_so else 'no'}" for name, is_so in found.items()),
    )
    return arrivals
