"""Reads run folders and matrix folders for the report page."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness.errors import BadInput
from harness.matrix.folder import Ended, Folder
from harness.outcome import Outcome
from harness.report.results_file import read_results

REMEDY = "name folders of runs (runs/…) or of a matrix"
TEXTS = 20_000  # characters of evidence that the page keeps for a claim; the rest is in the run's folder
ATTACHED = (".txt", ".yaml")
NEEDED = {"cluster", "set", "versions", "facts", "started", "tests", "times", "tables", "stages"}


@dataclass(frozen=True, slots=True)
class ReadRun:
    """A run: its folder's name, results.json, the evidence of claims by test id (file name, text), and the timelines of
    its background load (harness/load/timeline.py, as JSON).

    `finished` is False where results.json is missing: the run was killed, and its verdicts are those written so far.
    """

    name: str
    results: Mapping[str, Any]
    evidence: Mapping[str, Sequence[tuple[str, str]]]
    timelines: Sequence[Mapping[str, Any]] = ()
    finished: bool = True


@dataclass(frozen=True, slots=True)
class FailedCell:
    """A cell of a matrix that has no run, with the reason."""

    name: str
    why: str


def read_runs(folders: Sequence[Path]) -> tuple[list[ReadRun], list[FailedCell]]:
    """The runs in these folders, oldest first, and the cells of matrices that never got so far.

    Raises:
        BadInput: a folder holds no run, one cannot be read, or it is of a newer format.
    """
    runs: dict[Path, ReadRun] = {}
    failed: list[FailedCell] = []
    for folder in folders:
        if (folder / "matrix.json").is_file():
            for path, ended in _cells(folder):
                if path is None:
                    failed.append(FailedCell(ended.name, ended.why))
                else:
                    runs.setdefault(path.resolve(), read_run(path))
        else:
            runs.setdefault(folder.resolve(), read_run(folder))
    return sorted(runs.values(), key=lambda run: (str(run.results["started"]), run.name)), failed


def read_run(folder: Path) -> ReadRun:
    """
    Raises:
        BadInput: as `read_runs`.
    """
    finished = (folder / "results.json").is_file() or not (folder / "verdicts.jsonl").is_file()
    results = read_results(folder) if finished else _verdicts(folder)
    if missing := NEEDED - results.keys():
        raise BadInput(f"{folder / 'results.json'} lacks {', '.join(sorted(missing))}", remedy=REMEDY)
    evidence = {test["id"]: _evidence(folder, test) for test in results["tests"]}
    timelines = [_timelines(folder, test) for test in results["tests"]]
    return ReadRun(folder.resolve().name, results, evidence, [one for found in timelines for one in found], finished)


def _verdicts(folder: Path) -> dict[str, Any]:
    """What a run that was killed left: verdicts.jsonl has each verdict as it was reached."""
    tests = []
    for line in (folder / "verdicts.jsonl").read_text().splitlines():
        try:
            tests.append(json.loads(line))
        except ValueError:
            continue  # the last line of a killed run can be half written
    stamp, _, rest = folder.resolve().name.partition("-")
    kind, _, name = rest.partition("-")
    try:
        started = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).isoformat()
    except ValueError:
        raise BadInput(f"{folder} has no results.json, and its name is not that of a run", remedy=REMEDY) from None
    cluster = {"kind": kind, "name": "", "conformance": kind in ("kind", "existing")}
    nothing: dict[str, Any] = {"versions": {}, "facts": {}, "times": [], "tables": {}, "stages": []}
    return {
        "cluster": cluster,
        "set": name,
        "started": started,
        "tests": tests,
        "why": "the run never ended",
        **nothing,
    }


def _evidence(folder: Path, test: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The text files of a claim's evidence: journeys where it holds, else all."""
    found, left = [], TEXTS
    for file in _files(folder, test):
        wanted = file.name == "journey.txt" if test["outcome"] == Outcome.HELD else file.suffix in ATTACHED
        if wanted and left > 0:
            text = file.read_text(errors="replace")[:left]
            left -= len(text)
            found.append((file.name, text))
    return found


def _timelines(folder: Path, test: Mapping[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for file in _files(folder, test):
        if file.name == "timelines.json":
            try:
                found += json.loads(file.read_text())
            except ValueError:
                raise BadInput(f"{file} is not JSON: it was half written", remedy="delete it") from None
    return found


def _files(folder: Path, test: Mapping[str, Any]) -> list[Path]:
    """The files beside a claim's evidence; those of its diagnostics, which are many, are left in the folder."""
    place = folder / test["evidence"] if test["evidence"] else None
    return sorted(file for file in place.iterdir() if file.is_file()) if place and place.is_dir() else []


def _cells(folder: Path) -> Iterator[tuple[Path | None, Ended]]:
    """The run of each cell that has ended, None where a cell has none."""
    matrix = Folder(folder)
    for cell in matrix.matrix().cells:
        ended = matrix.ended(cell.slug)
        if ended is None:
            continue
        path = matrix.cell(cell.slug) / ended.run if ended.run else None
        yield (path if path and path.is_dir() else None), ended
