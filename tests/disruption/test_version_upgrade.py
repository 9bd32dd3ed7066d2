"""Upgrades to another version: which sets they are between, what is refused, and what became of definitions."""

from contextlib import nullcontext, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness import chosen_versions, record_replay
from harness.cluster_call_records import FILE, SCHEMA, Recorder, Records
from harness.disruption import definition_upgrade, restarts, version_upgrade
from harness.disruption.definition_upgrade import Replaced, replace_definitions
from harness.disruption.requested_upgrade import Order, VersionUpgrade, plan_upgrade
from harness.errors import BadInput, NotAllowed, SetupFailed, Terminal
from harness.install.installation import envoy_proxies
from harness.install.releases import make_releases
from harness.kube import RequestRejected
from harness.objects.namespace_mapping import AS_WRITTEN
from harness.registry.private import parse_registry
from harness.waits import rollouts
from tests.fakes.pods import pod

ROW = chosen_versions.named("istio-1.29.1+eg-1.7.5+k8s-1.34.3")


def definition(name: str, bundle: str, kind: str = "CustomResourceDefinition") -> dict[str, Any]:
    keys = ("bundle-version", "channel")
    annotations = dict(zip((f"gateway.networking.k8s.io/{key}" for key in keys), (bundle, "experimental"), strict=True))
    names = {"kind": "TCPRoute"} if name.startswith("tcproutes") else {}
    return {"kind": kind, "metadata": {"name": name, "annotations": annotations}, "spec": {"names": names}}


class Api:
    """Definitions by name. Those of a bundle before v1.5 are rejected where the policy is there; one whose stored
    version the newer definition has changed is rejected for ever."""

    def __init__(self) -> None:
        self.there: dict[str, dict[str, Any]] = {}
        self.order: list[str] = []
        self.routes: list[dict[str, Any]] = []
        self.namespace = "default"

    def apply(self, documents: list[dict[str, Any]], *, force: bool = False) -> None:
        for one in documents:
            name, old = one["metadata"]["name"], "v1.4" in str(one["metadata"]["annotations"])
            if old and any(other["kind"] == "ValidatingAdmissionPolicy" for other in self.there.values()):
                raise RequestRejected(f"{name}: denied by safe-upgrades.gateway.networking.k8s.io")
            if old and name == TCP and "v1.6" in str(self.there.get(name)):
                raise RequestRejected(f"{name}: status.storedVersions[1]: Invalid value")
            self.there[name] = one
            self.order.append(name)

    def list_objects(self, kind: str) -> list[dict[str, Any]]:
        return self.routes if kind == "TCPRoute" else [one for one in self.there.values() if one["kind"] == kind]

    def delete(self, names: list[Any]) -> None:
        for one in names:
            self.there.pop(one.partition("/")[2] if isinstance(one, str) else one["metadata"]["name"], None)


GATEWAYS, POLICIES = "gateways.gateway.networking.k8s.io", "backendtrafficpolicies.gateway.envoyproxy.io"
SETS = "listenersets.gateway.networking.k8s.io"  # of newer versions alone
TCP, SAFE = "tcproutes.gateway.networking.k8s.io", "safe-upgrades.gateway.networking.k8s.io"
CHARTS = {
    "v1.7.5": [definition(GATEWAYS, "v1.4.1"), definition(TCP, "v1.4.1"), definition(POLICIES, "old")],
    "v1.9.0": [
        definition(SAFE, "v1.6.1", "ValidatingAdmissionPolicy"),
        definition(GATEWAYS, "v1.6.1"),
        definition(TCP, "v1.6.1"),
        definition(SETS, "v1.6.1"),
        definition(POLICIES, "new"),
    ],
}


def cluster(**cannot: str) -> Any:
    return SimpleNamespace(cannot_judge=cannot, definitions=lambda release: CHARTS[release.version])


def upgrade(to: str = "eg-1.9.0") -> VersionUpgrade:
    return plan_upgrade(ROW, to, lambda row: make_releases(row, None), lambda row: [], None)


@pytest.mark.parametrize(
    ("to", "name", "charts"),
    [
        ("eg-1.9.0", "Envoy Gateway 1.7.5 to 1.9.0", ["gateway-helm"]),
        ("istio-1.30.3", "Istio 1.29.1 to 1.30.3", ["istiod", "cni", "ztunnel"]),
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
    ("to", "difference", "changed"),
    [
        ("eg-1.9.0", "lua", True),
        ("eg-1.8.3", "lua", False),
        ("eg-1.8.3", "safe_upgrades_policy", True),
        ("istio-1.30.3", "lua", False),
    ],
)
def test_differences_that_an_upgrade_crosses(to: str, difference: str, changed: bool) -> None:
    """A difference is crossed where it has another value for the version after."""
    assert upgrade(to).changes(difference) is changed


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

    assert found.versions == {"v1.6.1 experimental"}
    assert found.rejected == {}
    assert api.order == [GATEWAYS, TCP, SETS, POLICIES, SAFE]


def test_rejected_definitions_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """The way back tries only those of the Gateway API; a rejection is recorded, and what is there stays."""
    monkeypatch.setattr(rollouts, "wait_for_definition", lambda *_: None)
    plan, api = upgrade(), Api()
    replace_definitions(cluster(), api, plan, plan.after)  # type: ignore[arg-type]  # as above
    found = replace_definitions(cluster(), api, plan, plan.before)  # type: ignore[arg-type]  # as above

    assert found.versions == {"v1.6.1 experimental"}
    assert list(found.rejected) == [GATEWAYS, TCP]
    assert "safe-upgrades" in found.rejected[GATEWAYS]
    assert api.there[POLICIES]["metadata"]["annotations"]["gateway.networking.k8s.io/bundle-version"] == "new"


def test_recorded_definitions_are_replayed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What was replaced and rejected comes from the record; nothing is applied, and no Helm is called."""
    monkeypatch.setattr(rollouts, "wait_for_definition", lambda *_: None)
    plan, api = upgrade(), Api()
    recorder = Recorder((tmp_path / FILE).open("wb", buffering=0), str, pytest.fail)
    recorder.head({"schema": SCHEMA, "settings": {}})

    def there_and_back(cluster: Any, api: Any) -> list[Any]:
        return [
            replace_definitions(cluster, api, plan, plan.after),
            replace_definitions(cluster, api, plan, plan.before),
            definition_upgrade.force_older_definitions(cluster, api, plan),
            definition_upgrade.read_definitions(api, plan),
        ]

    with record_replay.use_tape(recorder), recorder.scope("test a"):
        found = there_and_back(cluster(), api)
    records = Records(tmp_path)
    with record_replay.use_tape(records), records.scope("test a"):
        again = there_and_back(SimpleNamespace(cannot_judge={}), None)

    assert again == found


def test_other_peoples_definitions_are_not_touched() -> None:
    """Where disruption was not asked for nothing is applied."""
    plan, api = upgrade(), Api()

    with pytest.raises(NotAllowed):
        replace_definitions(cluster(disruptive="not ours"), api, plan, plan.after)  # type: ignore[arg-type]  # as above
    assert api.there == {}


def test_older_definitions_are_forced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the admission policy they replace the newer ones; what is rejected all the same is created again."""
    monkeypatch.setattr(rollouts, "wait_for_definition", lambda *_: None)
    plan, api = upgrade(), Api()
    replace_definitions(cluster(), api, plan, plan.after)  # type: ignore[arg-type]  # as above
    found = definition_upgrade.force_older_definitions(cluster(), api, plan)  # type: ignore[arg-type]  # as above

    assert found.versions == {"v1.4.1 experimental"}
    assert list(found.rejected) == [TCP]
    assert found.rejected_by == {definition_upgrade.STORED}
    assert api.there.keys() == {GATEWAYS, TCP, POLICIES}


def test_definition_of_an_object_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Made again it would lose every object of its kind: the run stops there."""
    monkeypatch.setattr(rollouts, "wait_for_definition", lambda *_: None)
    plan, api = upgrade(), Api()
    replace_definitions(cluster(), api, plan, plan.after)  # type: ignore[arg-type]  # as above
    api.routes = [{"kind": "TCPRoute"}]

    with pytest.raises(SetupFailed, match="a TCPRoute exists"):
        definition_upgrade.force_older_definitions(cluster(), api, plan)  # type: ignore[arg-type]  # as above
    assert TCP in api.there


@pytest.mark.parametrize(
    ("order", "names"),
    [("definitions first", ["definitions", "charts"]), ("definitions last", ["charts", "definitions"])],
)
def test_order_of_the_steps(order: Order, names: list[str]) -> None:
    assert list(version_upgrade.steps(cluster(), None, upgrade(), order)) == names  # type: ignore[arg-type]  # as above


def test_pinned_proxies_are_upgraded(monkeypatch: pytest.MonkeyPatch) -> None:
    """An EnvoyProxy that names its proxy's image keeps the proxy as it is, whatever the controller's version is: that
    of the newer set is applied after its chart."""
    done: list[str] = []
    private = ROW.taken_from(parse_registry("registry.example/mirror"))
    plan = plan_upgrade(
        private, "eg-1.9.0", lambda row: make_releases(row, None), lambda row: envoy_proxies(row, AS_WRITTEN), None
    )
    images: list[str] = []
    kube = SimpleNamespace(
        namespace="default",
        get=lambda name: {"spec": {"template": {"spec": {"containers": [{"image": image} for image in images]}}}},
        apply=lambda documents: images.extend(
            one["spec"]["provider"]["kubernetes"]["envoyDeployment"]["container"]["image"] for one in documents
        ),
    )
    monkeypatch.setattr(restarts, "while_replacing_pods", lambda *_: nullcontext())
    monkeypatch.setattr(rollouts, "wait_for_rollout", lambda _, name, **__: done.append(name))
    made = SimpleNamespace(cannot_judge={}, install=lambda release: done.append(release.version))

    version_upgrade.upgrade_product(made, kube, plan, plan.after)  # type: ignore[arg-type]  # as above

    assert set(images) == {"registry.example/mirror/envoyproxy/envoy:distroless-v1.39.0"}
    assert done[0] == "v1.9.0"
    assert done[-3:] == [restarts.INGRESS, restarts.WAYPOINT, restarts.LIMITER]


@pytest.mark.parametrize("failing", [True, False])
def test_older_version_comes_back(monkeypatch: pytest.MonkeyPatch, failing: bool) -> None:
    """After a block that failed half way, the product and its definitions are of the version before."""
    monkeypatch.setattr(rollouts, "wait_for_definition", lambda *_: None)
    plan, api, upgraded = upgrade(), Api(), []
    api.there = {GATEWAYS: definition(GATEWAYS, "v1.4.1")}
    monkeypatch.setattr(VersionUpgrade, "running", lambda *_: "1.9.0" if failing else "1.7.5")
    monkeypatch.setattr(version_upgrade, "_roll_out", lambda *given: upgraded.append(given[3].envoy_gateway))

    with suppress(ZeroDivisionError), version_upgrade.while_upgraded(cluster(), api, plan):  # type: ignore[arg-type]  # as above
        replace_definitions(cluster(), api, plan, plan.after)  # type: ignore[arg-type]  # as above
        raise ZeroDivisionError

    assert upgraded == (["1.7.5"] if failing else [])
    assert definition_upgrade.read_definitions(api, plan) == {"v1.4.1 experimental"}  # type: ignore[arg-type]  # as above


def test_first_failure_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where putting the older version back fails too, that is only the cause of the first failure."""

    def fail(*_: object) -> None:
        raise SetupFailed("the older version does not come back")

    monkeypatch.setattr(VersionUpgrade, "running", lambda *_: "1.9.0")
    monkeypatch.setattr(version_upgrade, "_roll_out", fail)

    with pytest.raises(ZeroDivisionError) as raised, version_upgrade.while_upgraded(cluster(), Api(), upgrade()):  # type: ignore[arg-type]  # as above
        raise ZeroDivisionError
    assert "does not come back" in str(raised.value.__cause__)


def test_pod_that_does_not_start_is_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    """After `when_stuck`: then its successor starts at once. What was seen of it has the end of its log; without
    `when_stuck` the failure is one."""
    done: list[str] = []

    def wait(_: Any, name: str, **__: Any) -> None:
        done.append(name.rpartition("/")[2])
        if done.count("envoy-gateway") == 1 and name == restarts.CONTROLLER:
            raise Terminal("rolled out", after=17, seen="CrashLoopBackOff")

    crashing = pod("envoy-gateway-system/new", labels={}, ready=False)
    monkeypatch.setattr(version_upgrade.restarts, "while_replacing_pods", lambda *_: nullcontext())
    monkeypatch.setattr(version_upgrade, "_wait_for_envoy", lambda *_: None)
    monkeypatch.setattr(rollouts, "wait_for_rollout", wait)
    monkeypatch.setattr(rollouts, "read_pods", lambda *_: [crashing, pod("envoy-gateway-system/old", labels={})])
    api, plan = Api(), upgrade("eg-1.8.3")
    api.get = lambda name: {}  # type: ignore[attr-defined]  # what a Kube has too
    api.read_log = lambda *_, **__: "started\nno matches for kind\n"  # type: ignore[attr-defined]  # as above
    api.delete = lambda names: done.extend(one.name for one in names)  # type: ignore[method-assign]  # as above
    made = SimpleNamespace(cannot_judge={}, install=lambda release: None)

    with pytest.raises(Terminal):
        version_upgrade.upgrade_product(made, api, plan, plan.after)  # type: ignore[arg-type]  # as above
    done.clear()
    seen = version_upgrade.upgrade_product(  # type: ignore[arg-type]  # as above
        made, api, plan, plan.after, when_stuck=lambda: done.append("definitions")
    )

    assert done == ["envoy-gateway", "definitions", "new", "envoy-gateway", "envoy-ratelimit"]
    assert "CrashLoopBackOff" in seen
    assert "no matches for kind" in seen


@pytest.mark.parametrize(
    ("before", "to", "waits"),
    [("1.7.5", "1.8.3", True), ("1.7.5", "1.9.0", False), ("1.8.3", "1.9.0", False), ("1.8.2", "1.8.3", False)],
)
def test_upgrade_that_waits_for_definitions(before: str, to: str, waits: bool) -> None:
    """Envoy Gateway 1.8 needs definitions that those of 1.7 lack."""
    row = chosen_versions.named(f"istio-1.29.1+eg-{before}+k8s-1.34.3")
    found = plan_upgrade(row, f"eg-{to}", lambda row: make_releases(row, None), lambda row: [], None)

    assert found.waits_for_definitions is waits


def test_rejections_are_named() -> None:
    """An unknown reason is no known one."""
    reasons = {"a": f"422 denied by {SAFE}", "b": "422 status.storedVersions[1]: v1", "c": "409 conflict"}

    assert Replaced(frozenset(), reasons).rejected_by == {
        SAFE,
        definition_upgrade.STORED,
        "409 conflict",
    }
