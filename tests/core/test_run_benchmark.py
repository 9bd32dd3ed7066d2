"""What a run costs: figures from its results, memory of all that it started, also of what left its tree."""

import io
import json
import re
import time
from pathlib import Path

import pytest
from rich.console import Console

from harness import version_sets
from harness.errors import BadInput, SetupFailed
from harness.install.critical_path import TITLE
from harness.run_benchmark import run_benchmark
from harness.settings import Settings

ROW = version_sets.load().pick()
QUIET = ["--disable-plugin-autoload", "-p", "no:cacheprovider"]  # the harness itself is not what they run
RESULTS = {
    "cluster": {"kind": "emulated"},
    "stages": [
        {"name": "stack", "began": 5.0, "seconds": 31.0},
        {"name": "bookinfo", "began": 6.0, "seconds": 1.25},
        {"name": "first 200 through the ingress, by node port", "began": 36.1, "seconds": 0.4},
    ],
    "tables": {
        TITLE: [{"step": "redis", "from": "20.0", "to": "31.0", "seconds": "11.0", "waited for": "images: limiter"}]
    },
    "tests": [
        {"area": "ingress", "seconds": 2.0, "figures": [{"name": "policy applied to Accepted", "seconds": 0.25}]},
        {"area": "ingress", "seconds": 1.0, "figures": [{"name": "policy applied to Accepted", "seconds": 0.75}]},
    ],
}
# What the plugin would leave of a run.
LEAVES = """
import json, os, pathlib, time

def test_leaves_a_folder():
    runs = pathlib.Path(os.environ["E2E_RUNS"])
    folder = runs / f"run-{time.time_ns()}"
    folder.mkdir(parents=True)
    (folder / "results.json").write_text(json.dumps(RESULTS))
    (runs / "latest").unlink(missing_ok=True)
    (runs / "latest").symlink_to(folder.name)
"""
# A program of 100 MB that leaves its parent's session, as the emulated cluster does, and stays until it is measured.
DETACHED = """
import os, pathlib, subprocess, sys, time

def wait_until_it_is_measured():
    for _ in range(2400):
        if pathlib.Path(HERE, "measured").exists():
            return
        time.sleep(0.05)

HELD = '''
import pathlib, sys, time
held = bytearray(100 << 20)
pathlib.Path(sys.argv[1], "held").touch()
for _ in range(2400):
    if pathlib.Path(sys.argv[1], "measured").exists():
        break
    time.sleep(0.05)
'''

def test_starts_another():
    if os.fork() == 0:
        subprocess.Popen([sys.executable, "-c", HELD, HERE], start_new_session=True)
        os._exit(0)
    os.wait()
    wait_until_it_is_measured()
"""


@pytest.fixture
def console() -> Console:
    """Where the tables go."""
    return Console(record=True, file=io.StringIO(), width=100)


def test_all_that_it_started_is_counted(
    settings: Settings, console: Console, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that left the run's tree is in the sum and not in the harness's own figure."""
    test = tmp_path / "test_detached.py"
    test.write_text(f"RESULTS, HERE = {RESULTS!r}, {str(tmp_path)!r}\n" + LEAVES + DETACHED)
    held, looks = tmp_path / "held", list[bool]()

    def pause(seconds: float, *, why: str) -> None:
        if True in looks:  # it held its memory before the last look
            (tmp_path / "measured").touch()
        looks.append(held.exists())
        time.sleep(0.1)

    monkeypatch.setattr("harness.run_benchmark.pause", pause)

    code = run_benchmark(settings, ROW, [str(test), *QUIET], console)

    output = console.export_text()
    own, everything = map(int, re.findall(r"(\d+) MB", output))
    assert code == 0, output
    assert everything >= own + 100
    assert re.search(r"bookinfo +1\.2", output)
    assert re.search(r"redis +25\.0 +36\.0 +11\.0 +before the first", output)
    assert re.search(r"first 200 .* +36\.1 +36\.5 +0\.4 +redis", output)
    assert re.search(r"ingress +2 +3\.0", output)
    assert re.search(r"policy applied to Accepted +2 +0\.25 +0\.75", output)


def test_another_runs_figures_are_not_shown(settings: Settings, console: Console, tmp_path: Path) -> None:
    """A run that made no folder (a typo in T=) is bad input that names it, whatever the last run left."""
    old = settings.runs / "run-1"
    old.mkdir(parents=True)
    (old / "results.json").write_text(json.dumps(RESULTS))
    (settings.runs / "latest").symlink_to(old.name)

    with pytest.raises(BadInput, match=r"pytest rejects .*no_such_test\.py"):
        run_benchmark(settings, ROW, [str(tmp_path / "no_such_test.py"), *QUIET], console)

    assert console.export_text() == ""


def test_runs_folder_is_the_one_the_run_takes(
    console: Console, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative one is the root folder's, wherever the command is given."""
    monkeypatch.setattr("harness.run_benchmark.ROOT", tmp_path / "repository")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    test = tmp_path / "test_leaves.py"
    test.write_text(f"RESULTS = {RESULTS!r}\n" + LEAVES)

    assert run_benchmark(Settings(runs=Path("runs")), ROW, [str(test), *QUIET], console) == 0
    assert (tmp_path / "repository/runs/latest/results.json").exists()


def test_run_without_results_shows_its_last_lines(settings: Settings, console: Console, tmp_path: Path) -> None:
    """A run that left nothing is a failure that quotes what it printed."""
    test = tmp_path / "test_silent.py"
    test.write_text("def test_leaves_no_results():\n    pass\n")

    with pytest.raises(SetupFailed, match=r"left no results; its last lines:\n(.*\n)*.*1 passed"):
        run_benchmark(settings, ROW, [str(test), *QUIET], console)
