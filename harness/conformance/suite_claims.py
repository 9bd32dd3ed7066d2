"""Converts verdicts on the conformance suite to claims in results.json, and to a table. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.conformance.suite_verdicts import Judged, TestVerdict
from harness.observations import Figure
from harness.outcome import Outcome
from harness.report.results import ClaimResult

AREA, TABLE = "conformance", "Gateway API conformance suite"
WHERE = {"outside": "outside the mesh", "inside": "inside the mesh", "mesh": "through Envoy Gateway as the waypoint"}
WAITED = "conformance suite: first wrong answer to the right one"


def claims(found: Sequence[Judged]) -> list[ClaimResult]:
    """A claim for each test of each run, and one that the run counts."""
    return [one for run in found for one in (_counts(run), *(_claim(run, verdict) for verdict in run.verdicts))]


def figures(found: Sequence[Judged]) -> list[dict[str, str]]:
    """A row for each run: the suite's own results, our verdicts, and the connections in ztunnel's logs."""
    return [
        {
            "run": one.name,
            **{name: str(one.results.get(name, 0)) for name in ("passed", "failed", "skipped")},
            **{name: str(one.outcomes.get(name, 0)) for name in (Outcome.HELD, Outcome.BROKEN, Outcome.INCONCLUSIVE)},
            "retried": str(sum(verdict.retries > 0 for verdict in one.verdicts)),
            "longest wait": f"{max((verdict.waited for verdict in one.verdicts), default=0.0):.1f} s",
            "HBONE connections": str(one.path.hbone),
            "plain": str(one.path.plain),
            "to waypoint": str(one.path.waypoint),
        }
        for one in found
    ]


def sources(found: Sequence[Judged], package: str) -> Mapping[str, str]:
    """What a claim's history is of: a suite of another version is another test."""
    return {f"{AREA}/{one.name}": package for one in found}


def _claim(run: Judged, one: TestVerdict) -> ClaimResult:
    return ClaimResult(
        id=f"{AREA}/{run.name}::{one.test}",
        area=AREA,
        claim=f"The Gateway API's test {one.test} passes {WHERE[run.name]}.",
        outcome=one.outcome,
        seconds=one.seconds,
        witnesses=("conformance suite", *(("backends' logs",) if one.received else ())),
        figures=(Figure(WAITED, one.waited, run.name),) if one.retries else (),
        reason=one.why,
        evidence=_log(run),
        kind="traffic" if one.received else "status",
    )


def _counts(run: Judged) -> ClaimResult:
    return ClaimResult(
        id=f"{AREA}/{run.name}::run",
        area=AREA,
        claim=f"The suite's run {WHERE[run.name]} ended with a report, and the mesh was where it should be.",
        outcome=Outcome.INCONCLUSIVE if run.remarks else Outcome.HELD,
        witnesses=("conformance suite", "ztunnel log"),
        reason="\n".join(run.remarks),
        evidence=_log(run),
        kind="status",
    )


def _log(run: Judged) -> str:
    return f"{AREA}/{run.name}/suite.log"
