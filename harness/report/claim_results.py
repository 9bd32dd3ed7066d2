"""The claims of a run and the result of each phase. Pure: pytest hooks write it, reports read it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from harness import observations
from harness.outcome import Outcome
from harness.report.results import ClaimResult

NO_VALUES: Mapping[str, object] = MappingProxyType({})


@dataclass
class Entry:
    """One claim while its test runs. `judged` holds, for a phase that raised, what that says and in which words."""

    area: str
    claim: str
    feature: str = ""
    place: str = ""
    means: str = ""
    outcome: Outcome = Outcome.NOT_RUN
    reason: str = ""
    seconds: float = 0.0
    evidence: str = ""
    judged: dict[str, tuple[Outcome, str]] = field(default_factory=dict)


class ClaimResults:
    """Entries by test id, in the order expected."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._extras: list[ClaimResult] = []
        self.done = 0

    def expect(self, id: str, *, area: str, claim: str, feature: str = "", place: str = "", means: str = "") -> None:
        """A test that was collected."""
        self._entries[id] = Entry(area, claim, feature, place, means)

    def entry(self, id: str) -> Entry:
        return self._entries.setdefault(id, Entry("", id))

    def add_extra(self, id: str, *, area: str, claim: str, outcome: Outcome, reason: str) -> None:
        """What is reported besides the tests' verdicts: a file that cannot be collected, a teardown that failed."""
        self._extras.append(ClaimResult(id, area, claim, outcome, reason=reason))

    def report(self, id: str, *, when: str, result: str, seconds: float, skipped: str = "") -> None:
        """Takes in one phase: `result` as pytest has it, `skipped` the reason of a skip.

        A teardown that fails does not change the verdict and is reported separately: the claim was judged before it.
        """
        entry = self.entry(id)
        if when == "teardown":
            self.done += 1
            if result == "failed":
                judged = entry.judged.get(when, (Outcome.ERROR, ""))
                what = f"teardown after: {entry.claim}"
                self.add_extra(id, area=entry.area, claim=what, outcome=Outcome.ERROR, reason=judged[1])
            return
        entry.seconds += seconds
        if result == "skipped":
            entry.outcome, entry.reason = Outcome.SKIPPED, skipped
        elif result == "failed":
            otherwise = (Outcome.BROKEN if when == "call" else Outcome.ERROR, "failed without an exception")
            entry.outcome, entry.reason = entry.judged.get(when, otherwise)
        elif when == "call":
            entry.outcome = Outcome.HELD

    def result_of(self, id: str) -> ClaimResult:
        """The verdict so far, with what the ledger's page of this test says."""
        entry, page = self.entry(id), observations.page(id)
        return ClaimResult(
            id=id,
            area=entry.area,
            claim=entry.claim,
            outcome=entry.outcome,
            seconds=entry.seconds,
            witnesses=tuple(page.witnesses),
            figures=tuple(page.figures),
            reason=entry.reason,
            evidence=entry.evidence,
            feature=entry.feature,
            kind=page.kind,
            place=entry.place,
            means=entry.means,
        )

    @property
    def results(self) -> list[ClaimResult]:
        return [*(self.result_of(id) for id in self._entries), *self._extras]


def claim_of(function: Any, name: str, values: Mapping[str, object] = NO_VALUES) -> str:
    """The docstring's first paragraph, with `{parameter}` replaced by the parameter's value; without a docstring, the
    test's name in words. A parametrized test whose docstring names no parameter keeps its [case]."""
    plain, bracket, case = name.partition("[")
    text = " ".join((inspect.getdoc(function) or "").strip().partition("\n\n")[0].split())
    text = text or plain.removeprefix("test_").replace("_", " ")
    filled = re.sub(r"\{(\w+)\}", lambda found: str(values.get(found[1], found[0])), text)
    return f"{filled} {bracket}{case}" if bracket and filled == text else filled
