"""Waits for a status condition of the current generation, and reports its message."""

from __future__ import annotations

from collections.abc import Callable

from harness import observations, record_replay, timeouts
from harness.kube import ApiUnavailable, Kube, ObjectMissing
from harness.objects.conditions import Condition, ConditionResult, judge_condition
from harness.wait import scaled_bound, until
from harness.waits import evidence_for_causes

REFERENCES_EVERY = 2.0  # how often what an object refers to is read while its condition does not come
FLICKER = 3.0  # a terminal reason counts once it has stood that long: it flickers while manifests are applied


def wait_for_condition(
    kube: Kube,
    name: str,
    type: str,
    *,
    status: str = "True",
    about: str | None = None,
    within: float = timeouts.STATUS,
    stuck: Callable[[], str] = str,
) -> ConditionResult:
    """Waits until the object's condition has that status for its current generation. `stuck` says what else keeps it
    from coming true for good, if anything (a pod's image that cannot be pulled).

    Raises:
        Terminal: the condition says something that does not heal by waiting; or the object refers to something that
            does not exist, which is named.
        NotReady: it did not come in time; the last status is quoted.
    """
    since: list[float] = []  # when it was hopeless first, and ever since
    references = _References(kube, name, type)

    def hopeless(seen: ConditionResult) -> str | None:
        terminal = seen.state == "terminal"
        reason = seen.text if terminal else stuck()
        if not reason:
            since.clear()
            return references.missing(seen) if status == "True" else None
        since.append(record_replay.monotonic())
        grace = scaled_bound(FLICKER if terminal else timeouts.TROUBLE_GRACE)
        return reason if since[-1] - since[0] >= grace else None

    return until(
        lambda: judge_condition(kube.get(name), type, status=status, about=about),
        lambda seen: seen.met,
        what=f"{name} is {type}={status}",
        within=within,
        every=0.25,
        hopeless=hopeless,
        transient=(ApiUnavailable,),
        show=lambda seen: seen.text,
        causes=references.causes if status == "True" else tuple,
    )


class _References:
    """What an object refers to, read now and then while its condition does not come."""

    def __init__(self, kube: Kube, name: str, type: str) -> None:
        self._kube, self._name, self._type = kube, name, type
        self._read_at = record_replay.monotonic("references")  # the first look is followed by some patience
        self._since: float | None = None  # when something was missing first, and ever since

    def missing(self, seen: ConditionResult) -> str | None:
        """Why waiting does not help: something has been missing for as long as it may be late."""
        now = record_replay.monotonic("references")
        if now - self._read_at < scaled_bound(REFERENCES_EVERY):
            return None
        final = self._has_final_cause(self._name, self._type)
        self._read_at = record_replay.monotonic("references")
        if not final:
            self._since = None
            return None
        self._since = now if self._since is None else self._since
        return seen.text if now - self._since >= scaled_bound(timeouts.MISSING_GRACE) else None

    def causes(self) -> list[str]:
        """The causes that can be read now."""
        return self._read_causes(self._name, self._type)

    # Both read in a thread of their own: they are recorded as a whole, by what was asked of.

    @record_replay.recorded("has final cause")
    def _has_final_cause(self, name: str, type: str) -> bool:
        return any(cause.final for cause in evidence_for_causes.find_condition_causes(self._kube, name, type))

    @record_replay.recorded("causes")
    def _read_causes(self, name: str, type: str) -> list[str]:
        return [cause.sentence for cause in evidence_for_causes.find_condition_causes(self._kube, name, type)]


def read_condition(kube: Kube, name: str, type: str, *, about: str | None = None) -> ConditionResult:
    """What the object's status says of the condition now, for the record and for the caller to judge."""
    judgement = judge_condition(kube.get(name), type, about=about)
    observations.record_sighting(f"status of {name}", judgement.text)
    return judgement


def wait_for_current_condition(kube: Kube, name: str, type: str) -> Condition:
    """Waits until the object's own condition is of the current generation, and returns it, True or False.

    Raises:
        NotReady: no condition, or no current one, was written in time.
    """
    found = until(
        lambda: judge_condition(kube.get(name), type, about=""),
        lambda seen: seen.state in ("met", "unmet", "terminal"),
        what=f"{name} says whether it is {type}",
        within=timeouts.STATUS,
        every=0.25,
        transient=(ApiUnavailable, ObjectMissing),
        show=lambda seen: seen.text,
        causes=_References(kube, name, type).causes,
    )
    assert found.condition is not None  # of these three states each is about a condition
    observations.record_sighting(f"status of {name}", found.text)
    return found.condition


def wait_for_false_condition(kube: Kube, name: str, type: str) -> Condition:
    """Waits until the object's own condition is False for the current generation, and returns it.

    Raises:
        NotReady: it was not refused in time.
    """
    found = until(
        lambda: judge_condition(kube.get(name), type, status="False", about=""),
        lambda seen: seen.met,
        what=f"{name} is {type}=False",
        within=timeouts.STATUS,
        every=0.25,
        transient=(ApiUnavailable, ObjectMissing),
        show=lambda seen: seen.text,
    )
    assert found.condition is not None  # what is met is about a condition
    observations.record_sighting(f"status of {name}", found.text)
    return found.condition
