"""`make clean`: everything with a record and without a process goes; nothing else does."""

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from harness import cluster_records, reaper, version_sets
from harness.cluster.choose import choose_cluster
from harness.cluster_records import Record
from harness.settings import Settings
from tests.fakes.api import FakeApi
from tests.fakes.programs import Programs

ROW = version_sets.load().pick()
GONE = 2**22 + 1


@pytest.fixture(autouse=True)
def tools(programs: Programs) -> Programs:
    """kind with three clusters."""
    programs.have("kind", "docker", "kubectl")
    programs.clusters = ["left", "used", "somebodys"]
    return programs


def outcomes(settings: Settings) -> dict[str, str]:
    """What became of each record."""
    return {one.record.name: one.outcome for one in reaper.delete_left_clusters(settings)}


def test_only_what_is_left_goes(settings: Settings, tools: Programs) -> None:
    """The cluster of a run that is over goes, killed or kept; one in use stays, and so does everybody else's."""
    cluster_records.write_record(settings.state, Record("kind", "left", GONE, time.time()))
    cluster_records.write_record(settings.state, Record("kind", "used", os.getpid(), time.time()))

    assert outcomes(settings) == {"left": "gone", "used": f"in use by process {os.getpid()}: left alone"}
    assert tools.clusters == ["used", "somebodys"]
    assert [r.name for r in cluster_records.read_records(settings.state)] == ["used"]


def test_nothing_is_left(settings: Settings, tools: Programs) -> None:
    """Without records nothing is touched."""
    assert outcomes(settings) == {}
    assert tools.calls() == []


def test_one_failure_does_not_keep_the_others(settings: Settings, tools: Programs) -> None:
    """What cannot be taken away is reported, and stays recorded; the others go."""
    for name in ("left", "used"):
        cluster_records.write_record(settings.state, Record("kind", name, GONE, time.time()))
    tools.answer("kind", "delete", "left", code=1, err="docker: permission denied")

    seen = outcomes(settings)

    assert seen["used"] == "gone"
    assert seen["left"].startswith("not taken away: ")
    assert "permission denied" in seen["left"]
    assert [r.name for r in cluster_records.read_records(settings.state)] == ["left"]


def test_unreadable_notes_do_not_keep_the_others(
    settings: Settings, tools: Programs, api: FakeApi, tmp_path: Path
) -> None:
    """Notes of another run that cannot be read are reported of, with what to do; the other records are gone through."""
    where = {"kubeconfig": str(api.kubeconfig(tmp_path / "theirs")), "context": "fake"}
    mine = settings.model_copy(update={"cluster": "existing"} | where | {"kubeconfig": Path(where["kubeconfig"])})
    cluster = choose_cluster(mine, ROW)
    cluster.create()
    (record,) = cluster_records.read_records(settings.state)
    cluster_records.write_record(settings.state, replace(record, pid=GONE))
    (cluster.home / "made.json").write_text('{"objects": [["Ser')
    cluster_records.write_record(settings.state, Record("kind", "left", GONE, time.time()))

    seen = outcomes(settings)

    assert seen.pop("left") == "gone"
    (outcome,) = seen.values()
    assert outcome.startswith(
        f"not taken away: {cluster.home / 'made.json'}, the record of the objects that runs created"
    )


def test_missing_tool_is_reported(settings: Settings, tools: Programs) -> None:
    """Without kind its clusters cannot be deleted: that is reported, not raised."""
    tools.lose("kind")
    cluster_records.write_record(settings.state, Record("kind", "left", GONE, time.time()))

    assert outcomes(settings)["left"].startswith("not taken away: kind ")


def test_unreadable_record_is_reaped_by_its_folder(settings: Settings, tools: Programs) -> None:
    """A damaged record is of a cluster of ours still."""
    cluster_records.write_record(settings.state, Record("kind", "left", os.getpid(), time.time()))
    (settings.state / "kind-left" / "record.json").write_text("{")

    assert outcomes(settings) == {"left": "gone"}
    assert "left" not in tools.clusters


@pytest.mark.parametrize("folder", ["minikube-x", "x", "existing-prod"])
def test_record_of_an_unknown_kind_is_reported(settings: Settings, folder: str) -> None:
    """A record that is of no cluster we know is reported of; it ends nothing."""
    path: Path = settings.state / folder
    path.mkdir(parents=True)
    (path / "record.json").write_text("{")
    cluster_records.write_record(settings.state, Record("kind", "left", GONE, time.time()))

    seen = outcomes(settings)

    assert seen.pop("left") == "gone"
    assert [outcome[:14] for outcome in seen.values()] == ["not taken away"]
