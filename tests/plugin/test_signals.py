"""SIGTERM and Ctrl-C in the middle of a run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness import interruption, wait
from tests.patience import SOON
from tests.plugin.conftest import OPTIONS

STUCK = '''
import pathlib, signal, time
import pytest
from harness import observations
from harness.plugin.artifacts import GATHERER
from harness.plugin.run import RUN

def order(line):
    with pathlib.Path("order.txt").open("a") as file:
        file.write(line + "\\n")

@pytest.fixture(scope="session")
def made(pytestconfig):
    pytestconfig.stash[RUN].standing.callback(order, "cluster taken away")
    pytestconfig.stash[GATHERER] = lambda into, why: order(f"gathered {into.name}: {why}")
    yield
    order("undone")
    if pathlib.Path("twice").exists():
        pathlib.Path("undoing").touch()
        time.sleep(60)

def test_stuck(made):
    """A claim that takes long."""
    observations.record_sighting("client", "half of it")
    pathlib.Path("started").touch()
    time.sleep(60)
'''

CONFTEST = """
import pathlib, time

def pytest_keyboard_interrupt():
    if pathlib.Path("slow").exists():  # as pytest itself is, when it formats where the signal came
        pathlib.Path("ending").touch()
        time.sleep(60)
"""


@pytest.fixture
def stuck(tmp_path):
    """A run that waits in the middle of its only test."""
    (tmp_path / "suites").mkdir()
    (tmp_path / "suites" / "test_stuck.py").write_text(STUCK)
    (tmp_path / "suites" / "conftest.py").write_text(CONFTEST)
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("E2E_", "PYTEST", "GITHUB"))}
    command = [sys.executable, "-m", "pytest", *OPTIONS, "suites", "--e2e-cluster=emulated"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        appears(tmp_path / "started", process)
        yield process, tmp_path
        process.kill()


def appears(path: Path, process: subprocess.Popen[str]) -> None:
    wait.until(
        path.exists,
        bool,
        what=f"{path.name} is there",
        within=SOON,
        every=0.05,
        hopeless=lambda _: process.communicate()[0] if process.poll() is not None else None,
    )


@pytest.mark.parametrize(
    ("number", "by", "status"),
    [
        (signal.SIGTERM, "SIGTERM", 143),
        (signal.SIGINT, "Ctrl-C", 130),
    ],
)
def test_a_signal_gathers_then_undoes_and_leaves_the_record(stuck, number, by, status):
    """As Ctrl-C does: evidence before teardown, results and witnesses in the folder; the exit status is a shell's."""
    process, root = stuck
    process.send_signal(number)
    out, _ = process.communicate(timeout=SOON)

    assert process.returncode == status, out
    why = f"interrupted by {by} in suites/test_stuck.py::test_stuck"
    assert (root / "order.txt").read_text().splitlines() == [
        f"gathered interrupted: {why}", "undone", "cluster taken away",
    ]  # fmt: skip
    results = json.loads((root / "runs/latest/results.json").read_text())
    assert results["why"] == why
    assert results["exit"] == status
    assert results["tests"][0]["outcome"] == "not run"
    assert "half of it" in (root / "runs/latest/artifacts/stuck/test_stuck/witnesses.txt").read_text()
    assert (root / "runs/latest/junit.xml").exists()


def test_a_second_signal_ends_the_undoing_and_the_record_is_written(stuck):
    """What takes the cluster away is still called: `Run.standing`."""
    process, root = stuck
    (root / "twice").touch()
    process.send_signal(signal.SIGTERM)
    appears(root / "undoing", process)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=SOON)

    assert process.returncode == 143, out
    assert json.loads((root / "runs/latest/results.json").read_text())["why"].startswith("interrupted by SIGTERM in")
    assert (root / "order.txt").read_text().splitlines()[-1] == "cluster taken away"


def test_the_handler_from_before_is_back_after_a_run(mini):
    """The process that called pytest keeps its own; a run handles them all as it does SIGTERM, whose child is above."""

    def own(number, frame):
        raise AssertionError

    handled = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)  # under nohup SIGHUP is ignored
    before = [signal.signal(number, own) for number in handled]
    try:
        text = (
            "def test_a():\n    import signal\n"
            "    print(*(signal.getsignal(n).__name__ for n in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)))\n"
        )
        result = mini.write(ingress__one=text).run("suites", "-s")

        result.stdout.fnmatch_lines(["*interrupt interrupt interrupt*"])
        assert [signal.getsignal(number) for number in handled] == [own, own, own]
    finally:
        for number, handler in zip(handled, before, strict=True):
            signal.signal(number, handler)


def test_a_signal_that_is_ignored_from_the_start_stays_ignored(monkeypatch):
    """`nohup make e2e` outlives its terminal."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interruption.signals_as_interrupts():
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            assert signal.getsignal(signal.SIGTERM) is interruption.interrupt
    finally:
        signal.signal(signal.SIGHUP, before)


def taking_away(done: list[str], *numbers: signal.Signals) -> None:
    """What is interrupted by these signals."""
    with interruption.shielded(lambda: done.append("told")):
        for number in numbers:
            signal.raise_signal(number)
        done.append("went on")


def test_taking_away_goes_on_after_one_signal_and_ends_with_the_second():
    """The first is only reported, and raised once all is done."""
    done: list[str] = []
    with pytest.raises(KeyboardInterrupt, match="SIGTERM"):
        taking_away(done, signal.SIGTERM)
    assert done == ["told", "went on"]

    done.clear()
    with pytest.raises(KeyboardInterrupt) as second:
        taking_away(done, signal.SIGTERM, signal.SIGINT)
    assert interruption.exit_code(second.value) == 130
    assert done == ["told"]


def test_second_signal_while_pytest_ends_is_no_traceback(stuck):
    """What was made is taken away all the same, and the exit status is a shell's."""
    process, root = stuck
    (root / "slow").touch()
    process.send_signal(signal.SIGINT)
    appears(root / "ending", process)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=SOON)

    assert process.returncode == 130, out
    assert "Traceback" not in out
    assert "interrupted again while the run was ending" in out
    assert "cluster taken away" in (root / "order.txt").read_text()
