"""`mesh-e2e listing` over a real client and the fake API server, which refuses every write."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness import cli
from tests.fakes.api import FakeApi, named
from tests.fakes.clock import Clock


@pytest.fixture
def asked(api: FakeApi, clock: Clock, tmp_path: Path) -> list[str]:
    """The command for a cluster with an object of some kinds."""
    api.put(named("Namespace/team-b"), named("Service/team-b/web", spec={"clusterIP": "10.0.0.1"}), named("Node/n1"))
    for method in ("PATCH", "POST", "PUT", "DELETE"):
        api.refuse(method, "/", 403, "read-only")
    return ["listing", "--kubeconfig", str(api.kubeconfig(tmp_path / "kubeconfig")), "--context", "fake"]


@pytest.fixture
def before(asked: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A listing of it in a file."""
    assert cli.main(asked) == 0
    file = tmp_path / "before.json"
    file.write_text(capsys.readouterr().out)
    return file


def test_every_object_is_listed(before: Path) -> None:
    """Of every kind that the server serves, by name."""
    document = json.loads(before.read_text())

    assert set(document["objects"]) == {"Namespace/team-b", "Service/team-b/web", "Node/n1"}
    assert document["unread"] == []


def test_nothing_changed_is_no_difference(asked: list[str], before: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 0."""
    assert cli.main([*asked, "--compare", str(before)]) == 0
    assert capsys.readouterr().out == "3 objects, 0 differences\n"


def test_each_difference_is_named(
    asked: list[str], before: Path, api: FakeApi, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is new, gone or changed, and kinds that could not be read; exit code 1."""
    api.put(named("GatewayClass/mesh-e2e-eg-ingress"), named("Service/team-b/web", spec={"clusterIP": "10.0.0.2"}))
    del api.objects["Node/n1"]
    api.refuse("GET", "/pods", 403, "not you")

    assert cli.main([*asked, "--compare", str(before)]) == 1

    *lines, unread, totals = capsys.readouterr().out.splitlines()
    assert "gone: Node/n1" in lines
    assert "new: gateway.networking.k8s.io/GatewayClass/mesh-e2e-eg-ingress" in lines
    assert 'changed: Service/team-b/web .spec.clusterIP: "10.0.0.1" -> "10.0.0.2"' in lines
    assert unread.startswith("not compared: Pod of the core group:")
    assert totals == f"3 objects, {len(lines) + 1} differences"


@pytest.mark.parametrize("text", ["", "{}", '{"format": "mesh-e2e/listing/v0", "objects": {}, "unread": []}'])
def test_what_is_no_listing_is_refused(
    asked: list[str], tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the file's name; exit code 2."""
    file = tmp_path / "other.json"
    file.write_text(text)

    assert cli.main([*asked, "--compare", str(file)]) == 2
    assert str(file) in capsys.readouterr().err
