"""Manifests for a while: what we made goes, what was there stays."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from harness import ledger, versions
from harness.errors import BadInput
from harness.kube import Kube, Refused
from harness.stack import applied as module
from harness.stack.applied import Manifests
from tests.fakes.api import FakeApi, named

ROW = versions.load().pick()
ONE, TWO, THREE = (named(f"Service/default/{name}", spec={"ports": []}) for name in ("one", "two", "three"))


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Writes manifests of one's own."""
    monkeypatch.setattr(module, "MANIFESTS", tmp_path)

    def manifest(name: str, *documents: Any) -> None:
        (tmp_path / name).write_text(yaml.safe_dump_all(documents))

    return manifest


@pytest.fixture
def manifests(kube: Kube) -> Manifests:
    return Manifests(kube, ROW)


def test_repositorys_manifests_are_read_pinned(kube: Kube) -> None:
    """A name is a path below manifests/, and images are the set's."""
    row = ROW.model_copy(update={"curl": "9.9.9"})

    documents = Manifests(kube, row).read("base/mesh_client.yaml")

    assert "docker.io/curlimages/curl:9.9.9" in str(documents)


def test_made_is_taken_away(manifests: Manifests, api: FakeApi, write: Any) -> None:
    """Within the block it is there, after it it is gone."""
    write("a.yaml", ONE, TWO)

    with manifests.applied("a.yaml") as made:
        assert [str(ref) for ref in made] == ["Service/default/one", "Service/default/two"]
        assert set(api.objects) == {"Service/default/one", "Service/default/two"}

    assert api.objects == {}


def test_what_was_there_stays(manifests: Manifests, api: FakeApi, write: Any) -> None:
    """An object that somebody made before is not deleted."""
    api.put(ONE)
    write("a.yaml", ONE, TWO)

    with manifests.applied("a.yaml") as made:
        assert [str(ref) for ref in made] == ["Service/default/two"]

    assert set(api.objects) == {"Service/default/one"}


def test_block_that_raises_is_undone(manifests: Manifests, api: FakeApi, write: Any) -> None:
    """The error goes on, after everything was taken away."""
    write("a.yaml", ONE)

    with pytest.raises(ZeroDivisionError), manifests.applied("a.yaml"):
        raise ZeroDivisionError

    assert api.objects == {}


def test_second_manifest_that_fails(manifests: Manifests, api: FakeApi, write: Any) -> None:
    """What the first manifest made goes when the second is refused."""
    write("a.yaml", ONE)
    write("b.yaml", TWO)
    api.refuse("PATCH", "services/two", 422, "invalid")

    with pytest.raises(Refused, match="422 invalid"), manifests.applied("a.yaml", "b.yaml"):
        pass

    assert api.objects == {}


def test_manifest_that_fails_in_its_middle(manifests: Manifests, api: FakeApi, write: Any) -> None:
    """What a manifest made before its refused document goes too."""
    api.put(THREE)
    write("a.yaml", ONE, TWO, THREE)
    api.refuse("PATCH", "services/two", 422, "invalid")

    with pytest.raises(Refused), manifests.applied("a.yaml"):
        pass

    assert set(api.objects) == {"Service/default/three"}


def test_manifest_that_is_not_there(manifests: Manifests, api: FakeApi, write: Any) -> None:
    """A misspelt name is bad input, and undoes what came before."""
    write("a.yaml", ONE)

    with pytest.raises(BadInput), manifests.applied("a.yaml", "none.yaml"):
        pass

    assert api.objects == {}


def test_manifest_is_kept_with_the_result(manifests: Manifests, write: Any) -> None:
    """What was applied is attached, as it was applied."""
    write("a.yaml", ONE)

    with manifests.applied("a.yaml"):
        pass

    (kept,) = ledger.page().attachments
    assert kept.name == "a.yaml"
    assert yaml.safe_load(kept.text) == ONE
