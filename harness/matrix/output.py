"""Formats plans and matrices as text, JSON and GitHub's job matrix. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from harness.matrix.folder import PLAN_SCHEMA, Ended, Matrix
from harness.matrix.plan import Plan, Planned, shards
from harness.outcome import Outcome
from harness.text_table import align


def as_text(plan: Plan, count: int = 1) -> str:
    """The plan as a table, what is refused below it, and the seconds of each shard if there are several."""
    rows = [(one.cell.name, f"{one.seconds:.0f}", "measured" if one.measured else "estimated") for one in plan.cells]
    lines = align([("cell", "seconds", ""), *rows]) if rows else ["no cell"]
    for one in plan.cells:
        lines += [f"note: {remark}" for remark in one.remarks]
    if plan.refused:
        lines += ["", *align([("refused", "why"), *((one.name, one.reason) for one in plan.refused)])]
    lines += ["", f"cells: {len(plan.cells)}, {plan.seconds:.0f} s one after another; {len(plan.refused)} refused"]
    if count > 1:
        loads = [sum(one.seconds for one in shard) for shard in shards(plan.cells, count)]
        lines.append(f"{count} shards: " + ", ".join(f"{load:.0f} s" for load in loads))
    return "\n".join(lines)


def as_json(plan: Plan, count: int = 1) -> dict[str, Any]:
    """The plan as JSON:

    schema   "mesh-e2e/plan/v1"
    cells    [{name, versions (VERSIONS=), upgrade (UPGRADE_TO=, or ""), seconds, measured, shard (from 1),
               remarks: [text]}]
    refused  [{name, reason}]
    seconds  of all cells one after another
    """
    of = {one.cell.name: n for n, shard in enumerate(shards(plan.cells, count), 1) for one in shard}
    return {
        "schema": PLAN_SCHEMA,
        "cells": [_cell(one) | {"shard": of[one.cell.name], "remarks": list(one.remarks)} for one in plan.cells],
        "refused": [{"name": one.name, "reason": one.reason} for one in plan.refused],
        "seconds": round(plan.seconds, 1),
    }


def as_github(plan: Plan, count: int) -> str:
    """One line for `strategy.matrix: ${{ fromJSON(…) }}`: a job for each shard that has cells, with `shard` ("1/4", for
    `matrix run --plan … --shard`), its `cells` (names, separated by spaces) and the `seconds` it will take."""
    jobs = []
    for number, shard in enumerate(shards(plan.cells, count), 1):
        if shard:
            seconds = round(sum(one.seconds for one in shard))
            names = " ".join(one.cell.name for one in shard)
            jobs.append({"shard": f"{number}/{count}", "cells": names, "seconds": seconds})
    return json.dumps({"include": jobs}, separators=(",", ":"))


def state(matrix: Matrix, ended: Mapping[str, Ended]) -> str:
    """A matrix's cells with what became of them, and its refused ones."""
    rows = []
    for cell in matrix.cells:
        found = ended.get(cell.name)
        counts = " ".join(f"{number} {name}" for name, number in found.counts.items() if number) if found else ""
        outcome, seconds = (found.outcome, f"{found.seconds:.0f}") if found else (Outcome.NOT_RUN, "")
        rows.append((cell.name, outcome, seconds, counts))
    lines = align([("cell", "outcome", "seconds", "claims"), *rows])
    lines += [f"    {name}: {one.why}" for name, one in ended.items() if one.why]
    lines += [f"refused: {name}: {why}" for name, why in matrix.refused]
    return "\n".join(lines)


def markdown(matrix: Matrix, ended: Mapping[str, Ended]) -> str:
    """The same as a table for a CI system's page."""
    lines = [
        f"### Version matrix: {matrix.cluster}, {' '.join(matrix.tests)}",
        "",
        "| cell | outcome | seconds | claims |",
        "|---|---|---:|---|",
    ]
    for cell in matrix.cells:
        found = ended.get(cell.name)
        counts = ", ".join(f"{number} {name}" for name, number in found.counts.items() if number) if found else ""
        outcome, seconds = (found.outcome, found.seconds) if found else (Outcome.NOT_RUN, "")
        lines.append(f"| {cell.name} | {outcome} | {seconds} | {counts} |")
    lines += [f"| {name} | not supported: {why} | | |" for name, why in matrix.refused]
    return "\n".join(lines) + "\n"


def _cell(one: Planned) -> dict[str, Any]:
    return {
        "name": one.cell.name,
        "versions": one.cell.versions,
        "upgrade": one.cell.upgrade,
        "seconds": round(one.seconds, 1),
        "measured": one.measured,
    }
