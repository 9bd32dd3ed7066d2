"""What a run made in somebody else's cluster, and nothing else, is taken away again."""

import json
from pathlib import Path
from typing import Any

import pytest

from harness.errors import BadInput, CommandFailed
from harness.kube import Kube, RequestRejected
from harness.objects.kind_namespace_name import ref_of
from harness.undo.undo_log import UndoLog
from tests.fakes.api import FakeApi

NAMESPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "redis-system"}}
SERVICE = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "redis", "namespace": "redis-system"}}
ENROLLED = {
    "apiVersion": "v1",
    "kind": "Namespace",
    "metadata": {"name": "default", "labels": {"istio.io/dataplane-mode": "ambient", "team": "theirs"}},
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "made.json"


def theirs(**labels: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default", "labels": labels}}


def test_what_was_there_stays(kube: Kube, api: FakeApi, file: Path) -> None:
    """An object that was there before is not ours, though we apply to it."""
    api.put(SERVICE)

    UndoLog(file).remember(kube, [NAMESPACE, SERVICE])
    api.put(NAMESPACE)
    UndoLog(file).undo(kube)

    assert kube.find("Service/redis-system/redis") is not None
    assert kube.find("Namespace/redis-system") is None


def test_objects_go_before_releases_and_namespaces_after(kube: Kube, api: FakeApi, file: Path) -> None:
    """Applications first, then what `between` uninstalls, then namespaces."""
    UndoLog(file).remember(kube, [NAMESPACE, SERVICE])
    api.put(NAMESPACE, SERVICE)
    seen: list[tuple[bool, bool]] = []

    UndoLog(file).undo(
        kube,
        between=lambda: seen.append(
            (kube.find("Service/redis-system/redis") is None, kube.find("Namespace/redis-system") is None)
        ),
    )

    assert seen == [(True, False)]
    assert kube.find("Namespace/redis-system") is None


def test_only_new_labels_are_taken_off(kube: Kube, api: FakeApi, file: Path) -> None:
    """Of an object that was there, the labels it had stay; those we put on go."""
    api.put(theirs(team="theirs"))

    UndoLog(file).remember(kube, [ENROLLED])
    api.put(ENROLLED)
    UndoLog(file).undo(kube)

    assert kube.get("Namespace/default")["metadata"]["labels"] == {"team": "theirs"}


def test_changed_label_is_again_what_it_was(kube: Kube, api: FakeApi, file: Path) -> None:
    """A label that had another value has it again, though a second run found ours there."""
    api.put(theirs(team="others"))
    for _ in range(2):
        UndoLog(file).remember(kube, [theirs(team="ours")])
        api.put(theirs(team="ours"))

    UndoLog(file).undo(kube)

    assert kube.get("Namespace/default")["metadata"]["labels"] == {"team": "others"}


def test_a_second_run_adds_to_the_first(kube: Kube, api: FakeApi, file: Path) -> None:
    """What a killed run made is still ours in the next, which finds it there."""
    UndoLog(file).remember(kube, [SERVICE])
    api.put(SERVICE)
    UndoLog(file).remember(kube, [SERVICE, NAMESPACE])
    api.put(NAMESPACE)

    UndoLog(file).undo(kube)

    assert kube.find("Service/redis-system/redis") is None
    assert not file.exists()


def test_nothing_made_is_nothing_taken(kube: Kube, api: FakeApi, file: Path) -> None:
    """Without notes nothing is deleted."""
    api.put(SERVICE)

    UndoLog(file).undo(kube)

    assert api.asked("DELETE") == []


def test_part_is_undone_and_the_rest_stays_noted(kube: Kube, api: FakeApi, file: Path) -> None:
    """What one block made goes with it; what another made is still known."""
    made = UndoLog(file)
    one = made.remember(kube, [SERVICE])
    made.remember(kube, [NAMESPACE])
    api.put(SERVICE, NAMESPACE)

    made.undo(kube, one)

    assert set(api.objects) == {"Namespace/redis-system"}
    assert ref_of(NAMESPACE) in UndoLog(file)
    assert ref_of(SERVICE) not in UndoLog(file)


def test_changes_are_taken_back_last_first(kube: Kube, api: FakeApi, file: Path) -> None:
    """Each to what it was before it; what is gone meanwhile is let go."""
    api.put(theirs(team="theirs"), SERVICE)
    for team in ("ours", "others"):
        UndoLog(file).patch(kube, ref_of(ENROLLED), {"metadata": {"labels": {"team": team}}})
    UndoLog(file).patch(kube, ref_of(SERVICE), {"spec": {"a": 1}})
    del api.objects["Service/redis-system/redis"]

    UndoLog(file).undo(kube)

    assert api.objects == {"Namespace/default": theirs(team="theirs")}


def test_change_is_noted_before_it_is_made(kube: Kube, api: FakeApi, file: Path) -> None:
    """A process killed in between has changed nothing that is not noted."""
    api.put(SERVICE)
    api.refuse("PATCH", "services/redis", 403, "forbidden")

    with pytest.raises(RequestRejected):
        UndoLog(file).patch(kube, ref_of(SERVICE), {"spec": {"a": 1}})

    assert json.loads(file.read_text())["changes"] == [["Service", "redis", "redis-system", "v1", {"spec": None}]]


@pytest.mark.parametrize("refused", ["services/redis", "namespaces/elsewhere", "a release"])
def test_one_that_stays_keeps_no_other(kube: Kube, api: FakeApi, file: Path, refused: str) -> None:
    """Whatever cannot be taken back, all else is; the notes stay for another try."""
    api.put(theirs(team="theirs"))
    elsewhere = NAMESPACE | {"metadata": {"name": "elsewhere"}}
    UndoLog(file).remember(kube, [elsewhere, SERVICE, ENROLLED])
    api.put(elsewhere, SERVICE, ENROLLED)
    api.refuse("DELETE", refused, 403, "forbidden")

    def between() -> None:
        if refused == "a release":
            raise CommandFailed(["helm", "uninstall"], 1, "no")

    with pytest.raises((RequestRejected, CommandFailed)):
        UndoLog(file).undo(kube, between=between)

    left = {"services/redis": {"Service/redis-system/redis"}, "namespaces/elsewhere": {"Namespace/elsewhere"}}
    assert set(api.objects) == {"Namespace/default"} | left.get(refused, set())
    assert api.objects["Namespace/default"]["metadata"]["labels"] == {"team": "theirs"}
    assert ref_of(SERVICE) in UndoLog(file)


def test_notes_of_an_older_run_are_read(kube: Kube, api: FakeApi, file: Path) -> None:
    """A kept cluster's notes had no value of a label: it had none."""
    words = ["Namespace", "default", "", "v1"]
    file.write_text(json.dumps({"objects": [["Service", "redis", "redis-system", "v1"]], "labels": [[*words, "mode"]]}))
    api.put(theirs(mode="ambient", team="theirs"), SERVICE)

    UndoLog(file).undo(kube)

    assert set(api.objects) == {"Namespace/default"}
    assert api.objects["Namespace/default"]["metadata"]["labels"] == {"team": "theirs"}


@pytest.mark.parametrize(
    "text", ["", '{"objects": [["Servi', "[]", '{"objects": [1]}', '{"labels": [[]]}', '{"changes": [["a", "b", 1]]}']
)
def test_notes_that_cannot_be_read(file: Path, text: str) -> None:
    """Nobody knows then what is ours: said with the file and what to do."""
    file.write_text(text)

    with pytest.raises(
        BadInput, match=r"made\.json, the record of the objects that runs created .* cannot be read"
    ) as caught:
        UndoLog(file)

    assert "delete that file" in caught.value.remedy


def test_notes_are_written_whole(kube: Kube, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process killed while writing leaves the notes of before."""
    UndoLog(file).remember(kube, [SERVICE])
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))

    with pytest.raises(KeyboardInterrupt):
        UndoLog(file).remember(kube, [NAMESPACE])

    assert ref_of(SERVICE) in UndoLog(file)
    assert ref_of(NAMESPACE) not in UndoLog(file)
