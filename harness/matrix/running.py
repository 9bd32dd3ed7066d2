"""Runs the cells of a matrix, each with a cluster, state and folder of its own.

A cell that has ended is not run again, so an interrupted matrix goes on where it stopped. What a killed one left
running is ended first: its runs are known by process and start time.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

import psutil

from harness import progress, timeouts
from harness.command import run, running
from harness.errors import HarnessError
from harness.matrix.folder import Ended, Folder, Matrix, PlannedCell
from harness.outcome import FAILURES, WORST_FIRST, Outcome, worst
from harness.report.results_file import read_results, run_folders
from harness.threads import thread_pool
from harness.wait import pause

UPGRADES = ("suites/upgrades",)  # what an upgrade's cell runs
_TO_FILE = 'exec "$@" >"$MATRIX_OUTPUT" 2>&1'  # a pipe to us would break the run if we were killed


@dataclass(frozen=True, slots=True)
class Run:
    """How a cell is run: the folder of the cell, where output goes, what is put into the environment."""

    folder: Path
    output: Path
    env: Mapping[str, str]


class Runner(Protocol):
    """Runs a cell's tests and returns the exit code. `begun` takes the process id."""

    def __call__(self, run: Run, tests: Sequence[str], begun: Callable[[int], None], /) -> int: ...


def run_cells(
    folder: Folder,
    cells: Sequence[PlannedCell],
    *,
    abreast: int = 1,
    again: Sequence[Outcome] = (),
    most: int = 0,
    runner: Runner | None = None,
    on_end: Callable[[PlannedCell, Ended], None] | None = None,
) -> list[Ended]:
    """Runs those cells of a folder that have not ended, `abreast` at a time, at most `most` of them (0: all). `again`
    are outcomes that are run once more. Returns the records of all given cells that have ended.

    The folder must be held. A cell that fails does not end the others; Ctrl-C ends those under way and records nothing
    of them.

    Raises:
        SetupFailed: a record cannot be written (a full disk); what was recorded stays.
    """
    matrix, run_one = folder.matrix(), runner or run_tests
    ended = {cell.name: folder.ended(cell.slug) for cell in cells}
    todo = [cell for cell in cells if (done := ended[cell.name]) is None or done.outcome in again]
    todo = todo[:most] if most else todo
    _end_orphans([folder.cell(cell.slug) for cell in cells])

    def one(cell: PlannedCell) -> Ended:
        with progress.stage(f"cell {cell.name}"):
            record = run_cell(folder, matrix, cell, run_one)
        folder.end(cell.slug, record)
        if on_end:
            on_end(cell, record)
        return record

    with thread_pool(max(1, abreast)) as pool:
        for record in pool.map(one, todo):
            ended[record.name] = record
    return [record for record in ended.values() if record]


def run_cell(folder: Folder, matrix: Matrix, cell: PlannedCell, runner: Runner) -> Ended:
    """Runs one cell. Whatever goes wrong with it is an error of the cell."""
    home, began, started = folder.cell(cell.slug), time.monotonic(), datetime.now(UTC).isoformat(timespec="seconds")
    runs = home / "runs"
    try:
        runs.mkdir(parents=True, exist_ok=True)
        before = set(run_folders(runs))
        env = environment(folder, cell, matrix.cluster)
        code = runner(
            Run(home, home / "output.txt", env),
            UPGRADES if cell.upgrade else matrix.tests,
            lambda pid: _begun(home, pid),
        )
        made = [one for one in run_folders(runs) if one not in before]
        found = _judged(made[-1], code) if made else _Judged(Outcome.ERROR, _last_line(home / "output.txt"))
        where = str(made[-1].relative_to(home)) if made else ""
    except (HarnessError, OSError) as error:
        code, where, found = 1, "", _Judged(Outcome.ERROR, str(error).splitlines()[0])
    seconds = round(time.monotonic() - began, 1)
    return Ended(cell.name, found.outcome, code, seconds, found.counts, found.why, where, started, found.versions)


def environment(folder: Folder, cell: PlannedCell, cluster: str) -> dict[str, str]:
    """What a cell's run is given: its versions, and a cluster, a state and run folders that no other has."""
    key = sha256(f"{folder.path.resolve()} {cell.name}".encode()).hexdigest()[:10]
    return {
        "E2E_CLUSTER": cluster,
        "E2E_VERSIONS": cell.versions,
        "E2E_UPGRADE_TO": cell.upgrade,
        "E2E_CLUSTER_NAME": f"matrix-{key}",
        "E2E_RUNS": str((folder.cell(cell.slug) / "runs").resolve()),
        "E2E_STATE": str((folder.path / "state" / cell.slug).resolve()),
        "E2E_KEEP": "never",
        "E2E_KEEP_RUNS": "0",
        "E2E_KEEP_DAYS": "0",
    }


def run_tests(run_: Run, tests: Sequence[str], begun: Callable[[int], None]) -> int:
    """Runs pytest in a process of its own, after what a killed run of this cell left was taken away."""
    command = [sys.executable, "-m", "harness.cli", "clean"]
    if Path(run_.env["E2E_STATE"]).is_dir():
        run(command, env=run_.env, within=timeouts.CLUSTER_DELETE + timeouts.INNER_END, check=False)
    argv = ["sh", "-c", _TO_FILE, "sh", sys.executable, "-m", "pytest", *tests]
    env = {**run_.env, "MATRIX_OUTPUT": str(run_.output)}
    with running(argv, env=env, grace=timeouts.INNER_END) as process:
        begun(process.pid)
        while process.is_running:
            pause(0.5, why="a cell's run")
        return process.code


@dataclass(frozen=True, slots=True)
class _Judged:
    """What became of a cell, from its run folder."""

    outcome: Outcome
    why: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)


def _judged(run_folder: Path, code: int) -> _Judged:
    """The outcome of a run, from its results.json: a false claim is broken; else what was not judged says so. A run
    that was interrupted, or whose cluster failed, is an error of the cell and is no verdict on its versions."""
    found = read_results(run_folder)
    counts = {str(name): int(number) for name, number in found["counts"].items()}
    versions = {str(name): str(version) for name, version in (found.get("versions") or {}).items()}
    why = str(found.get("why") or "") or _first_reason(found["tests"])
    outcome = (worst(+Counter(counts)) if code in (0, 1) else None) or Outcome.ERROR
    if code == 1 and outcome == Outcome.HELD:
        outcome, why = Outcome.ERROR, why or "the run ended with 1, and no claim says why"
    return _Judged(outcome, "" if outcome == Outcome.HELD else why, counts, versions)


def _first_reason(tests: Sequence[Mapping[str, Any]]) -> str:
    bad = sorted((t for t in tests if t["outcome"] in FAILURES), key=lambda t: WORST_FIRST.index(t["outcome"]))
    return f"{bad[0]['claim']}: {str(bad[0]['reason']).splitlines()[0] if bad[0]['reason'] else ''}" if bad else ""


def _last_line(output: Path) -> str:
    """Why a run made no folder: the error that pytest printed, else its last line."""
    lines = (
        [line.strip() for line in output.read_text(errors="replace").splitlines() if line.strip()]
        if output.is_file()
        else []
    )
    return next(
        (line for line in lines if line.startswith("ERROR")), lines[-1] if lines else "the run printed nothing"
    )[:300]


def _begun(home: Path, pid: int) -> None:
    with suppress(psutil.Error):
        created = psutil.Process(pid).create_time()
        (home / "begun.json").write_text(json.dumps({"pid": pid, "created": created}))


def _end_orphans(homes: Sequence[Path]) -> None:
    """Ends the runs of cells that outlived a killed matrix; each takes its cluster away first. Known by pid and start
    time."""
    found = {home: process for home in homes if (process := _orphan(home / "begun.json"))}
    for home, process in found.items():
        progress.note(f"the run of {home.name} outlived a killed matrix (process {process.pid}): it is ended first")
        with suppress(psutil.Error):
            process.terminate()
    _, alive = psutil.wait_procs(list(found.values()), timeout=timeouts.INNER_END)
    for process in alive:
        with suppress(psutil.Error):
            process.kill()


def _orphan(file: Path) -> psutil.Process | None:
    """The process that begun.json names, if it still runs; the file goes."""
    try:
        recorded = json.loads(file.read_text())
        process = psutil.Process(int(recorded["pid"]))
        return process if abs(process.create_time() - float(recorded["created"])) <= 1 else None
    except (OSError, ValueError, KeyError, TypeError, psutil.Error):
        return None
    finally:
        file.unlink(missing_ok=True)
