"""The run's folder: its name, `latest`, names of what is in it, and disks that take no more."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from harness.errors import BadInput
from harness.report.run_folder import RESERVE, RunFolder, plain_name, prune

NOW = datetime(2026, 11, 21, 8, 0, 5, tzinfo=UTC)


def made(runs):
    return RunFolder.create(runs, cluster="kind", set_name="istio-1.29-eg-1.7", now=NOW)


def test_the_name_says_when_where_and_what(tmp_path):
    """UTC time, cluster kind, set; `latest` points to it by a relative link."""
    folder = made(tmp_path / "runs")

    assert folder.path.name == "20261121T080005Z-kind-istio-1.29-eg-1.7"
    assert (tmp_path / "runs" / "latest").readlink().as_posix() == folder.path.name
    assert [p.name for p in (tmp_path / "runs").iterdir() if p.name.startswith(".")] == []


def test_runs_of_the_same_second_have_folders_of_their_own(tmp_path):
    """And `latest` moves on."""
    first, second = made(tmp_path), made(tmp_path)

    assert second.path.name == f"{first.path.name}-2"
    assert (tmp_path / "latest").resolve() == second.path


def test_the_previous_run_is_of_the_same_cluster_and_set(tmp_path):
    """And left results for Allure; of two in one second it is the second."""

    def run(set_name, hours, *, ended=True):
        now = NOW + timedelta(hours=hours)
        folder = RunFolder.create(tmp_path, cluster="kind", set_name=set_name, now=now)
        if ended:
            folder.allure.mkdir()
            (folder.allure / "1-result.json").write_text("{}")
        return folder

    first = run("istio-1.29-eg-1.7", 0)
    second = run("istio-1.29-eg-1.7", 0)
    run("istio-1.29-eg-1.9", 1)
    run("istio-1.29-eg-1.7", 2, ended=False)
    last = run("istio-1.29-eg-1.7", 3)

    assert first.previous() is None
    assert [one.previous().path for one in (second, last)] == [first.path, second.path]


def test_no_two_tests_share_a_folder(tmp_path):
    """Not even where their names are the same as file names; the same test keeps its own."""
    folder = made(tmp_path)
    one = folder.test("ingress", "test_a[x/y]", id="suites/ingress/test_1.py::test_a[x/y]")
    other = folder.test("ingress", "test_a[x:y]", id="suites/ingress/test_1.py::test_a[x:y]")

    assert folder.relative_path(one) == "artifacts/ingress/test_a-x-y"
    assert other != one
    assert folder.test("ingress", "test_a[x/y]", id="suites/ingress/test_1.py::test_a[x/y]") == one


def test_attachments_of_one_name_are_all_kept(tmp_path):
    """The later ones with a number before the suffix."""
    folder = made(tmp_path)
    found = [folder.add(folder.setup, "status.yaml", text).name for text in ("a", "b", "c")]

    assert found == ["status.yaml", "status-2.yaml", "status-3.yaml"]
    assert folder.add(folder.setup, "../../etc/passwd", "x").parent == folder.setup


@pytest.mark.parametrize("name", ["", "...", "/", "[]"])
def test_every_name_becomes_a_name(name):
    """None is empty, hidden or a path."""
    assert plain_name(name) == "unnamed"


def test_long_names_are_cut_and_stay_distinct():
    """A file system takes 255 bytes."""
    assert len(plain_name("a" * 300)) == 100
    assert plain_name("a" * 300) != plain_name("a" * 301)


def test_a_path_that_cannot_be_written_is_named(tmp_path):
    """A file in the way, or a full disk: BadInput with the path, and what to do."""
    blocked = tmp_path / "file"
    blocked.touch()
    with pytest.raises(BadInput, match=r"cannot write .*/file") as caught:
        made(blocked)
    assert "--runs" in caught.value.remedy

    (tmp_path / "latest").mkdir()
    with pytest.raises(BadInput, match=r"cannot write .*latest"):
        made(tmp_path)


def test_a_full_disk_is_named(tmp_path, monkeypatch):
    """As it is found before anything is made, and at the end."""
    folder = made(tmp_path)

    def full(self, text):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_text", full)
    with pytest.raises(BadInput, match=r"cannot write .*results.json: No space left on device"):
        folder.write(folder.results, "{}")
    with pytest.raises(BadInput, match="No space left on device"):
        made(tmp_path)


def test_a_verdict_is_written_though_the_disk_is_full(tmp_path, monkeypatch):
    """What was kept back at the start is freed for it, and no half line is left."""
    folder = made(tmp_path)
    folder.append_verdict("one")
    whole, tries = Path.open, []

    def full_until_freed(self, *how, **kw):
        tries.append(self.name)
        if (folder.path / RESERVE).exists():
            raise OSError(28, "No space left on device", str(self))
        return whole(self, *how, **kw)

    monkeypatch.setattr(Path, "open", full_until_freed)
    folder.append_verdict("two")

    assert tries == ["verdicts.jsonl", "verdicts.jsonl"]
    monkeypatch.undo()
    assert folder.verdicts.read_text() == "one\ntwo\n"


def test_old_runs_go_and_those_that_go_on_stay(tmp_path):
    """The newest stay, and all that is no run of ours."""
    runs = tmp_path / "runs"
    for day in range(1, 6):
        (runs / f"202611{day:02}T080000Z-kind-a").mkdir(parents=True)
    (runs / "20261101T080000Z-kind-a" / RESERVE).touch()  # killed long ago
    (runs / "20261103T080000Z-kind-a" / RESERVE).touch()  # goes on
    (runs / "mine").mkdir()
    (runs / "latest").symlink_to("20261105T080000Z-kind-a")

    prune(runs, 1, 0, datetime(2026, 11, 3, tzinfo=UTC) + timedelta(hours=9))

    assert sorted(path.name for path in runs.iterdir()) == [
        "20261103T080000Z-kind-a", "20261105T080000Z-kind-a", "latest", "mine",
    ]  # fmt: skip


@pytest.mark.parametrize(("keep", "days", "left"), [(0, 0, 4), (0, 2, 2), (3, 2, 2), (2, 9, 2), (0, 1, 1)])
def test_runs_go_by_number_and_by_age(tmp_path, keep, days, left):
    """Whichever says so; 0 keeps all, and the newest stays however old it is."""
    for day in range(1, 5):
        (tmp_path / f"runs/202611{day:02}T080000Z-kind-a").mkdir(parents=True)

    prune(tmp_path / "runs", keep, days, datetime(2026, 11, 5, 8, tzinfo=UTC))

    assert sorted(path.name[6:8] for path in (tmp_path / "runs").iterdir()) == ["01", "02", "03", "04"][-left:]
