"""Decides from the results of a run whether a planted fault was detected."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.faults.assertion_coverage import Assertion
from harness.faults.catalogue import Fault, area_of, is_oracle
from harness.outcome import FAILURES, Outcome
from harness.report.results import first_line

SPOILED = FAILURES | {Outcome.NOT_RUN}  # without any fault
FIRST_LINES = 5  # of a failure: what a reader sees at once
_CLASS = re.compile(r"^(?:AssertionError:|harness\.(?:\w+\.)+(?=[A-Z]))")  # tells nothing that the outcome does not


@dataclass(frozen=True, slots=True)
class PytestResult:
    """One test's: `found` is the text of its failure."""

    id: str
    outcome: str
    found: str = ""

    @property
    def first_line(self) -> str:
        lines = (_CLASS.sub("", line).strip() for line in self.found.splitlines())
        return first_line("\n".join(line for line in lines if line))

    @property
    def first_lines(self) -> str:
        """The first five lines that are not empty."""
        return "\n".join([line for line in self.found.splitlines() if line.strip()][:FIRST_LINES])


@dataclass(frozen=True, slots=True)
class PytestRun:
    """One call of pytest: the verdicts, and what became of its fault if it had one (see harness/plugin/fault_hook)."""

    verdicts: tuple[PytestResult, ...]
    tail: str = ""
    planted: int = 0
    undone: bool = True
    trouble: str = ""
    struck: tuple[tuple[str, int], ...] = ()

    def results_of(self, listed: str) -> list[PytestResult]:
        """The verdicts of a listed id: that test, all its cases, or all of a file's."""
        return [verdict for verdict in self.verdicts if is_listed(listed, verdict.id)]


@dataclass(frozen=True, slots=True)
class FaultResult:
    """One fault and its run.

    `seconds` is the whole of it, the reset included. `unjudged` are the tests that this cluster skips without any
    fault, too: they are not asked.
    """

    fault: Fault
    run: PytestRun
    seconds: float
    unjudged: frozenset[str] = frozenset()

    @property
    def why_missed(self) -> str:
        """Why the fault was not caught; empty when it was."""
        run, fault = self.run, self.fault
        if not run.verdicts:
            return f"no test ran: {run.tail}"
        if not run.planted:
            return f"it could not be planted: {run.trouble}" if run.trouble else f"{fault.after} never stood"
        if run.trouble:
            return run.trouble
        for listed in fault.caught_by:
            found = run.results_of(listed)
            if not found:
                return f"no such test: {listed}"
            if missed := [verdict for verdict in self._asked(found) if verdict.outcome not in FAILURES]:
                return f"{missed[0].id} {missed[0].outcome}"
        if not any(fault.says in verdict.found for verdict in self.expected_results):
            return f"no test says {fault.says!r}"
        return ""

    @property
    def is_cause_named(self) -> bool:
        """Whether the first lines of some test that caught it name what is broken, in the fault's own words."""
        return bool(self.fault.cause) and any(
            self.fault.cause in verdict.first_lines for verdict in self.expected_results
        )

    @property
    def expected_results(self) -> list[PytestResult]:
        """The verdicts of the tests that are to catch it, and can."""
        found = [verdict for listed in self.fault.caught_by for verdict in self.run.results_of(listed)]
        return self._asked(found)

    def _asked(self, found: Sequence[PytestResult]) -> list[PytestResult]:
        return [verdict for verdict in found if verdict.outcome != Outcome.SKIPPED or verdict.id not in self.unjudged]


@dataclass(frozen=True, slots=True)
class CatalogueResult:
    """The whole catalogue's, or a part's.

    `unnamed` are tests that no fault names, `unreached` assertions that no fault made fail (of a whole catalogue), both
    of the areas that the catalogue is about, and of tests that the cluster can judge; `beyond` are the other areas.
    """

    found: tuple[FaultResult, ...]
    unnamed: tuple[str, ...]
    unreached: tuple[Assertion, ...]
    beyond: tuple[str, ...]
    seconds: float


def is_listed(listed: str, id: str) -> bool:
    """Whether a listed id names this test."""
    return id == listed or id.startswith((f"{listed}[", f"{listed}::"))


def areas_of(faults: Sequence[Fault]) -> list[str]:
    """The folders ("suites/ingress") whose tests the faults name."""
    return sorted({area_of(one) for fault in faults for one in fault.caught_by})


def tests_without_fault(ids: Sequence[str], faults: Sequence[Fault]) -> list[str]:
    """The tests that no fault names. Oracles are one and the same after each area: their faults go by kind of sign."""
    listed = [one for fault in faults for one in fault.caught_by]
    return [id for id in ids if not is_oracle(id) and not any(is_listed(one, id) for one in listed)]


def read_run(folder: Path, tail: str) -> PytestRun:
    """What the newest run below `folder` left; without results only its last words."""
    results, planted = _json(folder / "latest" / "results.json"), _json(folder / "latest" / "fault.json")
    seen: dict[str, PytestResult] = {}
    for test in results.get("tests", ()):
        seen.setdefault(test["id"], PytestResult(test["id"], test["outcome"], test["reason"]))
    return PytestRun(
        tuple(seen.values()),
        tail=results.get("why") or tail,
        planted=planted.get("planted", 0),
        undone=planted.get("undone", False),
        trouble=planted.get("trouble", ""),
        struck=tuple((one["file"], one["line"]) for one in planted.get("struck", ())),
    )


def _json(file: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(file.read_text())
    except (OSError, ValueError):
        return {}
    return found
