"""Records of what was made."""

import json
import os
import stat
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings

from harness import cluster_records
from harness.cluster_records import Record
from harness.errors import BadInput
from tests.recordings.shapes import json_values


def record(name: str = "mesh-e2e", pid: int = 1, made: float = 0.0) -> Record:
    """A record of a kind cluster."""
    return Record("kind", name, pid, made, details={"image": "kindest/node:v1.34.4"})


def test_records_are_read_as_written(tmp_path: Path) -> None:
    """What was written is found again, one record a cluster."""
    cluster_records.write_record(tmp_path, record("a"))
    cluster_records.write_record(tmp_path, record("a-2", pid=7))
    cluster_records.write_record(tmp_path, record("a", pid=9))

    assert cluster_records.read_records(tmp_path) == [record("a", pid=9), record("a-2", pid=7)]


def test_no_state_is_no_records(tmp_path: Path) -> None:
    """A folder that does not exist holds nothing."""
    assert cluster_records.read_records(tmp_path / "none") == []


def test_forgotten_is_gone_and_may_be_forgotten_twice(tmp_path: Path) -> None:
    """Forgetting takes the record, and only that one."""
    cluster_records.write_record(tmp_path, record("a"))
    cluster_records.write_record(tmp_path, record("b"))

    cluster_records.delete_record(tmp_path, "kind", "a")
    cluster_records.delete_record(tmp_path, "kind", "a")

    assert [r.name for r in cluster_records.read_records(tmp_path)] == ["b"]


def test_folder_is_ours_alone(tmp_path: Path) -> None:
    """A kubeconfig lies there: nobody else may read it."""
    assert stat.S_IMODE(cluster_records.record_folder(tmp_path, "kind", "x").stat().st_mode) == 0o700


def test_folder_that_cannot_be_made(tmp_path: Path) -> None:
    """A state folder in the way of a file is bad input, with the variable to set."""
    (tmp_path / "file").touch()

    with pytest.raises(BadInput) as caught:
        cluster_records.record_folder(tmp_path / "file", "kind", "x")

    assert "E2E_STATE" in caught.value.remedy


def test_half_written_record_is_no_record(tmp_path: Path) -> None:
    """A process killed while writing leaves the record of before."""
    cluster_records.write_record(tmp_path, record("a"))
    (tmp_path / "kind-a" / "partial-record.json").write_text("{")

    assert cluster_records.read_records(tmp_path) == [record("a")]


def test_unreadable_record_is_reported_of(tmp_path: Path) -> None:
    """A damaged record still names its cluster, by its folder, and is nobody's."""
    cluster_records.write_record(tmp_path, record("mesh-e2e"))
    file = tmp_path / "kind-mesh-e2e" / "record.json"
    file.write_text("{not json")

    (found,) = cluster_records.read_records(tmp_path)

    assert (found.kind, found.name, found.details) == ("kind", "mesh-e2e", {"unreadable": str(file)})
    assert not found.is_alive


@hypothesis_settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(json_values)
def test_any_json_is_a_record_or_told_of(tmp_path: Path, value: object) -> None:
    """Whatever stands in a record file, there is one record for it, and asking whether it lives does not fail."""
    (tmp_path / "kind-x").mkdir(exist_ok=True)
    (tmp_path / "kind-x" / "record.json").write_text(json.dumps(value))

    assert [r.is_alive for r in cluster_records.read_records(tmp_path)] == [False]


def test_own_process_is_alive() -> None:
    """A record made by this process is in use."""
    assert record(pid=os.getpid(), made=time.time()).is_alive


def test_process_that_is_gone_is_not_alive() -> None:
    """A record of a process that ended is free."""
    assert not record(pid=2**22 + 1, made=time.time()).is_alive


def test_number_taken_by_another_process_is_not_alive() -> None:
    """A process that began after the record was made is another one with the same number."""
    assert not record(pid=os.getpid(), made=time.time() - 86_400 * 365).is_alive


def test_folders_of_clusters_long_gone_are_deleted(tmp_path: Path) -> None:
    """Not one that has a record, went today, or notes what is left on somebody's cluster."""
    state = tmp_path / "state"
    for name in ("kind-old", "emulated-old", "kind-recorded", "kind-new", "existing-old"):
        (state / name).mkdir(parents=True)
    (state / "kind-recorded" / "record.json").write_text("{}")
    for name in ("kind-old", "emulated-old", "kind-recorded", "existing-old"):
        os.utime(state / name, (0, 0))
    now = (state / "kind-new").stat().st_mtime

    assert cluster_records.prune(state, now) == ["emulated-old", "kind-old"]
    assert sorted(path.name for path in state.iterdir()) == ["existing-old", "kind-new", "kind-recorded"]
