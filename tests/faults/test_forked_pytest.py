"""Real calls of pytest, forked."""

from __future__ import annotations

import os
import subprocess
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

import psutil
import pytest

from harness.faults import forked_pytest
from harness.wait import until
from tests.patience import SOON

TESTS = """
import os, pathlib, subprocess, time
import pytest

HERE = pathlib.Path(__file__).parent

@pytest.fixture(scope="session")
def stood():
    yield
    (HERE / "session-undone").touch()

@pytest.fixture(scope="module")
def thing(stood):
    yield
    (HERE / "module-undone").touch()

def test_one(thing):
    (HERE / "env").write_text(os.environ["SAID"])

def test_two(thing):
    assert 1 == 2
"""


def hang(_arguments: list[str], _env: dict[str, str], file: Path) -> None:
    """Instead of pytest: starts something, and never ends."""
    os.setsid()
    child = subprocess.Popen(["sleep", "240"])
    file.with_name("child").write_text(str(child.pid))
    file.with_name("child.begun").touch()
    time.sleep(2 * SOON)


def has_ended(pid: int) -> bool:
    """Whether a process is gone, or waits only to be reaped."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.fixture
def forks(monkeypatch: pytest.MonkeyPatch) -> forked_pytest.Forks:
    monkeypatch.setattr(forked_pytest, "_IMPORTED", ["pytest"])
    return forked_pytest.Forks()


def arguments(folder: Path, text: str) -> list[str]:
    file = folder / "test_small.py"
    file.write_text(text)
    (folder / "pytest.ini").write_text("[pytest]\n")
    left_out = ("hypothesispytest", "cacheprovider", "mesh_e2e", "valkey", "anyio", "allure_pytest")
    return ["--rootdir", str(folder), "-q", *(part for name in left_out for part in ("-p", f"no:{name}")), str(file)]


def test_what_fixtures_made_is_left(forks: forked_pytest.Forks, tmp_path: Path) -> None:
    """The tests run, in the given environment, and none of what the last one's fixtures made is undone."""
    tail = forks.run_pytest(arguments(tmp_path, TESTS), env={"SAID": "yes"}, folder=tmp_path / "run", within=SOON)

    assert (tmp_path / "env").read_text() == "yes"
    assert "1 failed, 1 passed" in tail
    assert not (tmp_path / "module-undone").exists()
    assert not (tmp_path / "session-undone").exists()
    assert "assert 1 == 2" in (tmp_path / "run" / "pytest.log").read_text()
    assert "SAID" not in os.environ


def test_fixture_that_nobody_needs_any_more_is_undone(forks: forked_pytest.Forks, tmp_path: Path) -> None:
    """Only the last test's are left: between two files everything is as ever."""
    later = tmp_path / "later"
    later.mkdir()
    (later / "test_later.py").write_text("def test_later():\n    pass\n")

    forks.run_pytest([*arguments(tmp_path, TESTS), str(later)], env={"SAID": ""}, folder=tmp_path / "run", within=SOON)

    assert (tmp_path / "module-undone").exists()


def test_late_call_ends_with_all_that_it_started(
    forks: forked_pytest.Forks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After its time it is killed, its children with it, and that is what is reported."""
    forks.run_pytest(["--version"], env={}, folder=tmp_path / "before", within=SOON)  # what is imported is, from now on
    monkeypatch.setattr(forked_pytest, "_session", hang)
    join, begun = BaseProcess.join, tmp_path / "child.begun"

    def join_once_begun(process: BaseProcess, timeout: float | None = None) -> None:
        until(begun.exists, bool, what="the call has started something", within=SOON, every=0.01)
        join(process, timeout)

    monkeypatch.setattr(BaseProcess, "join", join_once_begun)

    tail = forks.run_pytest([], env={}, folder=tmp_path, within=0.2)

    assert tail == "killed after 0.2s"
    child = int((tmp_path / "child").read_text())
    until(lambda: has_ended(child), bool, what="what the call started has ended", within=SOON, every=0.01)
