"""`mesh-e2e support`: which runs it reads, and what it writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness import cli
from harness.errors import BadInput
from harness.report.results import SCHEMA
from harness.support_command import recent, write

TEST = "suites/limits/test_local.py::test_request_over_the_local_limit_gets_429[place=waypoint]"


def run(folder: Path, started: str = "2026-11-27T20:00:00+00:00", outcome: str = "held", **more: Any) -> Path:
    """A run's folder with one claim about one feature."""
    test = {
        "id": TEST,
        "area": "limits",
        "claim": "It limits.",
        "outcome": outcome,
    }
    test |= {"reason": "", "witnesses": [], "figures": [], "evidence": "artifacts/a", "feature": "Limit"}
    results = {"schema": SCHEMA, "cluster": {"conformance": True}, "set": "set-a", "facts": {}, "started": started}
    folder.mkdir(parents=True)
    tests = [test | {"place": "waypoint", "means": "held"}]
    (folder / "results.json").write_text(json.dumps(results | {"tests": tests} | more))
    return folder


def test_newest_run_counts_whatever_the_order(tmp_path: Path) -> None:
    """Runs are read in the order in which they were started."""
    new = run(tmp_path / "a", started="2026-11-27T21:00:00+00:00", outcome="broken")
    old = run(tmp_path / "b")

    (cell,), files = write([new, old], tmp_path / "into", "suites")

    assert cell.support == "broken"
    assert [file.name for file in files] == ["support.md", "support.json"]
    assert "[broken](../suites/limits/test_local.py)" in files[0].read_text()
    assert json.loads(files[1].read_text())["cells"][0]["support"] == "broken"


def test_evidence_is_linked_from_the_page(tmp_path: Path) -> None:
    """Links lead from the page into the runs' folders; of a run elsewhere nothing but its name is written."""
    (_, files), elsewhere = write([run(tmp_path / "runs" / "a")], tmp_path / "runs", "evidence"), tmp_path / "other"

    assert "[held](a/artifacts/a)" in files[0].read_text()
    assert str(tmp_path) not in write([run(tmp_path / "b")], elsewhere, "evidence")[1][1].read_text()


def test_runs_are_added_to_a_table(tmp_path: Path) -> None:
    """A verdict stays until a run judges the same again; without such a table nothing is written."""
    into, other = tmp_path / "into", "suites/limits/test_shared.py::test_routes_share_a_limit[place=waypoint]"
    write([run(tmp_path / "a")], into, "suites")
    more = json.loads((run(tmp_path / "b", outcome="broken") / "results.json").read_text())
    more["tests"].append(more["tests"][0] | {"id": other, "feature": "Shared", "outcome": "inconclusive"})
    (tmp_path / "b" / "results.json").write_text(json.dumps(more))

    found, _ = write([tmp_path / "b"], into, "suites", add=True)
    again, _ = write([run(tmp_path / "c", outcome="inconclusive")], into, "suites", add=True)

    assert [(cell.feature, cell.support) for cell in found] == [("Limit", "broken"), ("Shared", "not judged")]
    assert again == found
    with pytest.raises(BadInput, match="is not a table to add to"):
        write([run(tmp_path / "d")], tmp_path / "empty", "suites", add=True)
    assert not (tmp_path / "empty").exists()


def test_command_reads_all_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """Without names every run that ended counts, each once: `latest` is a link to one of them."""
    monkeypatch.setenv("E2E_RUNS", str(tmp_path))
    (tmp_path / "latest").symlink_to(run(tmp_path / "a"))
    (tmp_path / "killed").mkdir()

    assert cli.main(["support"]) == 0
    assert "1 cells: 1 held" in capsys.readouterr().out
    assert [folder.name for folder in recent(tmp_path)] == ["a"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "has no results.json"),
        ("{", "is not JSON"),
        ('{"schema": "other/v1"}', "is not of mesh-e2e/results"),
        ("[]", "is not of mesh-e2e/results"),
    ],
)
def test_what_is_no_run_is_named(tmp_path: Path, content: str | None, message: str) -> None:
    """A folder without results, or with those of something else."""
    (tmp_path / "a").mkdir()
    if content is not None:
        (tmp_path / "a" / "results.json").write_text(content)

    with pytest.raises(BadInput, match=message):
        write([tmp_path / "a"], tmp_path, "evidence")


def test_no_cell_is_no_table(tmp_path: Path) -> None:
    """Runs without a claim about a feature make no empty page, and neither does a folder without runs."""
    with pytest.raises(BadInput, match="none of 1 runs has a claim about a feature"):
        write([run(tmp_path / "a", tests=[])], tmp_path / "into", "evidence")
    assert not (tmp_path / "into").exists()
    with pytest.raises(BadInput, match="has no finished run"):
        recent(tmp_path / "into")


def test_removed_test_has_no_cell(tmp_path: Path) -> None:
    """A claim of an old run that the suites no longer make says nothing of a feature."""
    for name in ("suites/limits/test_local.py::test_gone", "suites/limits/test_gone.py::test_a"):
        old = run(tmp_path / name.replace("/", "-"))
        results = json.loads((old / "results.json").read_text())
        results["tests"][0]["id"] = name
        (old / "results.json").write_text(json.dumps(results))
        with pytest.raises(BadInput, match="none of 1 runs has a claim about a feature"):
            write([old], tmp_path / "into", "suites")
