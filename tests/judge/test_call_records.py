"""What is recorded is replayed: the same answers in the same order, and nothing else."""

from __future__ import annotations

import json
import threading
from contextlib import suppress
from dataclasses import replace
from errno import ENOSPC
from io import FileIO
from pathlib import Path

import pytest

from harness import cluster_call_records, record_replay
from harness.cluster_call_records import Recorder, Records
from harness.errors import NotRecorded, SetupFailed
from harness.http_exchange import Request
from harness.kube import ObjectMissing
from harness.record_replay import recorded
from harness.report.redact import redact
from harness.wait import until

FIRST = {"schema": cluster_call_records.SCHEMA, "settings": {}}


class World:
    """Something behind the boundary: each question has another answer."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    @recorded("read")
    def read(self, name: str) -> str:
        self.asked.append(name)
        return f"line of {name}\npassword: hunter2\ncount {len(self.asked)}"

    @recorded("get")
    def get(self, name: str) -> dict[str, str]:
        raise ObjectMissing(f"{name} does not exist", remedy="make it")

    @recorded("ask")
    def outer(self, name: str) -> list[str]:
        return [self.read(name)]


@pytest.fixture
def world() -> World:
    return World()


def record(folder: Path) -> Recorder:
    recorder = Recorder((folder / cluster_call_records.FILE).open("wb", buffering=0), redact, pytest.fail)
    recorder.head(FIRST)
    return recorder


class SmallDisk(FileIO):
    """A file on a disk that has room for `room` bytes: writes what fits, then fails, as an unbuffered file does."""

    room = 600

    def write(self, line: bytes) -> int:  # type: ignore[override]  # the tests write bytes only
        if self.room <= 0:
            raise OSError(ENOSPC, "No space left on device")
        written = super().write(line[: self.room])
        self.room -= written
        return written


def test_a_full_disk_ends_the_records_and_not_the_run(tmp_path: Path, world: World) -> None:
    """The calls still answer; the file ends with a whole line; the reason is noted once; the rest has no record."""
    notes: list[str] = []
    recorder = Recorder(SmallDisk(str(tmp_path / cluster_call_records.FILE), "w"), redact, notes.append)
    recorder.head(FIRST)
    with record_replay.use_tape(recorder), recorder.scope("test a"):
        answers = [world.read(f"x{number}") for number in range(9)]

    assert len(set(answers)) == 9
    assert len(notes) == 1
    assert "cannot write records.jsonl: No space left on device" in notes[0]
    replay = Records(tmp_path)
    with record_replay.use_tape(replay), replay.scope("test a"):
        assert world.read("x0") == answers[0].replace("hunter2", "[redacted]")
    with pytest.raises(NotRecorded), record_replay.use_tape(replay), replay.scope("test a"):
        world.read("x8")


def test_changes_of_the_cluster_are_recorded_in_full_and_without_secrets(tmp_path: Path) -> None:
    """A script can make them again; what else is asked is recorded in short."""
    recorder, long = record(tmp_path), "x" * 300
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"key": "aHVudGVyMg=="}}
    with record_replay.use_tape(recorder), recorder.scope("test a"):
        for name in ("apply", "get"):
            record_replay.recorded(name)(lambda documents: None)([{"kind": long}, secret])  # as Kube has it

    lines = [json.loads(line) for line in (tmp_path / cluster_call_records.FILE).read_text().splitlines()]
    (applied,) = [line for line in lines if line.get("call") == "apply"]
    (got,) = [line for line in lines if line.get("call") == "get"]
    assert applied["full"]["documents"][0] == {"kind": long}
    assert "aHVudGVyMg==" not in json.dumps(applied)
    assert "full" not in got


def test_answers_come_back_by_scope_function_and_arguments(tmp_path: Path, world: World) -> None:
    """In the order of each; an error as it was; secrets are gone; nothing is asked again."""
    recorder = record(tmp_path)
    with record_replay.use_tape(recorder), recorder.scope("test a"):
        first, second, other = world.read("x"), world.read("x"), world.read("y")
        with pytest.raises(ObjectMissing):
            world.get("z")
        world.outer("x")
    asked = list(world.asked)

    replay = Records(tmp_path)
    with record_replay.use_tape(replay), replay.scope("test a"):
        gone = [text.replace("hunter2", "<redacted>") for text in (first, second, other)]
        found = [world.read("x"), world.read("x"), world.read("y")]
        with pytest.raises(ObjectMissing, match="z does not exist\n  remedy: make it"):
            world.get("z")
    assert [text.splitlines()[::2] for text in found] == [text.splitlines()[::2] for text in gone]
    assert "hunter2" not in (tmp_path / cluster_call_records.FILE).read_text()
    assert world.asked == asked


def test_what_has_no_record_is_reported_even_if_it_was_caught(tmp_path: Path, world: World) -> None:
    """Another argument, one call more, another scope: each is NotRecorded, at the latest at the end of the scope."""
    recorder = record(tmp_path)
    with record_replay.use_tape(recorder), recorder.scope("test a"):
        world.read("x")

    replay = Records(tmp_path)
    with record_replay.use_tape(replay):
        with (
            pytest.raises(NotRecorded, match="no record of: read y"),
            replay.scope("test a"),
            suppress(NotRecorded),
        ):
            world.read("y")
        with replay.scope("test a"):
            world.read("x")
        with pytest.raises(NotRecorded, match="no record of: read x"), replay.scope("test a"):
            world.read("x")
        with pytest.raises(NotRecorded), replay.scope("test b"):
            world.read("x")
    assert world.asked == ["x"]


def test_a_scope_is_found_under_its_former_name(tmp_path: Path, world: World) -> None:
    """Only where the run has nothing under the present one."""
    recorder = record(tmp_path)
    with record_replay.use_tape(recorder):
        for name in ("fixture new", "fixture old", "fixture older"):
            with recorder.scope(name):
                world.read(name)

    replay = Records(tmp_path)
    with record_replay.use_tape(replay):
        with replay.scope("fixture newest", former="fixture old"):
            world.read("fixture old")
        with replay.scope("fixture new", former="fixture older"):
            world.read("fixture new")
        with pytest.raises(NotRecorded), replay.scope("fixture new", former="fixture older"):
            world.read("fixture older")


def test_a_field_that_was_added_counts_once_it_is_set() -> None:
    """Keys of older records, which lack the field, stay those of the same request; another method is another key."""
    plain = Request("/x", {"a": "b"})
    stored = {"request": {"url": "/x", "headers": {"a": "b"}, "host": None}, "times": 1}

    assert record_replay.key({"request": plain, "times": 1}) == record_replay.key(stored)
    assert record_replay.key({"request": replace(plain, method="POST"), "times": 1}) != record_replay.key(stored)


def test_waits_end_after_as_many_looks_as_they_had(tmp_path: Path, world: World) -> None:
    """A wait that ran out runs out again, without time passing."""

    def wait(within: float) -> None:
        until(lambda: world.read("x"), lambda text: "never" in text, what="never", within=within, every=0.01)

    recorder = record(tmp_path)
    with record_replay.use_tape(recorder), recorder.scope("test a"), pytest.raises(SetupFailed):
        wait(0.05)
    looks = len(world.asked)

    replay = Records(tmp_path)
    with (
        record_replay.use_tape(replay),
        replay.scope("test a"),
        pytest.raises(SetupFailed, match=rf"\({looks} tries\)"),
    ):
        wait(3600)


def test_threads_are_not_recorded(tmp_path: Path, world: World) -> None:
    """A scope that asked from a thread of its own is not judged again, and the run says why."""
    recorder = record(tmp_path)
    with record_replay.use_tape(recorder), recorder.scope("test a"):
        thread = threading.Thread(target=lambda: world.read("x"))
        thread.start()
        thread.join()

    replay = Records(tmp_path)
    with pytest.raises(NotRecorded, match="not recorded: read in a thread"), replay.scope("test a"):
        pass


def test_answers_are_bounded(tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is too long is not kept, nor any once the file is full; each then is missing, with the reason."""
    monkeypatch.setattr(cluster_call_records, "LIMIT", 10)
    recorder = record(tmp_path)
    with record_replay.use_tape(recorder), recorder.scope("test a"):
        world.read("x")
        monkeypatch.setattr(cluster_call_records, "TOTAL", 10)
        world.read("y")

    replay = Records(tmp_path)
    with record_replay.use_tape(replay):
        for name, why in (("x", "characters"), ("y", "records are full")):
            with pytest.raises(NotRecorded, match=why), replay.scope("test a"):
                world.read(name)


def test_texts_are_kept_as_what_changed(tmp_path: Path, world: World) -> None:
    """Each line is written once. One that is taken out is gone from every text; a text has no record if the call is
    gone that wrote its lines first."""
    recorder = record(tmp_path)
    with record_replay.use_tape(recorder), recorder.scope("test a"):
        world.read("x")
        world.read("x")
    first, whole, changed = (tmp_path / cluster_call_records.FILE).read_text().splitlines()
    assert list(json.loads(changed)["text"]["lines"].values()) == ["count 2"]

    call = json.loads(whole)
    call["text"]["lines"] = {n: one for n, one in call["text"]["lines"].items() if one != "line of x"}
    (tmp_path / cluster_call_records.FILE).write_text(f"{first}\n{json.dumps(call)}\n{changed}\n")
    replay = Records(tmp_path)
    with record_replay.use_tape(replay), replay.scope("test a"):
        assert ["line" in world.read("x"), "line" in world.read("x")] == [False, False]

    (tmp_path / cluster_call_records.FILE).write_text(f"{first}\n{changed}\n")
    replay = Records(tmp_path)
    with record_replay.use_tape(replay), pytest.raises(NotRecorded, match="is not in the file"), replay.scope("test a"):
        world.read("x")
