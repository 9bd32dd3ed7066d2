"""Builds the summary of a run: for a terminal, as plain text, Markdown and JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.outcome import FAILURES, Outcome
from harness.report.live import COLOURS
from harness.report.results import ClaimResult, RunResult, as_json, first_line
from harness.text_table import align

COLUMNS = ("claim", "outcome", "witnesses", "seconds")


def summary_as_text(run: RunResult) -> str:
    """The summary as text of unlimited width; the first line names the cluster kind, the next ones the totals and each
    claim that does not hold."""
    lines = [run.headline, *_totals(run), *_rest_of_head(run)]
    rows = {area: [_row(v) for v in verdicts] for area, verdicts in run.areas.items()}
    widths = _widths([COLUMNS, *(row for found in rows.values() for row in found)])
    for area, found in rows.items():
        lines += ["", area, _aligned(COLUMNS, widths), _aligned(tuple("-" * w for w in widths), widths)]
        for row, reason in zip(found, _reasons(run.areas[area]), strict=True):
            lines.append(_aligned(row, widths))
            if reason:
                lines.append(f"    {reason}")
    return "\n".join([*lines, *_after(run)]) + "\n"


def show(run: RunResult, console: Console) -> None:
    """The summary on a terminal."""
    console.print(Text(run.headline, style="bold"), soft_wrap=True)
    for line in _rest_of_head(run):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    for area, verdicts in run.areas.items():
        table = Table(title=area, title_justify="left", title_style="bold", expand=False)
        table.add_column("claim", ratio=1)
        table.add_column("outcome", no_wrap=True)
        table.add_column("witnesses")
        table.add_column("seconds", justify="right", no_wrap=True)
        for verdict, reason in zip(verdicts, _reasons(verdicts), strict=True):
            claim, outcome, seen, seconds = _row(verdict)
            cell = Text(claim)
            if reason:
                cell.append(f"\n{reason}", style="dim")
            table.add_row(cell, Text(outcome, style=COLOURS.get(outcome, "")), Text(seen), seconds)
        console.print(table)
    for line in _after(run):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def summary_as_markdown(run: RunResult) -> str:
    """The summary for a CI system's page."""
    counts, *failed = _totals(run)
    lines = [f"### {run.headline}", "", f"**{counts}**", *(f"- {_cell(line)}" for line in failed)]
    lines += ["", " · ".join(f"{n} {v}" for n, v in run.versions.items()), ""]
    for area, verdicts in run.areas.items():
        lines += [f"#### {area}", "", f"| {' | '.join(COLUMNS)} |", "|---|---|---|---:|"]
        for verdict, reason in zip(verdicts, _reasons(verdicts), strict=True):
            claim, outcome, seen, seconds = (_cell(text) for text in _row(verdict))
            if reason:
                claim += f"<br>{_cell(reason)}"
            lines.append(f"| {claim} | {outcome} | {seen} | {seconds} |")
        lines.append("")
    return "\n".join([*lines, "```", *(line for line in _after(run) if line), "```"]) + "\n"


def summary_as_json(run: RunResult) -> str:
    """results.json; its schema is in `results.as_json`."""
    return json.dumps(as_json(run), indent=2, ensure_ascii=False) + "\n"


def _rest_of_head(run: RunResult) -> list[str]:
    return ["versions: " + "   ".join(f"{name} {version}" for name, version in run.versions.items())]


def _totals(run: RunResult) -> list[str]:
    """The counts, and a line for each claim that does not hold: its outcome, claim and reason; one reason of many
    claims is given once. Claims that were not run are counted only: the tables list them."""
    failed = [v for v in run.verdicts if v.outcome in FAILURES]
    lines = [_counts(run)]
    for verdict, reason in zip(failed, _reasons(failed), strict=True):
        lines.append(f"  {verdict.outcome}: {verdict.area}: {verdict.claim}{f': {reason}' if reason else ''}")
    return lines


def _counts(run: RunResult) -> str:
    words = {Outcome.ERROR: "errors"}
    shown = {one: count for one, count in run.counts.items() if count or one != Outcome.NOT_RUN}
    return "   ".join(f"{words.get(one, one)} {count}" for one, count in shown.items())


def _after(run: RunResult) -> list[str]:
    lines: list[str] = []
    if run.times:
        lines += ["", "times (seconds: min / median / max of n)"]
        for t in run.times:
            of = f"  on {t.of}" if t.of else ""
            lines.append(f"  {t.name}: {t.min:.2f} / {t.median:.2f} / {t.max:.2f} of {t.n}{of}")
    for title, rows in run.tables.items():
        lines += ["", title, *_table(rows)]
    lines += ["", _counts(run)]
    lines += [f"  skipped {n}: {reason}" for reason, n in run.skips.items()]
    lines += [f"note: {note}" for note in run.notes]
    lines += [run.why] if run.why else []
    return lines


def _table(rows: Sequence[Mapping[str, str]]) -> list[str]:
    """A table of texts; a row that lacks a column has "-" there."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    cells = [columns, *([row.get(column, "-") for column in columns] for row in rows)]
    rule = ["-" * width for width in _widths(cells)]
    return [f"  {line}" for line in align([cells[0], rule, *cells[1:]])]


def _row(verdict: ClaimResult) -> tuple[str, str, str, str]:
    return verdict.claim, verdict.outcome, ", ".join(verdict.witnesses) or "-", f"{verdict.seconds:.1f}"


def _reasons(verdicts: Sequence[ClaimResult]) -> list[str]:
    """What stands below each claim: why it does not hold; a failed fixture's error is printed once, not per test."""
    reasons = [first_line(v.reason) if v.outcome not in (Outcome.HELD, Outcome.SKIPPED) else "" for v in verdicts]
    return ["as above" if one and one == before else one for before, one in zip(["", *reasons], reasons, strict=False)]


def _widths(rows: Iterable[Sequence[str]]) -> list[int]:
    return [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    *texts, number = row
    cells = [f"{cell:<{width}}" for cell, width in zip(texts, widths, strict=False)]
    return "  ".join(["", *cells, f"{number:>{widths[-1]}}"])


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").replace("<", "&lt;").split())
