"""Recorded durations of matrix cells, from earlier runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from harness.errors import BadInput
from harness.matrix.cells import Cell
from harness.matrix.folder import Folder
from harness.outcome import Outcome
from harness.report.results_file import read_results, run_folders


def read_durations(places: Iterable[Path], tests: Sequence[str]) -> dict[str, list[float]]:
    """Seconds by cell name, oldest first: of matrices of the same tests; for cells that none of them ran, of single
    runs. Each place is a matrix's folder, a run folder, or a folder of either. What cannot be read is left out: a plan
    needs no history."""
    of_cells: dict[str, list[tuple[str, float]]] = {}
    of_runs: dict[str, list[tuple[str, float]]] = {}
    for path in _folders(places):
        try:
            if (path / "matrix.json").exists():
                _of_matrix(Folder(path), tests, of_cells)
            else:
                _of_run(read_results(path), of_runs)
        except (BadInput, OSError, KeyError, ValueError, TypeError):
            continue
    return {name: [seconds for _, seconds in sorted(found)] for name, found in (of_runs | of_cells).items()}


def _folders(places: Iterable[Path]) -> Iterable[Path]:
    for place in places:
        if (place / "matrix.json").exists() or (place / "results.json").exists():
            yield place
        elif place.is_dir():
            yield from run_folders(place)


def _of_matrix(folder: Folder, tests: Sequence[str], into: dict[str, list[tuple[str, float]]]) -> None:
    if folder.matrix().tests != tuple(tests):
        return
    for name, ended in folder.all_ended().items():
        if ended.outcome != Outcome.ERROR:  # one that failed early took less than the cell takes
            into.setdefault(name, []).append((ended.started, ended.seconds))


def _of_run(found: dict[str, Any], into: dict[str, list[tuple[str, float]]]) -> None:
    versions = found["versions"]
    cell = Cell(versions["istio"], versions["envoy-gateway"], versions["kubernetes"])
    whole = [s["seconds"] or 0.0 for s in found["stages"] if s["name"] == "stack" or s["name"].startswith("cluster ")]
    if whole and not found["counts"].get("error"):
        seconds = sum(whole) + sum(test["seconds"] for test in found["tests"])
        into.setdefault(cell.name, []).append((found["started"], round(seconds, 1)))
