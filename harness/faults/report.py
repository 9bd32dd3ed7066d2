"""Reports the catalogue: a line when a fault is done, a table at the end, and both in files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.faults.assertion_coverage import Assertion
from harness.faults.fault_results import CatalogueResult, FaultResult, PytestResult

_WIDE = 220  # columns, where no terminal says how many


def print_fault(out: Console, finding: FaultResult, number: int, total: int) -> None:
    """One fault is done."""
    outcome = f"MISSED: {finding.why_missed}" if finding.why_missed else f"caught by {len(finding.expected_results)}"
    text = Text(f"{number:3}/{total} {finding.seconds:5.1f}s  {finding.fault.name}: ")
    out.print(text.append(outcome, style="bold red" if finding.why_missed else "green"), soft_wrap=True)


def print_control_failure(out: Console, spoiled: Sequence[PytestResult]) -> None:
    """Tests fail without a fault: no fault can be judged."""
    out.print(f"{len(spoiled)} tests fail without any fault: no fault was planted", style="bold red")
    for verdict in spoiled:
        out.print(Text(f"  {verdict.outcome} {verdict.id}: {verdict.first_line}"), soft_wrap=True)


def print_table(out: Console, found: Sequence[FaultResult]) -> None:
    """fault | caught by (outcome) | first line."""
    shown = Table("fault", "caught by", "first line", box=None, padding=(0, 2, 0, 0))
    for finding in found:
        name = Text(finding.fault.name)
        if finding.why_missed:
            shown.add_row(Text(finding.fault.name, "bold red"), Text("MISSED", "bold red"), Text(finding.why_missed))
            name = Text("")
        for verdict in finding.expected_results:
            test = verdict.id.removeprefix("suites/")
            shown.add_row(name, Text(f"{test} ({verdict.outcome})"), Text(verdict.first_line[:300]))
            name = Text("")
    (out if out.is_terminal else Console(file=out.file, width=_WIDE)).print(shown)


def print_summary(out: Console, result: CatalogueResult) -> None:
    """How many, how long, and what is left to be shown."""
    for id in result.unnamed:
        out.print(Text(f"no fault makes it fail: {id}", "bold red"), soft_wrap=True)
    for one in result.unreached:
        out.print(Text(f"no fault reaches this assertion: {_place(one)}"), soft_wrap=True)
    if result.beyond:
        out.print(Text(f"without faults of their own: {', '.join(result.beyond)}"), soft_wrap=True)
    with_words = [finding for finding in result.found if finding.fault.cause]
    for finding in with_words:
        if not finding.is_cause_named:
            message = f"cause not named: {finding.fault.name}: its first lines lack {finding.fault.cause!r}"
            out.print(Text(message, "bold red"), soft_wrap=True)
    if with_words:
        named, total = sum(finding.is_cause_named for finding in with_words), len(result.found)
        share = f"{named} of {total} faults name their cause ({named / total:.0%})"
        out.print(
            f"{share}, in the first lines of a failure; {total - len(with_words)} say no words for it", soft_wrap=True
        )
    found, caught = result.found, sum(not finding.why_missed for finding in result.found)
    seconds = sum(finding.seconds for finding in found)
    out.print(
        f"{caught} of {len(found)} faults caught, {seconds:.0f}s, {seconds / max(1, len(found)):.1f}s each; "
        f"control included {result.seconds:.0f}s",
        soft_wrap=True,
    )


def write_reports(folder: Path, result: CatalogueResult) -> None:
    """faults.txt and faults.json in the folder."""
    with (folder / "faults.txt").open("w") as file:
        console = Console(file=file, width=_WIDE)
        print_table(console, result.found)
        print_summary(console, result)
    report = {
        "schema": "mesh-e2e/faults/v1",
        "seconds": round(result.seconds, 1),
        "faults": [
            {
                "name": finding.fault.name,
                "broken": finding.fault.broken,
                "caught": not finding.why_missed,
                "missed": finding.why_missed,
                "cause": finding.fault.cause,
                "named": finding.is_cause_named,
                "seconds": round(finding.seconds, 2),
                "tests": [{"id": v.id, "outcome": v.outcome, "found": v.found} for v in finding.expected_results],
            }
            for finding in result.found
        ],
        "unnamed": list(result.unnamed),
        "unreached": [_place(one) for one in result.unreached],
        "beyond": list(result.beyond),
    }
    (folder / "faults.json").write_text(json.dumps(report, indent=1))


def _place(one: Assertion) -> str:
    return f"{one.file}:{one.first}: {one.text}"
