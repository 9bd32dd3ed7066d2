"""What the catalogue came to: a line as each fault is done, a table at the end, and both in files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.faults.asserts import Assertion
from harness.faults.findings import Finding, Verdict

_WIDE = 220  # columns, where no terminal says how many


def line(out: Console, finding: Finding, number: int, total: int) -> None:
    """One fault is done."""
    said = f"MISSED: {finding.missed}" if finding.missed else f"caught by {len(finding.judged)}"
    text = Text(f"{number:3}/{total} {finding.seconds:5.1f}s  {finding.fault.name}: ")
    out.print(text.append(said, style="bold red" if finding.missed else "green"), soft_wrap=True)


def control_failed(out: Console, spoiled: Sequence[Verdict]) -> None:
    """Tests fail without a fault: nothing can be said of any."""
    out.print(f"{len(spoiled)} tests fail without any fault: no fault was planted", style="bold red")
    for verdict in spoiled:
        out.print(Text(f"  {verdict.outcome} {verdict.id}: {verdict.first_line}"), soft_wrap=True)


def table(out: Console, found: Sequence[Finding]) -> None:
    """fault | caught by (outcome) | first line."""
    shown = Table("fault", "caught by", "first line", box=None, padding=(0, 2, 0, 0))
    for finding in found:
        name = Text(finding.fault.name)
        if finding.missed:
            shown.add_row(Text(finding.fault.name, "bold red"), Text("MISSED", "bold red"), Text(finding.missed))
            name = Text("")
        for verdict in finding.judged:
            test = verdict.id.removeprefix("suites/")
            shown.add_row(name, Text(f"{test} ({verdict.outcome})"), Text(verdict.first_line[:300]))
            name = Text("")
    (out if out.is_terminal else Console(file=out.file, width=_WIDE)).print(shown)


def summary(
    out: Console,
    found: Sequence[Finding],
    *,
    unnamed: Sequence[str],
    unreached: Sequence[Assertion],
    seconds: float,
) -> None:
    """How many, how long, and what is left to be shown."""
    for id in unnamed:
        out.print(Text(f"no fault makes it fail: {id}", "bold red"), soft_wrap=True)
    for one in unreached:
        out.print(Text(f"no fault reaches this assertion: {one.file}:{one.first}: {one.text}"), soft_wrap=True)
    caught, of_faults = sum(not finding.missed for finding in found), sum(finding.seconds for finding in found)
    out.print(
        f"{caught} of {len(found)} faults caught, {of_faults:.0f}s, {of_faults / max(1, len(found)):.1f}s each; "
        f"control included {seconds:.0f}s",
        soft_wrap=True,
    )


def keep(
    folder: Path, found: Sequence[Finding], *, unnamed: Sequence[str], unreached: Sequence[Assertion], seconds: float
) -> None:
    """faults.txt and faults.json in the folder."""
    with (folder / "faults.txt").open("w") as file:
        console = Console(file=file, width=_WIDE)
        table(console, found)
        summary(console, found, unnamed=unnamed, unreached=unreached, seconds=seconds)
    told = {
        "schema": "mesh-e2e/faults/v1",
        "seconds": round(seconds, 1),
        "faults": [
            {
                "name": finding.fault.name,
                "broken": finding.fault.broken,
                "caught": not finding.missed,
                "missed": finding.missed,
                "seconds": round(finding.seconds, 2),
                "tests": [{"id": v.id, "outcome": v.outcome, "found": v.found} for v in finding.judged],
            }
            for finding in found
        ],
        "unnamed": list(unnamed),
        "unreached": [f"{one.file}:{one.first}: {one.text}" for one in unreached],
    }
    (folder / "faults.json").write_text(json.dumps(told, indent=1))
