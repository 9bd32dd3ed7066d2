"""Manifests for a while: what we made goes, what was there stays."""

import base64
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from harness import observations, record_replay, version_sets
from harness.clients.certificates import COMMON_NAME, HOSTS, Authority
from harness.errors import BadInput, NotAllowed
from harness.kube import ApiUnavailable, Kube, ObjectMissing, RequestRejected
from harness.objects.kind_namespace_name import parse_ref
from harness.report.redact import redact
from harness.undo import temporary_changes as module
from harness.undo.temporary_changes import Manifests, undo_leftovers
from harness.undo.undo_log import UndoLog
from tests.fakes.api import FakeApi, named

ROW = version_sets.load().pick()
ONE, TWO, THREE = (named(f"Service/default/{name}", spec={"ports": []}) for name in ("one", "two", "three"))


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Writes manifests of one's own."""
    monkeypatch.setattr(module, "MANIFESTS", tmp_path)

    def manifest(name: str, *documents: Any) -> None:
        (tmp_path / name).write_text(yaml.safe_dump_all(documents))

    return manifest


@pytest.fixture
def notes_file(tmp_path: Path) -> Path:
    return tmp_path / "applied.json"


def test_repositorys_manifests_are_read_pinned(kube: Kube, notes_file: Path) -> None:
    """A name is a path below manifests/, and images are the set's."""
    row = ROW.model_copy(update={"curl": "9.9.9"})

    documents = Manifests(kube, row, UndoLog(notes_file)).read("base/mesh_client.yaml")

    assert "docker.io/curlimages/curl:9.9.9" in str(documents)


def test_secret_is_completed_and_kept_out_of_sight(manifests: Manifests, api: FakeApi, write: Any) -> None:
    """A Secret with our annotations is applied with its certificate, and redacted it has no key any more."""
    metadata = {"name": "s", "namespace": "default", "annotations": {COMMON_NAME: "first", HOSTS: "a.example"}}
    write(
        "a.yaml", {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {"tls.crt": "", "tls.key": ""}}
    )
    authority = Authority()
    manifests.complete = authority.complete
    observations.open_page("completed")

    with manifests.while_applied("a.yaml"):
        data = api.objects["Secret/default/s"]["data"]

    assert base64.b64decode(data["tls.key"]).decode() == authority.issue("first", "a.example").key
    (attached,) = observations.page("completed").attachments
    assert data["tls.key"] in attached.text
    assert data["tls.key"] not in redact(attached.text)


def test_planted_change_is_compared_with_completed_documents(manifests: Manifests, write: Any) -> None:
    """Under a planted fault the harness wants what it would have applied without it, made certificates included."""
    marks = {COMMON_NAME: "one", HOSTS: "one.example"}
    trusted = named("ConfigMap/default/authority", metadata={"annotations": marks}, data={"ca.crt": ""})
    write("one.yaml", trusted, ONE)
    manifests.complete = Authority().complete
    manifests.alter.append(lambda _, documents: [document | {"spec": {"ports": [1]}} for document in documents])

    with manifests.while_applied("one.yaml"):
        wanted = manifests.kube.wanted.documents

    assert "BEGIN CERTIFICATE" in wanted["ConfigMap/default/authority"]["data"]["ca.crt"]
    assert wanted["Service/default/one"]["spec"] == {"ports": []}


def test_made_is_taken_away(manifests: Manifests, api: FakeApi, write: Any) -> None:
    """Within the block it is there, after it it is gone."""
    write("a.yaml", ONE, TWO)

    with manifests.while_applied("a.yaml"):
        assert set(api.objects) == {"Service/default/one", "Service/default/two"}

    assert api.objects == {}


def test_what_was_there_stays(manifests: Manifests, api: FakeApi, write: Any) -> None:
    """An object that somebody made before is not deleted."""
    api.put(ONE)
    write("a.yaml", ONE, TWO)

    with manifests.while_applied("a.yaml"):
        assert set(api.objects) == {"Service/default/one", "Service/default/two"}

    assert set(api.objects) == {"Service/default/one"}


def test_what_a_killed_run_left_goes(
    manifests: Manifests, kube: Kube, api: FakeApi, write: Any, notes_file: Path, notes: list[tuple[str, str]]
) -> None:
    """The next run takes it away before it begins; what was there before either of them stays, labels and all."""
    theirs = named("Service/default/one", metadata={"labels": {"team": "theirs"}})
    api.put(theirs)
    write("a.yaml", ONE | {"metadata": ONE["metadata"] | {"labels": {"mode": "ours"}}}, TWO)
    killed = manifests.while_applied("a.yaml")
    killed.__enter__()
    assert set(api.objects) == {"Service/default/one", "Service/default/two"}

    undo_leftovers(kube, UndoLog(notes_file))
    after = Manifests(kube, ROW, UndoLog(notes_file))

    assert set(api.objects) == {"Service/default/one"}
    assert api.objects["Service/default/one"]["metadata"]["labels"] == {"team": "theirs"}
    assert ("note", "taken back, left by a killed run: Service/default/two, Service/default/one") in notes
    with after.while_applied("a.yaml"):
        pass
    assert not notes_file.exists()
    assert set(api.objects) == {"Service/default/one"}


def test_nothing_left_is_nothing_done(kube: Kube, api: FakeApi, notes: list[tuple[str, str]], notes_file: Path) -> None:
    """After a run that ended as it should nothing is asked and nothing said."""
    undo_leftovers(kube, UndoLog(notes_file))

    assert (api.requests, notes) == ([], [])


def test_manifest_applied_twice_at_once(manifests: Manifests, api: FakeApi, write: Any) -> None:
    """Who applied it first takes it away; the inner block leaves it."""
    write("a.yaml", ONE, TWO)
    write("b.yaml", ONE, THREE)

    with manifests.while_applied("a.yaml"):
        with manifests.while_applied("b.yaml"):
            assert len(api.objects) == 3
        assert set(api.objects) == {"Service/default/one", "Service/default/two"}

    assert api.objects == {}


@pytest.mark.parametrize("before", [{}, {"mode": "theirs"}])
@pytest.mark.parametrize("killed", [False, True])
def test_change_is_taken_back(
    manifests: Manifests, kube: Kube, api: FakeApi, notes_file: Path, before: dict[str, str], killed: bool
) -> None:
    """For the block an object is as asked for, then again as it was; also after a run that was killed."""
    api.put(named("Service/default/one", metadata={"labels": {"team": "theirs"} | before}))
    block = manifests.while_patched("Service/default/one", {"metadata": {"labels": {"mode": "ours"}}})

    block.__enter__()
    assert api.objects["Service/default/one"]["metadata"]["labels"] == {"team": "theirs", "mode": "ours"}
    if killed:
        undo_leftovers(kube, UndoLog(notes_file))
    else:
        block.__exit__(None, None, None)

    assert api.objects["Service/default/one"]["metadata"]["labels"] == {"team": "theirs"} | before


def test_change_of_nothing(manifests: Manifests, api: FakeApi, notes_file: Path) -> None:
    """An object that does not exist is reported, and nothing is left to undo."""
    with pytest.raises(ObjectMissing), manifests.while_patched("Service/default/one", {"spec": {"a": 1}}):
        pass

    assert not notes_file.exists()


def test_block_that_raises_is_undone(manifests: Manifests, api: FakeApi, write: Any) -> None:
    """The error goes on, after everything was taken away."""
    write("a.yaml", ONE)

    with pytest.raises(ZeroDivisionError), manifests.while_applied("a.yaml"):
        raise ZeroDivisionError

    assert api.objects == {}


def test_object_that_others_changed_is_observed_before_it_is_deleted(
    manifests: Manifests, api: FakeApi, write: Any
) -> None:
    """Tests judge what the block did when its objects are gone. Nothing is observed of what is as it was applied, of
    what the harness itself patched, or of a Secret's data."""
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s", "namespace": "default"},
        "data": {"k": "YQ=="},
    }
    write("a.yaml", ONE, named("Service/default/two", spec={"type": "ClusterIP"}), THREE, secret)
    observations.open_page("changed")

    with manifests.while_applied("a.yaml"):
        api.objects["Service/default/two"]["spec"]["type"] = "NodePort"
        api.objects["Secret/default/s"]["data"] = {"k": "Yg=="}
        manifests.kube.patch("Service/default/three", {"metadata": {"labels": {"istio.io/use-waypoint": "waypoint"}}})

    assert [(one.who, one.what) for one in observations.page("changed").sightings] == [
        ("live objects", "Service default/two was not as the harness applied it: spec.type is NodePort, not ClusterIP")
    ]


def test_observation_of_changes_is_no_record_and_no_error(
    manifests: Manifests, api: FakeApi, write: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`mesh-e2e judge` replays a block's calls: these are not among them. An API that is away hides no verdict."""
    write("a.yaml", ONE)
    calls: list[str] = []
    tape = SimpleNamespace(replays=False, call=lambda name, _, act: (calls.append(name), act())[1])

    with record_replay.use_tape(tape), manifests.while_applied("a.yaml"):  # type: ignore[arg-type]  # as much of one as is used
        calls.clear()

    assert calls[0] == "delete"  # and not a read before it
    monkeypatch.setattr(module.changes, "change_text", lambda *_: (_ for _ in ()).throw(ApiUnavailable("away")))
    with manifests.while_applied("a.yaml"):
        pass
    assert api.objects == {}


def test_second_manifest_that_fails(manifests: Manifests, api: FakeApi, write: Any) -> None:
    """What the first manifest made goes when the second is refused."""
    write("a.yaml", ONE)
    write("b.yaml", TWO)
    api.refuse("PATCH", "services/two", 422, "invalid")

    with pytest.raises(RequestRejected, match="422 invalid"), manifests.while_applied("a.yaml", "b.yaml"):
        pass

    assert api.objects == {}


def test_manifest_that_fails_in_its_middle(manifests: Manifests, api: FakeApi, write: Any) -> None:
    """What a manifest made before its refused document goes too."""
    api.put(THREE)
    write("a.yaml", ONE, TWO, THREE)
    api.refuse("PATCH", "services/two", 422, "invalid")

    with pytest.raises(RequestRejected), manifests.while_applied("a.yaml"):
        pass

    assert set(api.objects) == {"Service/default/three"}


def test_manifest_that_is_not_there(manifests: Manifests, api: FakeApi, write: Any) -> None:
    """A misspelt name is bad input, and undoes what came before."""
    write("a.yaml", ONE)

    with pytest.raises(BadInput), manifests.while_applied("a.yaml", "none.yaml"):
        pass

    assert api.objects == {}


def test_manifest_is_kept_with_the_result(manifests: Manifests, write: Any) -> None:
    """What was applied is attached, as it was applied."""
    write("a.yaml", ONE)

    with manifests.while_applied("a.yaml"):
        pass

    (kept,) = observations.page().attachments
    assert kept.name == "a.yaml"
    assert yaml.safe_load(kept.text) == ONE


def test_what_is_not_ours_is_neither_noted_nor_touched(kube: Kube, api: FakeApi, write: Any, notes_file: Path) -> None:
    """Refused before the first object of the manifest: nothing is left to take back."""
    limited = Kube(kube.kubeconfig, kube.context, not_ours="not ours here")
    manifests = Manifests(limited, ROW, UndoLog(notes_file))
    api.put(named("Namespace/other"), named("Deployment/istio-system/istiod", spec={"replicas": 2}))
    write("a.yaml", ONE, named("Namespace/other", metadata={"labels": {"a": "b"}}))

    with pytest.raises(NotAllowed), manifests.while_applied("a.yaml"):
        pytest.fail("applied")
    with (
        pytest.raises(NotAllowed),
        manifests.while_patched("Deployment/istio-system/istiod", {"spec": {"replicas": 0}}),
    ):
        pytest.fail("patched")

    assert not notes_file.exists()
    assert [seen for seen in api.requests if seen.method != "GET"] == []


def test_what_a_killed_disruptive_run_changed_is_put_back(kube: Kube, api: FakeApi, notes_file: Path) -> None:
    """By the next run, though nobody allowed that one to touch what is not ours."""
    api.put(named("Deployment/istio-system/istiod", spec={"replicas": 2}))
    UndoLog(notes_file).patch(kube, parse_ref("Deployment/istio-system/istiod"), {"spec": {"replicas": 0}})
    limited = Kube(kube.kubeconfig, kube.context, not_ours="not ours here")

    undo_leftovers(limited, UndoLog(notes_file))

    assert kube.get("Deployment/istio-system/istiod")["spec"]["replicas"] == 2
