"""Running: every cell once, also after a kill; what cannot be judged is an error of the cell; a folder, a matrix."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness import cli
from harness.errors import BadInput, SetupFailed
from harness.matrix import command, output
from harness.matrix.durations import read_durations
from harness.matrix.folder import Ended, Folder, Matrix, PlannedCell
from harness.matrix.merging import merge
from harness.matrix.running import Run, run_cells
from harness.wait import until
from tests.fakes.programs import alive
from tests.patience import SOON

CELLS = tuple(
    PlannedCell(name=f"istio-1.29.1+eg-{eg}+k8s-1.34.3", slug=f"istio-1.29.1-eg-{eg}-k8s-1.34.3", versions=f"v-{eg}")
    for eg in ("1.7.5", "1.8.3", "1.9.0")
)
MATRIX = Matrix(cluster="kind", tests=("suites/ingress",), suites="abc", cells=CELLS)
VERSIONS = {"istio": "1.29.1", "envoy-gateway": "1.9.0", "kubernetes": "1.34.3"}


def results(*outcomes: str, why: str = "") -> dict[str, Any]:
    """results.json as a run leaves it."""
    tests = [
        {"claim": f"claim {n}", "outcome": o, "reason": f"{o} here", "seconds": 1.0} for n, o in enumerate(outcomes)
    ]
    return {
        "schema": "mesh-e2e/results/v1", "tests": tests, "counts": {o: outcomes.count(o) for o in outcomes}, "why": why,
        "versions": VERSIONS, "started": "2026-11-27T20:00:00", "stages": [{"name": "stack", "seconds": 9.0}],
    }  # fmt: skip


class Fake:
    """A runner: what each cell's run leaves, by VERSIONS=, and how it ends."""

    def __init__(self, **ends: tuple[int, Any]) -> None:
        self.ends, self.ran, self.environments = ends, list[str](), list[dict[str, str]]()

    def __call__(self, run: Run, tests: Sequence[str], begun: Callable[[int], None]) -> int:
        name = run.env["E2E_VERSIONS"]
        self.ran.append(name)
        self.environments.append(dict(run.env))
        code, left = self.ends.get(name.replace("v-1.", "eg").replace(".", "_"), (0, results("held")))
        if isinstance(left, Exception):
            raise left
        if left is not None:
            folder = Path(run.env["E2E_RUNS"]) / f"20261127T20000{len(self.ran)}Z-kind-x"
            folder.mkdir(parents=True)
            (folder / "results.json").write_text(left if isinstance(left, str) else json.dumps(left))
        else:
            run.output.write_text("collecting\nERROR: no node image\n")
        return code


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """A matrix of three cells that has begun."""
    made = Folder(tmp_path / "matrix")
    with made.held():
        made.begin(MATRIX)
    return made


def outcomes(folder: Folder) -> dict[str, str]:
    return {name.split("+")[1]: ended.outcome for name, ended in folder.all_ended().items()}


def test_verdicts_come_from_run_folders(folder: Folder) -> None:
    """Each cell's outcome is that of its run folder; a broken or failed cell does not end the others."""
    fake = Fake(eg7_5=(1, results("held", "broken", "error")), eg8_3=(2, None))

    run_cells(folder, CELLS, runner=fake)

    assert outcomes(folder) == {"eg-1.7.5": "broken", "eg-1.8.3": "error", "eg-1.9.0": "held"}
    found = folder.all_ended()
    assert found[CELLS[0].name].why == "claim 1: broken here"
    assert found[CELLS[1].name].why == "ERROR: no node image"
    assert (folder.cell(CELLS[2].slug) / found[CELLS[2].name].run / "results.json").is_file()
    assert found[CELLS[2].name].versions == VERSIONS


def test_upgrade_is_a_cell_of_its_own_suite(tmp_path: Path) -> None:
    """It runs suites/upgrades from its versions to what is upgraded to, in a folder and a cluster of its own."""
    versions, made, ran = CELLS[0].versions, Folder(tmp_path / "matrix"), list[tuple[str, ...]]()
    upgrade = PlannedCell(name=f"{versions}>eg-1.9.0", slug="7-to-9", versions=versions, upgrade="eg-1.9.0")
    fake = Fake()

    def runner(run: Run, tests: Sequence[str], begun: Callable[[int], None]) -> int:
        ran.append(tuple(tests))
        return fake(run, tests, begun)

    with made.held():
        made.begin(MATRIX.model_copy(update={"cells": (CELLS[0], upgrade)}))
        run_cells(made, (CELLS[0], upgrade), runner=runner)

    assert ran == [("suites/ingress",), ("suites/upgrades",)]
    assert [one["E2E_UPGRADE_TO"] for one in fake.environments] == ["", "eg-1.9.0"]
    assert len({one["E2E_CLUSTER_NAME"] for one in fake.environments}) == 2
    assert [one.outcome for one in made.all_ended().values()] == ["held", "held"]


@pytest.mark.parametrize(
    ("code", "left", "outcome", "why"),
    [
        (1, results("error", "error"), "error", "claim 0: error here"),
        (1, results("inconclusive", "held"), "inconclusive", "claim 0: inconclusive here"),
        (0, results("held", "skipped"), "held", ""),
        (5, results("skipped"), "error", ""),
        (143, results("broken", why="interrupted by SIGTERM"), "error", "interrupted by SIGTERM"),
        (1, results("held"), "error", "the run ended with 1, and no claim says why"),
        (-9, None, "error", "ERROR: no node image"),
        (0, '{"schema": "mesh-e2e/resu', "error", "is not JSON: it was half written"),
        (0, {"schema": "mesh-e2e/results/v9"}, "error", "is of format v9, this mesh-e2e reads v1"),
        (1, SetupFailed("cannot write x: No space left on device"), "error", "No space left on device"),
    ],
)
def test_what_was_not_judged_is_no_verdict(folder: Folder, code: int, left: Any, outcome: str, why: str) -> None:
    """A failed set-up, an interrupted or half-written run are errors of the cell: they say nothing of its versions."""
    run_cells(folder, CELLS[2:], runner=Fake(eg9_0=(code, left)))

    found = folder.all_ended()[CELLS[2].name]
    assert found.outcome == outcome
    assert why in found.why


def test_cells_share_nothing(folder: Folder) -> None:
    """Each has a cluster name, a state and run folders of its own, at any number at a time."""
    fake = Fake()
    run_cells(folder, CELLS, abreast=3, runner=fake)

    for name in ("E2E_CLUSTER_NAME", "E2E_STATE", "E2E_RUNS", "E2E_VERSIONS"):
        assert len({env[name] for env in fake.environments}) == 3, name
    assert {env["E2E_KEEP"] for env in fake.environments} == {"never"}


def test_cells_run_at_the_same_time(folder: Folder) -> None:
    """Two at a time are two at once: each waits for the other."""
    both = threading.Barrier(2, timeout=SOON)

    class Meeting(Fake):
        def __call__(self, run: Run, tests: Sequence[str], begun: Callable[[int], None]) -> int:
            both.wait()
            return super().__call__(run, tests, begun)

    run_cells(folder, CELLS[:2], abreast=2, runner=Meeting())

    assert outcomes(folder) == {"eg-1.7.5": "held", "eg-1.8.3": "held"}


def test_ended_cells_do_not_run_again(folder: Folder) -> None:
    """A matrix goes on with what has not ended; errors are run again only if asked for; `most` bounds one sitting."""
    first, again, third = Fake(eg7_5=(2, None)), Fake(), Fake()

    run_cells(folder, CELLS, most=2, runner=first)
    run_cells(folder, CELLS, runner=again)
    run_cells(folder, CELLS, again=("error",), runner=third)

    assert (first.ran, again.ran, third.ran) == (["v-1.7.5", "v-1.8.3"], ["v-1.9.0"], ["v-1.7.5"])
    assert set(outcomes(folder).values()) == {"held"}


CELL = f"cells/{CELLS[0].slug}/cell.json"
KILLED = """
import json, pathlib, subprocess, sys, time
from tests.matrix.test_running import CELLS, Fake, MATRIX, results
from harness.matrix.folder import Folder
from harness.matrix.running import run_cells

class Stuck(Fake):
    def __call__(self, run, tests, begun):
        if len(self.ran) == 1:
            child = subprocess.Popen(["sleep", "600"], start_new_session=True)
            begun(child.pid)
            pathlib.Path(sys.argv[1], "stuck").write_text(str(child.pid))
            time.sleep(600)
        return super().__call__(run, tests, begun)

folder = Folder(pathlib.Path(sys.argv[1], "matrix"))
with folder.held():
    folder.begin(MATRIX)
    run_cells(folder, CELLS, runner=Stuck())
"""


def test_sigkill_loses_nothing_that_had_ended(tmp_path: Path) -> None:
    """After SIGKILL the ended cell stays, the lock is free, the orphaned run is ended, and the others run."""
    root = Path(__file__).parents[2]
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)], cwd=root)
    try:
        while not (tmp_path / "stuck").exists() or not (tmp_path / "stuck").read_text():
            assert process.poll() is None
            time.sleep(0.1)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    orphan = int((tmp_path / "stuck").read_text())
    assert psutil.pid_exists(orphan)

    folder, fake = Folder(tmp_path / "matrix"), Fake()
    with folder.held():
        folder.begin(MATRIX)
        run_cells(folder, CELLS, runner=fake)

    assert fake.ran == ["v-1.8.3", "v-1.9.0"]
    assert set(outcomes(folder).values()) == {"held"}
    until(lambda: alive(orphan), lambda still: not still, what="the orphaned run has ended", within=SOON, every=0.01)


def test_one_matrix_at_a_time(folder: Folder) -> None:
    """A second process in the same folder is refused, with what to do."""
    with folder.held(), pytest.raises(BadInput, match="another process runs a matrix in"), Folder(folder.path).held():
        pass


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"tests": ("suites",)}, "holds another matrix: cluster kind, tests suites/ingress"),
        ({"cells": CELLS[:2]}, "holds another matrix: 3 cells, of which 1 are not in the other one"),
        ({"suites": "other"}, "holds another matrix: other suites or manifests"),
    ],
)
def test_another_matrix_in_the_folder(folder: Folder, change: dict[str, Any], why: str) -> None:
    """It is refused, and nothing of the first one is touched."""
    before = (folder.path / "matrix.json").read_bytes()

    with pytest.raises(BadInput, match=why):
        folder.begin(MATRIX.model_copy(update=change))

    assert (folder.path / "matrix.json").read_bytes() == before


def test_folder_of_something_else(tmp_path: Path) -> None:
    """A folder with other files is not taken."""
    (tmp_path / "thesis.tex").write_text("x")

    with pytest.raises(BadInput, match=r"is not empty and holds no matrix \(thesis\.tex\)"):
        Folder(tmp_path).begin(MATRIX)


@pytest.mark.parametrize(
    ("file", "text", "why"),
    [
        ("matrix.json", "{", "is not JSON: it was half written"),
        ("matrix.json", '{"format": "mesh-e2e/matrix/v2"}', "is of format v2, this mesh-e2e reads v1"),
        ("matrix.json", '{"format": "mesh-e2e/matrix/v1"}', "cluster is missing"),
        ("matrix.json", "[]", "is not of mesh-e2e/matrix"),
        (
            CELL,
            '{"format": "mesh-e2e/cell/v1"}',
            "is not a cell's record",
        ),
        (CELL, '{"format": "mesh-e2e/cell/v7"}', "reads v1"),
    ],
)
def test_what_cannot_be_read(
    folder: Folder, file: str, text: str, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One sentence and exit code 2."""
    (folder.path / file).parent.mkdir(parents=True, exist_ok=True)
    (folder.path / file).write_text(text)

    assert cli.main(["matrix", "show", str(folder.path)]) == 2
    assert why in capsys.readouterr().err.replace("\n", " ")


def shard(path: Path, cells: Sequence[PlannedCell], **ends: Any) -> Path:
    made = Folder(path)
    with made.held():
        made.begin(MATRIX)
        run_cells(made, cells, runner=Fake(**ends))
    return path


def test_shards_are_merged(tmp_path: Path) -> None:
    """The merged folder has every cell with its run folder; a judged cell takes the place of one in error."""
    one = shard(tmp_path / "1", CELLS[:2], eg8_3=(2, None))
    two = shard(tmp_path / "2", CELLS[1:])

    merge(tmp_path / "all", [one, two])

    merged = Folder(tmp_path / "all")
    assert outcomes(merged) == {"eg-1.7.5": "held", "eg-1.8.3": "held", "eg-1.9.0": "held"}
    ended = merged.all_ended()[CELLS[0].name]
    assert (merged.cell(CELLS[0].slug) / ended.run / "results.json").is_file()


def test_shards_that_differ_are_not_merged(tmp_path: Path) -> None:
    """Of different matrices, or with two verdicts on one cell: nothing is copied."""
    one = shard(tmp_path / "1", CELLS[:1])
    two = shard(tmp_path / "2", CELLS[:1], eg7_5=(1, results("broken")))
    other = Folder(tmp_path / "3")
    other.begin(MATRIX.model_copy(update={"tests": ("suites",)}))

    with pytest.raises(BadInput, match="are of different matrices"):
        merge(tmp_path / "all", [one, other.path])
    with pytest.raises(BadInput, match=r"is held in .*1 and broken in .*2"):
        merge(tmp_path / "all", [one, two])

    assert not (tmp_path / "all/cells").exists()


def test_durations_of_matrices_come_before_those_of_runs(folder: Folder, tmp_path: Path) -> None:
    """Seconds of ended cells of the same tests, else of single runs; errors and other tests do not count."""
    cell = folder.cell(CELLS[2].slug)
    folder.end(CELLS[2].slug, Ended(CELLS[2].name, "held", 0, 300.0))
    folder.end(CELLS[1].slug, Ended(CELLS[1].name, "error", 2, 5.0))
    run = tmp_path / "runs/one"
    run.mkdir(parents=True)
    (run / "results.json").write_text(json.dumps(results("held")))
    (tmp_path / "runs/half").mkdir()

    assert cell.is_dir()
    assert read_durations([folder.path, tmp_path / "runs"], ["suites/ingress"]) == {CELLS[2].name: [300.0]}
    assert read_durations([folder.path, tmp_path / "runs"], ["suites"]) == {CELLS[2].name: [10.0]}


def test_state_names_every_cell(folder: Folder) -> None:
    """What ended, what did not, what was refused: as text and as Markdown."""
    folder.end(CELLS[0].slug, Ended(CELLS[0].name, "broken", 1, 312.0, {"held": 70, "broken": 1}, "claim x: no"))
    matrix = MATRIX.model_copy(update={"refused": (("istio-9", "is unknown"),)})
    text, table = output.state(matrix, folder.all_ended()), output.markdown(matrix, folder.all_ended())

    assert f"{CELLS[0].name}  broken   312      70 held 1 broken" in text
    assert f"{CELLS[1].name}  not run" in text
    assert "refused: istio-9: is unknown" in text
    assert f"| {CELLS[0].name} | broken | 312.0 | 70 held, 1 broken |" in table


def test_suites_of_another_tree_have_another_digest(tmp_path: Path) -> None:
    """A changed manifest is another matrix."""
    (tmp_path / "manifests").mkdir()
    (tmp_path / "manifests/a.yaml").write_text("a: 1\n")
    before = command.digest(tmp_path)
    (tmp_path / "manifests/a.yaml").write_text("a: 2\n")

    assert command.digest(tmp_path) != before


@pytest.mark.parametrize(
    ("argv", "why"),
    [
        (["run", "--shard", "5/4"], "--shard 5/4 is not the number of a shard"),
        (["run", "--abreast", "0"], "--abreast 0"),
        (["run", "--only", "eg==9.9"], "there is no cell to run"),
        (["run", "--plan", "nowhere.json"], "nowhere.json is missing"),
        (["plan", "--eg", "new"], "'new' is not a version"),
        (["plan", "--eg", "9.9"], "Envoy Gateway 9.9 is not known"),
        (["plan", "--shards", "0"], "0 shards"),
        (["plan", "--changed-since", "nowhere"], "has no results.json"),
        (["show", "nowhere"], "nowhere is not a matrix's folder"),
        (["merge", "all", "nowhere"], "nowhere is not a matrix's folder"),
    ],
)
def test_bad_input(
    argv: list[str],
    why: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """One sentence, exit code 2, nothing made."""
    monkeypatch.chdir(tmp_path)

    assert cli.main(["matrix", *argv]) == 2
    assert why in capsys.readouterr().err.replace("\n", " ")
    assert [one for one in tmp_path.rglob("*") if one.suffix == ".json"] == []
