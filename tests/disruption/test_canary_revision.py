"""Upgrades by revision: which releases are installed with the revision, and when ztunnel has moved."""

from __future__ import annotations

from contextlib import nullcontext, suppress
from types import SimpleNamespace
from typing import Any

import pytest

from harness.components import Istiod
from harness.disruption import canary_revision
from harness.disruption.canary_revision import DataPlane
from harness.errors import CannotJudge, Inconclusive, NotAllowed
from harness.objects.stack_places import DEFAULT_PLACES
from harness.waits import rollouts
from tests.disruption.test_version_upgrade import upgrade


class Helm:
    """A cluster that records releases: name, chart version, and the value `revision`."""

    def __init__(self, **cannot_judge: str) -> None:
        self.cannot_judge = cannot_judge
        self.releases: list[tuple[str, str, str]] = []

    def install(self, release: Any) -> None:
        self.releases.append((release.name, release.version, release.values.get("revision", "")))

    def uninstall(self, release: Any) -> None:
        self.releases.append((release.name, "uninstalled", ""))


@pytest.fixture(autouse=True)
def rolled_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollouts, "wait_for_rollout", lambda *_, **__: None)
    monkeypatch.setattr(canary_revision.restarts, "while_replacing_pods", lambda *_: nullcontext())


def test_second_istiod_is_uninstalled_after_a_failure() -> None:
    """It is a release of its own, of the newer version, and the wait ends when its pods are gone. ztunnel's release has
    the revision, but not on the way back."""
    helm: Any = Helm()
    terminating = [["pod"], []]
    kube: Any = SimpleNamespace(list_pods=lambda namespace, labels: terminating.pop(0))
    plan = upgrade("istio-1.30.3")

    with suppress(ZeroDivisionError), canary_revision.uninstalling_canary(helm, kube, plan):
        canary_revision.install_canary(helm, kube, plan)
        canary_revision.move_data_plane(helm, kube, plan, plan.after, "canary")
        canary_revision.move_data_plane(helm, kube, plan, plan.before, "default")
        raise ZeroDivisionError

    assert helm.releases == [
        ("istiod-canary", "1.30.3", "canary"),
        ("cni", "1.30.3", ""),
        ("ztunnel", "1.30.3", "canary"),
        ("cni", "1.29.1", ""),
        ("ztunnel", "1.29.1", ""),
        ("istiod-canary", "uninstalled", ""),
    ]
    assert terminating == []


@pytest.mark.parametrize(
    ("to", "cluster", "error"),
    [("eg-1.9.0", Helm(), CannotJudge), ("istio-1.30.3", Helm(disruptive="not ours"), NotAllowed)],
)
def test_nothing_is_installed_where_it_cannot_be(to: str, cluster: Any, error: type[Exception]) -> None:
    """Envoy Gateway has no revisions, and other people's control planes are not touched."""
    with pytest.raises(error), canary_revision.uninstalling_canary(cluster, SimpleNamespace(), upgrade(to)):  # type: ignore[arg-type]  # no call
        pytest.fail("the block must not run")

    assert cluster.releases == []


class Api:
    """Pods of istiod by label selector, their metrics, and ztunnels of two nodes."""

    places = DEFAULT_PLACES

    def __init__(self) -> None:
        self.moved = False

    def list_pods(self, namespace: str, labels: str) -> list[dict[str, Any]]:
        names = {"app=istiod,istio.io/rev=default": ["a", "b"], "app=istiod,istio.io/rev=canary": ["c"]}
        return [{"metadata": {"name": name}} for name in names.get(labels, [])]

    def get(self, *call: Any) -> Any:
        if len(call) == 1:  # Kube.get
            return {"kind": call[0]}
        assert (call[0], *call[2:]) == ("istio-system", 15014, "/metrics")
        connected = {"a": 0 if self.moved else 1, "b": 0 if self.moved else 1, "c": 2}[call[1]]
        gauge = f'pilot_xds{{version="1"}} {connected}\n' if call[1] != "c" or self.moved else ""
        return f'pilot_info{{version="1"}} 1\n{gauge}pilot_xds_pushes{{type="eds"}} 7\n'

    def read_pods(self) -> list[int]:
        return [1, 2]

    def read_istiod_addresses(self) -> list[str]:
        return [f"https://istiod{'-canary' if self.moved else ''}.istio-system.svc:15012"] * 2


@pytest.mark.parametrize(
    ("moved", "found"),
    [
        (False, DataPlane(2, 0, ("istiod", "istiod"), frozenset({"1.30.3"}))),
        (True, DataPlane(0, 2, ("istiod-canary", "istiod-canary"), frozenset({"1.30.3"}))),
    ],
)
def test_proxies_are_counted_by_revision(monkeypatch: pytest.MonkeyPatch, moved: bool, found: DataPlane) -> None:
    """Over all replicas of each istiod. One to which no proxy has ever connected has no gauge."""
    api: Any = Api()
    api.moved = moved
    pod = {"spec": {"containers": [{"image": "registry/istio/ztunnel:1.30.3-distroless"}]}}
    monkeypatch.setattr(rollouts, "read_pods", lambda *_: [pod])

    assert canary_revision.wait_for_data_plane(api, Istiod(api, api), api, ["default", "canary"][moved]) == found


def test_revision_without_istiod_is_inconclusive() -> None:
    """No gauge of an istiod that does not exist counts as no proxies."""
    api: Any = Api()

    with pytest.raises(Inconclusive, match="no istiod of revision other"):
        Istiod(api, api).read_connected("other")
