"""Measures a run: seconds of each stage and suite, and CPU and memory of the harness."""

from __future__ import annotations

import json
import resource
import sys
import time
import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from harness import timeouts
from harness.command import RunningProgram, running
from harness.errors import BadInput, SetupFailed
from harness.install.critical_path import TITLE, Ran, path_to_first_response, rows
from harness.settings import Settings
from harness.version_sets import VersionSet
from harness.wait import pause

# What the stack itself takes, whoever asks: a changed cluster warms for Envoy's 15 s initial fetch timeout (applied and
# removed), v-delayed answers after 7 s (control and recovery), a node application closes its connections after 5 s.
FLOOR = {
    "circuit breaker applied to enforced": 15.0,
    "circuit breaker deleted to enforced": 15.0,
    "v-delayed x 2": 14.0,
}

TO_FIRST = "critical path to the first response"

ROOT = Path(__file__).resolve().parent.parent  # the root folder of pytest, to which the plugin takes runs/ as relative
_USAGE_ERROR = 4  # pytest's exit code
_LAST = 40  # lines of the run's output
_MARK = "E2E_BENCH"  # in the environment of all that one bench starts, however detached


def run_benchmark(settings: Settings, versions: VersionSet, tests: Sequence[str], out: Console) -> int:
    """Runs the suites once in a process of their own and prints where the time went. Returns their exit code."""
    started, began = time.monotonic(), time.time()
    mark = uuid.uuid4().hex
    peak, all_peak = 0, 0
    runs = ROOT / settings.runs  # passed to the run, so that both use the same folder
    before = (runs / "latest").resolve()
    call = [sys.executable, "-m", "pytest", *tests]
    suites: RunningProgram | None = None
    try:
        with running(call, env={_MARK: mark, "E2E_RUNS": str(runs)}, grace=timeouts.INNER_END) as suites:
            while suites.is_running:
                peak = max(peak, _resident([suites.pid]))
                all_peak = max(all_peak, _resident(_marked(mark, began)))
                pause(0.5, why="the suites run")
            code = suites.code
    except KeyboardInterrupt:
        if suites:  # its last words: where its evidence is
            out.print("\n".join(suites.lines[-_LAST:]), markup=False, soft_wrap=True)
        raise
    wall = time.monotonic() - started
    cpu = resource.getrusage(resource.RUSAGE_CHILDREN)
    if code == _USAGE_ERROR:
        why = next((line for line in suites.lines if line.startswith("ERROR: ")), "").removeprefix("ERROR: ")
        raise BadInput(f"pytest rejects {' '.join(tests)}: {why}", remedy="T= names files or folders: T=suites/ingress")
    found = _results((runs / "latest").resolve(), before, suites.lines[-_LAST:])
    _print(out, versions, found)
    out.print(
        f"whole run {wall:.1f} s, exit {code}; harness process peak {peak / 2**20:.0f} MB, with all it started "
        f"{all_peak / 2**20:.0f} MB; processor {cpu.ru_utime + cpu.ru_stime:.1f} s (programs it ran included)"
    )
    return code


def _marked(mark: str, since: float) -> list[int]:
    """The processes with the mark, also those that left our process tree, as the emulated cluster's do."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.create_time() >= since - 1 and process.environ().get(_MARK) == mark:
                found.append(process.pid)
    return found


def _resident(pids: Iterable[int]) -> int:
    """Bytes in memory; pages that processes share are counted for each, so this is never too little."""
    size = 0
    for pid in pids:
        with suppress(psutil.Error):
            size += psutil.Process(pid).memory_info().rss
    return size


def _results(folder: Path, before: Path, tail: Sequence[str]) -> dict[str, Any]:
    """What the run left; `before` is what was the latest folder before it."""
    try:
        if folder == before:
            raise FileNotFoundError
        found: dict[str, Any] = json.loads((folder / "results.json").read_text())
    except (OSError, ValueError):
        raise SetupFailed("the run left no results; its last lines:\n" + "\n".join(tail)) from None
    return found


def _print(out: Console, versions: VersionSet, found: dict[str, Any]) -> None:
    stages = Table("stage", "seconds", title=f"{found['cluster']['kind']}  {versions.summary}", box=None)
    for stage in found["stages"]:
        stages.add_row(stage["name"], f"{stage['seconds'] or 0:.1f}")
    areas: dict[str, list[float]] = defaultdict(list)
    figures: dict[str, list[float]] = defaultdict(list)
    for test in found["tests"]:
        areas[test["area"]].append(test["seconds"])
        for figure in test["figures"]:
            figures[figure["name"]].append(figure["seconds"])
    suites = Table("suite", "tests", "seconds", box=None)
    for area, seconds in areas.items():
        suites.add_row(area, str(len(seconds)), f"{sum(seconds):.1f}")
    times = Table("measured", "times", "min", "max", "floor", box=None)
    for name, seconds in figures.items():
        floor = f"{FLOOR[name]:.0f}" if name in FLOOR else ""
        times.add_row(name, str(len(seconds)), f"{min(seconds):.2f}", f"{max(seconds):.2f}", floor)
    for table in (stages, _path(found), suites, times):
        out.print(table)


def _path(found: dict[str, Any]) -> Table:
    """The critical path to the first response, or of the installation where there was none."""
    installation = found.get("tables", {}).get(TITLE, ())
    steps = [Ran(row["step"], float(row["from"]), float(row["to"])) for row in installation]
    stages = [Ran(one["name"], one["began"], one["began"] + (one["seconds"] or 0)) for one in found["stages"]]
    path = rows(path_to_first_response(stages, steps), "the start of the run")
    table = Table("step", "from", "to", "seconds", "waited for", title=TO_FIRST if path else TITLE, box=None)
    for row in path or installation:
        table.add_row(*row.values())
    return table
