"""Reads logs and counters of pods that come and go."""

from __future__ import annotations

from typing import Any

import pytest

from harness.errors import SetupFailed
from harness.kube import Kube
from harness.oracles import collector
from harness.oracles.collector import OracleCollector
from tests.fakes.api import FakeApi
from tests.fakes.pods import pod

CANARY = ("istio-system", "istiod-canary-1", "discovery")


class Admin:
    """Admin ports that answer until they do not."""

    def __init__(self) -> None:
        self.ended = False

    def get(self, namespace: str, name: str, port: int, path: str) -> str:
        if self.ended:
            raise SetupFailed(f"kubectl port-forward ended: pods {name} not found")
        return 'pilot_xds_pushes{type="cds"} 3\n'


@pytest.fixture
def watch(kube: Kube, api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> OracleCollector:
    """Of a second istiod, whose admin port has ended since it was listed."""
    monkeypatch.setattr(collector, "QUIET", 0.0)
    istiod = pod("istio-system/istiod-canary-1", labels={"app": "istiod"})
    istiod["metadata"]["uid"] = "1"
    api.put(istiod)
    api.logs |= {CANARY: ""}
    admin: Any = Admin()
    found = OracleCollector(kube, admin)
    admin.ended = True
    return found


def test_control_plane_that_was_uninstalled_is_not_asked(watch: OracleCollector, kube: Kube) -> None:
    """A test's fixture may uninstall an istiod after the last logs were read."""
    kube.delete(["Pod/istio-system/istiod-canary-1"], gone=False)

    assert watch.finish_area() == ()


def test_control_plane_that_exists_has_to_answer(watch: OracleCollector) -> None:
    """Its counters are needed for the verdict."""
    with pytest.raises(SetupFailed):
        watch.finish_area()
