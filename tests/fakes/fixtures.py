"""Fixtures over the fakes; tests/conftest.py gives them to every test."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from harness import command, observations, progress, record_replay, timeouts, version_sets, wait
from harness.kube import Kube
from harness.settings import Settings
from harness.tools import download
from harness.undo.temporary_changes import Manifests
from harness.undo.undo_log import UndoLog
from tests.fakes.api import FakeApi
from tests.fakes.clock import Clock
from tests.fakes.cluster import FakeCluster
from tests.fakes.programs import Programs
from tests.patience import SOON

NOWHERE = "http://127.0.0.1:9"
# Bounds of harness/timeouts.py for one answer: no test depends on how fast a fake is. A test of a bound sets its own.
ANSWERS = ("API", "API_CONNECT", "API_FIRST", "CAUSES", "HTTP", "HTTP_CONNECT", "LOAD_BEGIN", "PORT_FORWARD")


@pytest.fixture(autouse=True)
def own_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home of its own, none of the user's variables, an empty record, no listeners and the usual patience."""
    for name in [
        n for n in os.environ if n.startswith(("E2E_", "KUBE", "XDG_", "HELM_")) or n.lower().endswith("proxy")
    ]:
        monkeypatch.delenv(name)
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    # No test fetches kind, helm or kubectl from where they are published: nothing listens there.
    monkeypatch.setenv("E2E_TOOLS", str(tmp_path / "tools"))
    monkeypatch.setenv("E2E_TOOLS_MIRROR", NOWHERE)
    monkeypatch.setattr(download, "PAUSES", (0.0, 0.0, None))
    monkeypatch.setattr(command, "_chosen", {})
    monkeypatch.setattr(observations, "_book", {"": observations.Ledger()})
    monkeypatch.setattr(observations, "_current", "")
    monkeypatch.setattr(progress.PROGRESS, "listeners", [])
    monkeypatch.setattr(progress.PROGRESS, "stages", [])
    monkeypatch.setattr(record_replay, "_nodes_ahead", timedelta())
    monkeypatch.setattr(wait, "_patience", 1.0)
    for name in ANSWERS:
        monkeypatch.setattr(timeouts, name, SOON)
    monkeypatch.setattr(wait, "_delays", 1.0)


@pytest.fixture
def free_port() -> Iterator[int]:
    """A port where nobody listens, and nobody else can meanwhile: it is bound."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        yield free.getsockname()[1]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Time that only sleeping moves."""
    made = Clock()
    monkeypatch.setattr(time, "monotonic", made.monotonic)
    monkeypatch.setattr(time, "sleep", made.sleep)
    return made


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    """A PATH with nothing but what the test puts there."""
    home = tmp_path / "programs"
    home.mkdir()
    monkeypatch.setenv("PATH", str(home))
    return Programs(home)


@pytest.fixture
def api() -> Iterator[FakeApi]:
    """A running API server without objects."""
    yield from FakeApi().serve()


@pytest.fixture
def kube(api: FakeApi, tmp_path: Path) -> Kube:
    """The real client against it."""
    return Kube(api.kubeconfig(tmp_path / "kubeconfig"), "fake")


@pytest.fixture
def cluster(api: FakeApi, tmp_path: Path) -> FakeCluster:
    """A cluster whose API that is."""
    return FakeCluster(api.kubeconfig(tmp_path / "kubeconfig"))


@pytest.fixture
def other_process() -> Iterator[int]:
    """A process that runs as long as the test."""
    with subprocess.Popen(["/bin/sh", "-c", "read _"], stdin=subprocess.PIPE) as process:
        yield process.pid
        process.kill()


@pytest.fixture
def notes() -> list[tuple[str, str]]:
    """Everything that progress told, as (event, text)."""
    lines: list[tuple[str, str]] = []
    progress.PROGRESS.listeners.append(lambda stage, event: lines.append((event, stage.awaited or stage.name)))
    return lines


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings that keep state in the test's own folder."""
    return Settings(state=tmp_path / "state", runs=tmp_path / "runs", tools=tmp_path / "tools", tools_mirror=NOWHERE)


@pytest.fixture
def manifests(kube: Kube, tmp_path: Path) -> Manifests:
    """What applies, changes and takes back; its notes outlive it."""
    return Manifests(kube, version_sets.load().pick(), UndoLog(tmp_path / "applied.json"))
