"""A second istiod by revision: which releases are installed, what names the revision, and what is left."""

from __future__ import annotations

from contextlib import nullcontext, suppress
from types import SimpleNamespace
from typing import Any

import pytest

from harness.components.istiod_xds_reject_counters import Istiod
from harness.disruption import canary_revision
from harness.errors import CannotJudge, Inconclusive, NotAllowed
from harness.objects.stack_places import DEFAULT_PLACES
from harness.waits import rollouts
from tests.disruption.test_version_upgrade import upgrade


class Releases:
    """A cluster that keeps what was installed: release name, chart version and the value `revision`."""

    def __init__(self, **cannot_judge: str) -> None:
        self.cannot_judge = cannot_judge
        self.done: list[tuple[str, str, str]] = []

    def install(self, release: Any) -> None:
        self.done.append((release.name, release.version, release.values.get("revision", "")))

    def uninstall(self, release: Any) -> None:
        self.done.append((release.name, "gone", ""))


@pytest.fixture(autouse=True)
def rolled_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollouts, "wait_for_rollout", lambda *_, **__: None)
    monkeypatch.setattr(canary_revision.restarts, "while_replacing_pods", lambda *_: nullcontext())


def test_second_istiod_goes_whatever_fails() -> None:
    """It has a release of its own of the newer version; ztunnel's names the revision there, and not on the way back."""
    made: Any = Releases()
    plan, kube = upgrade("istio-1.30.3"), SimpleNamespace()

    with suppress(ZeroDivisionError), canary_revision.while_canary_is_allowed(made, plan):
        canary_revision.install_canary(made, kube, plan)  # type: ignore[arg-type]  # no request is made
        canary_revision.move_data_plane(made, kube, plan, plan.after, "canary")  # type: ignore[arg-type]  # as above
        canary_revision.move_data_plane(made, kube, plan, plan.before, "default")  # type: ignore[arg-type]  # as above
        raise ZeroDivisionError

    assert made.done == [
        ("istiod-canary", "1.30.3", "canary"),
        ("cni", "1.30.3", ""),
        ("ztunnel", "1.30.3", "canary"),
        ("cni", "1.29.1", ""),
        ("ztunnel", "1.29.1", ""),
        ("istiod-canary", "gone", ""),
    ]


@pytest.mark.parametrize(
    ("to", "cluster", "error"),
    [("eg-1.9.0", Releases(), CannotJudge), ("istio-1.30.3", Releases(disruptive="not ours"), NotAllowed)],
)
def test_canary_that_cannot_be(to: str, cluster: Any, error: type[Exception]) -> None:
    """Envoy Gateway has no revisions; control planes of others are left alone. Nothing is installed."""
    with pytest.raises(error), canary_revision.while_canary_is_allowed(cluster, upgrade(to)):
        pytest.fail("the block must not run")

    assert cluster.done == []


class Gauges:
    """Pods of istiod by label selector, and their metrics."""

    places = DEFAULT_PLACES

    def list_pods(self, namespace: str, labels: str) -> list[dict[str, Any]]:
        names = {"app=istiod,istio.io/rev=default": ["a", "b"], "app=istiod,istio.io/rev=canary": ["c"]}
        return [{"metadata": {"name": name}} for name in names.get(labels, [])]

    def get(self, namespace: str, pod: str, port: int, path: str) -> str:
        assert (namespace, port, path) == ("istio-system", 15014, "/metrics")
        return {
            "a": 'pilot_info{version="1.29.1"} 1\npilot_xds{version="1.29.1"} 2\npilot_xds_pushes{type="eds"} 7\n',
            "b": 'pilot_xds{version="1.29.1"} 1\n',
            "c": 'pilot_info{version="1.30.3"} 1\n',
        }[pod]


def test_connected_proxies_are_counted_by_revision() -> None:
    """Over all replicas; an istiod that is not there is not one without proxies."""
    found: Any = Gauges()
    istiod = Istiod(found, found)

    assert canary_revision.wait_for_connected(istiod, {"default": 3, "canary": 0}) == {"default": 3, "canary": 0}
    with pytest.raises(Inconclusive, match="no istiod of revision other"):
        istiod.count_connected("other")
