"""What a run made in somebody else's cluster, and nothing else, is taken away again."""

from pathlib import Path
from typing import Any

import pytest

from harness.cluster.made import Made
from harness.kube import Kube
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

    Made(file).remember(kube, [NAMESPACE, SERVICE])
    api.put(NAMESPACE)
    Made(file).undo(kube, lambda: None)

    assert kube.find("Service/redis-system/redis") is not None
    assert kube.find("Namespace/redis-system") is None


def test_objects_go_before_releases_and_namespaces_after(kube: Kube, api: FakeApi, file: Path) -> None:
    """Applications first, then what `between` uninstalls, then namespaces."""
    Made(file).remember(kube, [NAMESPACE, SERVICE])
    api.put(NAMESPACE, SERVICE)
    seen: list[tuple[bool, bool]] = []

    Made(file).undo(
        kube,
        lambda: seen.append(
            (kube.find("Service/redis-system/redis") is None, kube.find("Namespace/redis-system") is None)
        ),
    )

    assert seen == [(True, False)]
    assert kube.find("Namespace/redis-system") is None


def test_only_new_labels_are_taken_off(kube: Kube, api: FakeApi, file: Path) -> None:
    """Of an object that was there, the labels it had stay; those we put on go."""
    api.put(theirs(team="theirs"))

    Made(file).remember(kube, [ENROLLED])
    api.put(ENROLLED)
    Made(file).undo(kube, lambda: None)

    assert kube.get("Namespace/default")["metadata"]["labels"] == {"team": "theirs"}


def test_a_second_run_adds_to_the_first(kube: Kube, api: FakeApi, file: Path) -> None:
    """What a killed run made is still ours in the next, which finds it there."""
    Made(file).remember(kube, [SERVICE])
    api.put(SERVICE)
    Made(file).remember(kube, [SERVICE, NAMESPACE])
    api.put(NAMESPACE)

    Made(file).undo(kube, lambda: None)

    assert kube.find("Service/redis-system/redis") is None
    assert not file.exists()


def test_nothing_made_is_nothing_taken(kube: Kube, api: FakeApi, file: Path) -> None:
    """Without notes nothing is deleted."""
    api.put(SERVICE)

    Made(file).undo(kube, lambda: None)

    assert api.asked("DELETE") == []
