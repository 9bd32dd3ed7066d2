"""`preflight` and `rbac` over a real client and the fake API server."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from harness import cli, record_replay
from harness.cluster.existing import ExistingCluster
from harness.errors import BadInput
from harness.objects.namespace_mapping import MANAGED_BY
from harness.preflight import command
from harness.preflight.command import examine
from harness.settings import Settings
from tests import recordings
from tests.audit.planted import CONFIG, Object, obj
from tests.fakes.api import FakeApi
from tests.preflight.clusters import Cluster, lease, objects

OURS = ("mesh-e2e", "mesh-e2e-elsewhere")


def config_map(config: Object) -> Object:
    data = {"envoy-gateway.yaml": yaml.safe_dump(config)}
    return obj("ConfigMap", "envoy-gateway-config", "envoy-gateway-system", data=data)


@pytest.fixture
def there(api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> FakeApi:
    """A cluster on which all can be judged, behind an API server that refuses every change."""
    monkeypatch.setattr(command, "PER_SECOND", 1e6)
    api.put(*objects(), config_map(CONFIG))
    api.put(obj("ConfigMap", "istio", "istio-system", data={"mesh": "trustDomain: mesh.example"}))
    for method in ("PATCH", "PUT", "DELETE"):
        api.refuse(method, "/", 403, "read-only")
    return api


def preflight(api: FakeApi, tmp_path: Path, *more: str) -> int:
    file = api.kubeconfig(tmp_path / "kubeconfig")
    return cli.main(["preflight", "--kubeconfig", str(file), "--context", "fake", *more])


def test_preflight_only_reads_and_asks(there: FakeApi, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """GET, lists by pages, and access reviews; no Secret and no log is read."""
    assert preflight(there, tmp_path) == 0

    posted = {seen.path for seen in there.requests if seen.method != "GET"}
    assert posted == {"/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"}
    assert not [seen for seen in there.requests if "secrets" in seen.path or seen.path.endswith("/log")]
    output = capsys.readouterr().out
    assert "mesh.example (ConfigMap istio-system/istio)" in output
    assert "GatewayNamespace" in output
    assert f"{len(there.requests)} API calls" in output


def test_moments_are_those_of_the_node_that_is_behind(
    there: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From preflight on, log lines are looked for from the moment that its clock shows; on kind, too."""
    cluster = Cluster()
    cluster.add(lease("worker-1", "2026-11-28T00:20:05.400000Z"))
    file = there.kubeconfig(tmp_path / "kubeconfig")
    monkeypatch.setattr(command, "read_nodes", lambda *_: cluster.facts)
    monkeypatch.setattr(command, "read_facts", lambda *_, **__: cluster.facts)

    for kind in ("kind", "existing"):
        record_replay.set_nodes_ahead(0.0)
        examine(SimpleNamespace(kind=kind, kubeconfig=file, context="fake", cannot_judge={}), Settings())  # type: ignore[arg-type]  # all that is asked of a cluster
        before, moment, after = datetime.now(UTC), record_replay.now(), datetime.now(UTC)
        assert before - timedelta(seconds=7) < moment < after - timedelta(seconds=5)


def test_json_has_rows_and_what_is_lacking(there: FakeApi, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Controller namespace mode: exit code 1, the row, and the capabilities with the reason that skips will have."""
    there.put(config_map({"provider": {"type": "Kubernetes"}}))

    assert preflight(there, tmp_path, "--format", "json") == 1

    report = json.loads(capsys.readouterr().out)
    (row,) = [one for one in report["rows"] if one["subject"] == "Envoy Gateway's mode"]
    assert (row["found"], row["verdict"]) == ("ControllerNamespace", "not judged")
    assert row["lacks"] == ["waypoint", "ingress"]
    assert "GatewayNamespace" in report["lacking"]["waypoint"]
    assert report["api_calls"] == len(there.requests)


def test_a_run_needs_some_rights(there: FakeApi, tmp_path: Path) -> None:
    """Those are named with the remedy before anything is applied; what only some tests need has these skipped."""
    there.denied |= {("create", "pods/exec"), ("get", "pods/exec"), ("get", "pods/log")}
    settings = Settings(
        cluster="existing", kubeconfig=there.kubeconfig(tmp_path / "kubeconfig"), context="fake", state=tmp_path
    )

    found = examine(ExistingCluster(settings), settings)

    with pytest.raises(BadInput, match=r"get, create pods/exec \(ours\)") as refused:
        found.check_rights()
    assert "mesh-e2e rbac" in refused.value.remedy
    assert "ztunnel log" in found.lacking
    assert not {seen.method for seen in there.requests} & {"PATCH", "PUT", "DELETE"}


def test_lists_that_are_forbidden_are_unknown(
    there: FakeApi, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Their rows say so; nothing is skipped for it."""
    there.refuse("GET", "/deployments", 403, 'cannot list resource "deployments"')

    assert preflight(there, tmp_path, "--format", "json") == 0
    report = json.loads(capsys.readouterr().out)
    unknown = {one["subject"] for one in report["rows"] if one["verdict"] == "unknown"}
    assert {"istiod", "Envoy Gateway", "rate limit service"} <= unknown


@pytest.mark.parametrize("disruptive", ["", "1"])
def test_the_printed_roles_are_the_least(
    there: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], disruptive: str
) -> None:
    """Beside the suites' namespaces and classes nothing can be changed, unless disruption is asked for, and no Secret
    read. The namespaces are printed as well, given to runs by their label."""
    preflight(there, tmp_path)
    capsys.readouterr()
    monkeypatch.setenv("E2E_DISRUPTIVE", disruptive)

    assert cli.main(["rbac", "--mesh", "mesh", "--control", "eg"]) == 0

    printed = list(yaml.safe_load_all(capsys.readouterr().out))
    roles = [one for one in printed if one["kind"] != "Namespace"]
    places = {role["metadata"].get("namespace", ""): role["rules"] for role in roles}
    assert set(places) == {"", *OURS, "mesh", "eg", "redis-system"}
    assert [(one["metadata"]["name"], one["metadata"]["labels"]) for one in printed if one not in roles] == [
        (name, MANAGED_BY) for name in OURS
    ]
    changing = {
        (place, name if not place else "")
        for place, rules in places.items()
        for rule in rules
        for verb in rule["verbs"]
        for name in rule["resources"]
        if verb in ("patch", "delete") or (verb == "create" and not rule["resources"][0].startswith("pods/"))
    }
    own = {("", "namespaces"), ("", "gatewayclasses"), *((name, "") for name in OURS)}
    assert changing == own | ({("mesh", ""), ("eg", ""), ("redis-system", "")} if disruptive else set())
    read = {seen.path.rpartition("/")[2] for seen in there.requests if seen.query.get("limit")}
    granted = {name for rule in places[""] if "list" in rule["verbs"] for name in rule["resources"]}
    assert read <= granted
    secret = {place for place, rules in places.items() for rule in rules if "secrets" in rule["resources"]}
    assert secret == set(OURS)  # those of clients' keys and passwords, which the suites make


def test_other_forms_of_installation_as_recorded_on_kind(
    api: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A second istiod of a revision, ztunnel in kube-system, Envoy Gateway in its default mode (1.29.1, 1.7.5)."""
    monkeypatch.setattr(command, "PER_SECOND", 1e6)
    api.put(*recordings.dump("preflight/other-forms.json"))

    assert preflight(api, tmp_path, "--format", "json") == 1

    report = json.loads(capsys.readouterr().out)
    rows = [(one["subject"], one["verdict"], one["found"].partition(",")[0]) for one in report["rows"]]
    assert ("istiod", "judged", "istio-system/istiod") in rows
    assert ("istiod", "judged", "istio-system/istiod-canary") in rows
    assert ("ztunnel", "judged", "kube-system/ztunnel") in rows
    assert ("trust domain", "judged", "mesh.example (ConfigMap istio-system/istio-canary)") in rows
    assert ("Envoy Gateway's mode", "not judged", "ControllerNamespace") in rows
    assert ("rate limit counters", "judged", "published every 1 s") in rows
    assert {"ingress", "waypoint", "two nodes"} <= set(report["lacking"])
    assert "stack" not in report["lacking"]
