"""The support table: results of each feature by place and version set. Pure.

Its cells come from tests with the mark `feature` in the results.json of runs on real clusters. An emulated cluster's
results are no evidence of support and are left out, as are those under a planted fault.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from harness.outcome import Outcome
from harness.report.results import PLANTED, first_line

Support = Literal["held", "broken", "ignored", "not offered", "not judged"]
MEANINGS: tuple[Support, ...] = ("held", "ignored", "broken")  # what a claim that holds may mean for its feature
NOT_OFFERED, ANOTHER = "not offered", "another test has this cell"  # how the reasons of such skips begin
SCHEMA = "mesh-e2e/support/v1"
# The worst of several tests of one cell decides.
_ORDER: tuple[Support, ...] = ("broken", "not judged", "ignored", "held", "not offered")
LEGEND: Mapping[Support, str] = {
    "held": "the feature works: each claim holds, by all its witnesses",
    "broken": "it does not do what it is for, or harms; or a claim about it is false",
    "ignored": "the object is accepted, or nothing rejects it, and traffic does not change",
    "not offered": "this version set does not have the feature",
    "not judged": "no verdict; the reason is given",
}


@dataclass(frozen=True, slots=True)
class Evidence:
    """One test behind a cell: `seconds` are its figures by name, `run` the run's folder or file, `path` in it."""

    test: str
    claim: str
    outcome: str
    reason: str
    witnesses: tuple[str, ...]
    seconds: Mapping[str, float]
    run: str
    started: str
    path: str


@dataclass(frozen=True, slots=True)
class Cell:
    """The verdict on one feature at one place with one version set."""

    area: str
    feature: str
    place: str
    set_name: str
    support: Support
    evidence: tuple[Evidence, ...]

    @property
    def reason(self) -> str:
        """Why it is not held, in one line."""
        return next((first_line(e.reason) for e in self.evidence if e.reason), "")


def support_of(outcome: str, means: str, reason: str) -> Support | None:
    """What one test says of its feature; None where it says nothing: it was not run, or another test has that cell."""
    if outcome == Outcome.HELD:
        return next((one for one in MEANINGS if one == means), "held")
    if outcome == Outcome.BROKEN:
        return "broken"
    if outcome == Outcome.SKIPPED and reason.startswith(NOT_OFFERED):
        return "not offered"
    if outcome == Outcome.NOT_RUN or (outcome == Outcome.SKIPPED and reason.startswith(ANOTHER)):
        return None
    return "not judged"


def cells(runs: Iterable[tuple[str, Mapping[str, Any]]]) -> list[Cell]:
    """The table's cells of all runs, given as (folder, results.json) from the oldest to the newest: the newest verdict
    on a test and set counts, and one that judges counts before one that does not."""
    newest: dict[tuple[str, str], tuple[Support, Mapping[str, Any], Evidence]] = {}
    for run, results in runs:
        if not results["cluster"]["conformance"] or PLANTED in results["facts"]:
            continue
        for test in results["tests"]:
            verdict = support_of(test["outcome"], test.get("means", ""), test["reason"]) if test.get("place") else None
            key = (results["set"], test["id"])
            if verdict is None or (verdict == "not judged" and key in newest):
                continue
            newest[key] = (verdict, test, _evidence(run, results["started"], test))
    grouped: dict[tuple[str, str, str, str], list[tuple[Support, Evidence]]] = {}
    for (set_name, _), (verdict, test, evidence) in newest.items():
        grouped.setdefault((test["area"], test["feature"], test["place"], set_name), []).append((verdict, evidence))
    return [_cell_of(key, found) for key, found in grouped.items()]


def _cell_of(key: tuple[str, str, str, str], found: Sequence[tuple[Support, Evidence]]) -> Cell:
    """Of tests for other versions a cell says nothing where one for this version has judged."""
    judged = [(verdict, one) for verdict, one in found if verdict != "not offered"] or found
    return Cell(*key, min((verdict for verdict, _ in judged), key=_ORDER.index), tuple(one for _, one in judged))


def _evidence(run: str, started: str, test: Mapping[str, Any]) -> Evidence:
    return Evidence(
        test=test["id"],
        claim=test["claim"],
        outcome=test["outcome"],
        reason=test["reason"],
        witnesses=tuple(test["witnesses"]),
        seconds={figure["name"]: figure["seconds"] for figure in test["figures"]},
        run=run,
        started=started,
        path=test["evidence"],
    )


def as_json(found: Sequence[Cell]) -> dict[str, Any]:
    """support.json: {schema, legend: {support: text}, cells: [{area, feature, place, set, support, reason,
    evidence: [{test, claim, outcome, reason, witnesses, seconds: {figure: seconds}, run, started, path}]}]}."""
    return {
        "schema": SCHEMA,
        "legend": dict(LEGEND),
        "cells": [
            {
                "area": cell.area,
                "feature": cell.feature,
                "place": cell.place,
                "set": cell.set_name,
                "support": cell.support,
                "reason": cell.reason,
                "evidence": [
                    {name: getattr(one, name) for name in Evidence.__dataclass_fields__}
                    | {"witnesses": list(one.witnesses), "seconds": dict(one.seconds)}
                    for one in cell.evidence
                ],
            }
            for cell in found
        ],
    }


def from_json(table: Mapping[str, Any]) -> list[Cell]:
    """The cells of a support.json.

    Raises:
        KeyError, TypeError: it is none.
    """
    return [
        Cell(
            cell["area"],
            cell["feature"],
            cell["place"],
            cell["set"],
            cell["support"],
            tuple(Evidence(**one | {"witnesses": tuple(one["witnesses"])}) for one in cell["evidence"]),
        )
        for cell in table["cells"]
    ]


def added(earlier: Sequence[Cell], later: Sequence[Cell]) -> list[Cell]:
    """The cells of both, in the order of the earlier ones: a later verdict replaces an earlier one, unless it judges
    nothing."""
    found = {(cell.area, cell.feature, cell.place, cell.set_name): cell for cell in earlier}
    for cell in later:
        key = (cell.area, cell.feature, cell.place, cell.set_name)
        if cell.support != "not judged" or key not in found:
            found[key] = cell
    return list(found.values())


def markdown(found: Sequence[Cell], *, link: str) -> str:
    """support.md: a table for each area, a column for each set and place. `link` is what links begin with, from the
    page's own folder to the repository's root, or "run" where they lead to the evidence in the runs' folders."""
    columns = sorted({(cell.set_name, cell.place) for cell in found})
    by_area: dict[str, dict[str, dict[tuple[str, str], Cell]]] = {}
    for cell in found:
        by_area.setdefault(cell.area, {}).setdefault(cell.feature, {})[cell.set_name, cell.place] = cell
    lines = ["| verdict | meaning |", "|---|---|", *(f"| {name} | {text} |" for name, text in LEGEND.items()), ""]
    notes: list[str] = []
    for area in sorted(by_area):
        places = [column for column in columns if any(column in row for row in by_area[area].values())]
        heads = " | ".join(f"{set_name}, {place}" for set_name, place in places)
        lines += [f"## {area.replace('_', ' ').capitalize()}", "", f"| feature | {heads} |"]
        lines += ["|---" * (len(places) + 1) + "|"]
        for feature, row in by_area[area].items():
            texts = (_cell(row.get(place), link, notes) for place in places)
            lines.append(f"| {_escaped(feature)} | {' | '.join(texts)} |")
        lines.append("")
    return "\n".join([*lines, *notes]).rstrip() + "\n"


def _cell(cell: Cell | None, link: str, notes: list[str]) -> str:
    """One cell's text; why it was not judged or is broken goes into a note."""
    if cell is None:
        return ""
    if cell.support == "not offered":
        return cell.support
    one = cell.evidence[0]
    file = one.test.partition("::")[0]
    target = f"{one.run}/{one.path}" if link == "run" else f"{link}{file}"
    text = f"[{cell.support}]({target})"
    if cell.support in ("broken", "not judged") and cell.reason:
        notes.append(f"{len(notes) + 1}. {_escaped(cell.feature)}, {cell.place}, {cell.set_name}: {cell.reason}")
        text += f" ({len(notes)})"
    return text


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")
