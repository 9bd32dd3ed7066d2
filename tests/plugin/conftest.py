"""A small suite with fake fixtures, run by a pytest inside pytest: no cluster, no network."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import harness.plugin
from harness import observations, progress
from harness.plugin.options import UsageError

FIXTURES = """
import pathlib
import pytest
from harness import observations, progress
from harness.errors import BadInput, CommandFailed, NotReady, SetupFailed, Terminal, Inconclusive
from harness.plugin.artifacts import GATHERER
from harness.plugin.run import FAILED, RUN

def order(line):
    with pathlib.Path("order.txt").open("a") as file:
        file.write(line + "\\n")

@pytest.fixture(scope="session")
def cluster(pytestconfig):
    def gather(into, why):
        order(f"gathered {into.relative_to(pytestconfig.stash[RUN].folder.path)}: {why}")
        (into / "state.txt").write_text("state")
    pytestconfig.stash[GATHERER] = gather
    with progress.stage("cluster"):
        observations.record_seconds("cluster up", 2.0)
    observations.record_sighting("setup", "nodes ready")
    pytestconfig.stash[RUN].facts.update({"istio": "1.29.99", "runner": "two cores"})
    yield "cluster"
    order(f"cluster undone, failed={pytestconfig.stash[FAILED]}")

@pytest.fixture
def policy(cluster):
    yield
    order("policy undone")
"""

OPTIONS = (
    "--import-mode=importlib",
    # A pytest inside pytest imports these again, 1 s each for the first.
    *("-p", "no:hypothesispytest", "-p", "no:anyio", "-p", "no:valkey"),
)


@dataclass
class Mini:
    """The small suite: `write` its files, `run` it, read what it left."""

    pytester: pytest.Pytester

    @property
    def root(self) -> Path:
        return self.pytester.path

    def write(self, **files: str) -> Mini:
        """Test files by name: `ingress__limit="..."` is suites/ingress/test_limit.py."""
        for name, text in files.items():
            area, _, stem = name.rpartition("__")
            path = self.root / "suites" / area / f"test_{stem}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("import pytest\nfrom harness import observations\nfrom harness.errors import *\n" + text)
        return self

    def run(self, *args: str, cluster: str = "emulated") -> pytest.RunResult:
        return self.pytester.runpytest_inprocess(*OPTIONS, "--e2e-cluster", cluster, *(args or ("suites",)))

    def refused(self, *args: str, cluster: str = "emulated") -> UsageError:
        """How pytest ends while it configures itself; pytester cannot run that in this process."""
        with pytest.raises(UsageError) as caught:
            self.pytester.parseconfigure(*OPTIONS, "--e2e-cluster", cluster, "suites", *args)
        return caught.value

    @property
    def folder(self) -> Path:
        return self.root / "runs" / "latest"

    @property
    def results(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "results.json").read_text())
        return found

    @property
    def outcomes(self) -> dict[str, str]:
        return {test["id"].partition("::")[2]: test["outcome"] for test in self.results["tests"]}

    @property
    def order(self) -> list[str]:
        file = self.root / "order.txt"
        return file.read_text().splitlines() if file.exists() else []


@pytest.fixture
def mini(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Mini:
    for name in ("GITHUB_STEP_SUMMARY", "GITHUB_RUN_ID", "E2E_CLUSTER", "E2E_RUNS", "E2E_KEEP", "PYTEST_ADDOPTS"):
        monkeypatch.delenv(name, raising=False)
    # The real fixtures bring the Kubernetes client along, which a pytest inside pytest would import again each time.
    stub = ModuleType("mini_fixtures")
    exec("import pytest\n@pytest.fixture(scope='session')\ndef kind_cluster():\n    return 'ours'\n", stub.__dict__)
    monkeypatch.setitem(sys.modules, stub.__name__, stub)
    monkeypatch.setattr(harness.plugin, "FIXTURES", stub.__name__)
    monkeypatch.setattr(observations, "_book", {"": observations.Ledger()})
    monkeypatch.setattr(progress.PROGRESS, "stages", [])
    monkeypatch.setattr(progress.PROGRESS, "listeners", [])
    suites = pytester.path / "suites"
    suites.mkdir()
    (suites / "conftest.py").write_text(FIXTURES)
    return Mini(pytester)


@pytest.fixture(autouse=True)
def not_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    """pytest explains itself at greater length where a CI system runs it: here it reads the same everywhere."""
    for variable in ("CI", "BUILD_NUMBER"):
        monkeypatch.delenv(variable, raising=False)
