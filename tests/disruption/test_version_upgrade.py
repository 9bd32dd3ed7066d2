"""Upgrades to another version: which sets they are between, what is refused, and what became of definitions."""

from types import SimpleNamespace
from typing import Any

import pytest

from harness import chosen_versions
from harness.disruption import version_upgrade
from harness.disruption.version_upgrade import plan_upgrade, replace_definitions
from harness.errors import BadInput, NotAllowed
from harness.install.releases import releases
from harness.kube import RequestRejected
from harness.waits import rollouts

ROW = chosen_versions.named("istio-1.29.1+eg-1.7.5+k8s-1.34.3")


def definition(name: str, bundle: str, kind: str = "CustomResourceDefinition") -> dict[str, Any]:
    keys = ("bundle-version", "channel")
    annotations = dict(zip((f"gateway.networking.k8s.io/{key}" for key in keys), (bundle, "experimental"), strict=True))
    return {"kind": kind, "metadata": {"name": name, "annotations": annotations}}


class Api:
    """Definitions by name; those of a bundle before v1.5 are rejected where a policy is there."""

    def __init__(self) -> None:
        self.there: dict[str, dict[str, Any]] = {}
        self.order: list[str] = []

    def apply(self, documents: list[dict[str, Any]], *, force: bool) -> None:
        for one in documents:
            name = one["metadata"]["name"]
            guarded = any(other["kind"] == "ValidatingAdmissionPolicy" for other in self.there.values())
            if guarded and "v1.4" in str(one["metadata"]["annotations"]):
                raise RequestRejected(f"{name}: denied by safe-upgrades.gateway.networking.k8s.io")
            self.there[name] = one
            self.order.append(name)

    def list_objects(self, kind: str) -> list[dict[str, Any]]:
        return [one for one in self.there.values() if one["kind"] == kind]


GATEWAYS, POLICIES = "gateways.gateway.networking.k8s.io", "backendtrafficpolicies.gateway.envoyproxy.io"
SAFE = "safe-upgrades.gateway.networking.k8s.io"
CHARTS = {
    "v1.7.5": [definition(GATEWAYS, "v1.4.1"), definition(POLICIES, "old")],
    "v1.9.0": [
        definition(SAFE, "v1.6.1", "ValidatingAdmissionPolicy"),
        definition(GATEWAYS, "v1.6.1"),
        definition(POLICIES, "new"),
    ],
}


def cluster(**cannot: str) -> Any:
    return SimpleNamespace(cannot_judge=cannot, definitions=lambda release: CHARTS[release.version])


def upgrade(to: str = "eg-1.9.0") -> version_upgrade.VersionUpgrade:
    return plan_upgrade(ROW, to, lambda row: releases(row, None), None)


@pytest.mark.parametrize(
    ("to", "name", "charts"),
    [
        ("eg-1.9.0", "Envoy Gateway 1.7.5 to 1.9.0", ["gateway-helm"]),
        ("istio-1.30.3", "Istio 1.29.1 to 1.30.3", ["base", "istiod", "cni", "ztunnel"]),
    ],
)
def test_one_product_changes(to: str, name: str, charts: list[str]) -> None:
    """The set after differs in one product, whose charts are upgraded in the documented order."""
    found = upgrade(to)

    assert found.name == name
    assert list(found.releases(found.after)) == charts
    assert found.after.kubernetes == ROW.kubernetes
    assert (found.after.istio == ROW.istio) == (to[0] == "e")


@pytest.mark.parametrize(
    ("to", "why"),
    [
        ("1.9.0", "UPGRADE_TO=1.9.0: '1.9.0' is not a product with its version"),
        ("k8s-1.35", "is not an upgrade of Istio or Envoy Gateway"),
        ("eg-1.9.0+istio-1.30.3", "is not an upgrade of Istio or Envoy Gateway"),
        ("eg-1.7.5", "is the version of"),
        ("istio-1.31.0", "Istio 1.31 is not known"),
    ],
)
def test_upgrade_that_is_none(to: str, why: str) -> None:
    """It is refused before anything is made."""
    with pytest.raises(BadInput, match=why):
        upgrade(to)


def test_newer_definitions_replace_older_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the Gateway API and Envoy Gateway's own; admission policies come last."""
    monkeypatch.setattr(rollouts, "wait_for_definition", lambda *_: None)
    plan, api = upgrade(), Api()
    found = replace_definitions(cluster(), api, plan, plan.after)  # type: ignore[arg-type]  # what it uses of a Kube

    assert found.bundles == {"v1.6.1 experimental"}
    assert found.refused == {}
    assert api.order == [GATEWAYS, POLICIES, SAFE]


def test_rejected_definitions_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The way back tries only those of the Gateway API; a rejection is recorded, and what is there stays."""
    monkeypatch.setattr(rollouts, "wait_for_definition", lambda *_: None)
    plan, api = upgrade(), Api()
    replace_definitions(cluster(), api, plan, plan.after)  # type: ignore[arg-type]  # as above
    found = replace_definitions(cluster(), api, plan, plan.before)  # type: ignore[arg-type]  # as above

    assert found.bundles == {"v1.6.1 experimental"}
    assert list(found.refused) == [GATEWAYS]
    assert "safe-upgrades" in found.refused[GATEWAYS]
    assert api.there[POLICIES]["metadata"]["annotations"]["gateway.networking.k8s.io/bundle-version"] == "new"


def test_other_peoples_definitions_are_not_touched() -> None:
    """Where disruption was not asked for nothing is applied."""
    plan, api = upgrade(), Api()

    with pytest.raises(NotAllowed):
        replace_definitions(cluster(disruptive="not ours"), api, plan, plan.after)  # type: ignore[arg-type]  # as above
    assert api.there == {}
