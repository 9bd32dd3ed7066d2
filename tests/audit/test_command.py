"""The command over a real client and the fake API server: what it asks for, how much, and how it ends."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from harness import cli
from harness.audit import command
from harness.audit.read import KINDS
from harness.errors import SetupFailed
from harness.kube import read_only_client
from harness.objects.kind_namespace_name import KINDS as KNOWN
from harness.objects.kind_namespace_name import ref_of
from tests import recordings
from tests.audit.planted import CONFIG, WAYPOINT_POD, Planted, obj
from tests.audit.test_checks import THERE, no_address, strict_root
from tests.fakes.api import FakeApi
from tests.fakes.clock import Clock

CONFIGMAP = obj(
    "ConfigMap", "envoy-gateway-config", "envoy-gateway-system", data={"envoy-gateway.yaml": yaml.safe_dump(CONFIG)}
)


@pytest.fixture
def cluster(api: FakeApi, clock: Clock) -> FakeApi:
    """The healthy cluster behind an API server that refuses every write. It does not serve the kinds that the harness
    itself never applies (GRPCRoute, Telemetry ...)."""
    api.put(*Planted().objects, CONFIGMAP)
    for method in ("PATCH", "POST", "PUT", "DELETE"):
        api.refuse(method, "/", 403, "read-only")
    return api


def audit(api: FakeApi, tmp_path: Path, *more: str) -> int:
    file = api.kubeconfig(tmp_path / "kubeconfig")
    return cli.main(["audit", "--kubeconfig", str(file), "--context", "fake", *more])


def test_an_audit_only_reads(cluster: FakeApi, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every request is a GET; each list is paged; no Secret is read; logs are read for proxies and ztunnel alone."""
    assert audit(cluster, tmp_path, "--logs") == 0

    assert {seen.method for seen in cluster.requests} == {"GET"}
    lists = [seen for seen in cluster.requests if seen.path.rpartition("/")[2] in {k.plural for k in KINDS.values()}]
    assert lists
    assert all(seen.query.get("limit") == "500" for seen in lists)
    assert not cluster.asked("GET", "secrets")
    logs = cluster.asked("GET", "/log")
    assert {seen.path.split("/")[-2].partition("-")[0] for seen in logs} == {"waypoint", "ztunnel"}
    assert len(logs) == len({seen.path for seen in logs})
    assert all(seen.query["tailLines"] == "2000" for seen in logs)
    output = capsys.readouterr().out
    assert "port-15008-clash: log of istio-system/ztunnel-1" in output.replace("not judged: ", "")


def test_json_tells_all(cluster: FakeApi, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Findings as they are in the cluster, and what was not judged: kinds that are not served, logs not asked for."""
    audit(cluster, tmp_path, "--format", "json")

    report = json.loads(capsys.readouterr().out)
    assert {(one["id"], one["objects"][0]) for one in report["findings"]} - {
        ("version-unsupported", "Deployment envoy-gateway-system/envoy-gateway")
    } == THERE
    assert report["api_calls"] == len(cluster.requests)
    logs = {"waypoint-bypassed", "port-15008-clash", "envoy-rejects-configuration"}
    config = {"route-not-active", "policy-not-active"}
    assert {one["id"] for one in report["not_judged"]} == {*logs, *config, "cluster-warming"}


def test_a_forbidden_list_is_not_judged(cluster: FakeApi, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What these credentials may not list is named with the checks that needed it."""
    cluster.refuse("GET", "/httproutes", 403, "forbidden")

    audit(cluster, tmp_path)
    output = capsys.readouterr().out
    assert "hostname-missing" in output.partition("HTTPRoute could not be read")[0].rpartition("not judged:")[2]
    assert "HTTPRoute default/ratings" not in output


def test_nothing_could_be_read(cluster: FakeApi, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """That is no empty cluster: exit code 2, with the remedy."""
    cluster.refuse("GET", "/api", 403, "forbidden")

    assert audit(cluster, tmp_path) == 2
    assert "audit --rbac" in capsys.readouterr().err


@pytest.mark.parametrize(("fail_on", "code"), [("high", 0), ("medium", 1), ("low", 1)])
def test_a_baseline_accepts_what_it_has(
    cluster: FakeApi, tmp_path: Path, capsys: pytest.CaptureFixture[str], fail_on: str, code: int
) -> None:
    """A JSON report as baseline: the same cluster is fine by it, a new condition is not; one that is gone is listed."""
    assert audit(cluster, tmp_path, "--format", "json", "--fail-on", fail_on) == code
    baseline = tmp_path / "baseline.json"
    baseline.write_text(capsys.readouterr().out)

    assert audit(cluster, tmp_path, "--baseline", str(baseline), "--fail-on", "low") == 0
    assert "0 findings" in capsys.readouterr().out
    planted = Planted()
    no_address(planted)
    planted.get("HTTPRoute", "ratings")["spec"]["hostnames"].append("ratings.default.svc")
    cluster.put(*planted.objects)
    assert audit(cluster, tmp_path, "--baseline", str(baseline)) == 1
    output = capsys.readouterr().out
    assert "waypoint-not-ready" in output
    assert "in the baseline and gone: hostname-missing" in output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--context", ""], "exact name"),
        (["--kubeconfig", "/nowhere"], "does not exist"),
        (["--baseline", "/nowhere.json"], "baseline /nowhere.json"),
    ],
)
def test_bad_input(
    cluster: FakeApi, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    """One sentence, exit code 2, and the cluster was not asked."""
    assert audit(cluster, tmp_path, *arguments) == 2

    assert message in capsys.readouterr().err
    assert cluster.requests == []


def test_sarif_and_markdown(cluster: FakeApi, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """SARIF has what 2.1.0 requires, each result with its rule; Markdown has a row for each finding."""
    audit(cluster, tmp_path, "--format", "sarif")
    report: dict[str, Any] = json.loads(capsys.readouterr().out)
    audit(cluster, tmp_path, "--format", "markdown")
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")][1:]

    assert report["version"] == "2.1.0"
    (run,) = report["runs"]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert [rules[one["ruleIndex"]] for one in run["results"]] == [one["ruleId"] for one in run["results"]]
    assert all(one["message"]["text"] and one["level"] in ("error", "warning", "note") for one in run["results"])
    assert len(rows) == len(run["results"]) >= len(THERE)


def test_the_printed_role_reads_only(capsys: pytest.CaptureFixture[str]) -> None:
    """Every kind that is read, get and list alone; pods/log only with --logs."""
    assert cli.main(["audit", "--rbac"]) == 0
    plain = yaml.safe_load(capsys.readouterr().out)
    cli.main(["audit", "--rbac", "--logs"])
    logs = yaml.safe_load(capsys.readouterr().out)

    listed = {r for rule in plain["rules"] if rule["verbs"] == ["list"] for r in rule["resources"]}
    assert listed == {kind.plural for kind in KINDS.values()}
    assert {verb for rule in logs["rules"] for verb in rule["verbs"]} == {"get", "list"}
    assert "secrets" not in listed
    assert [rule["resources"] for rule in logs["rules"] if rule not in plain["rules"]] == [["pods/log"]]


def test_root_namespace_is_that_of_the_mesh_configuration(
    cluster: FakeApi, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """STRICT for the whole mesh is where istiod's ConfigMap says, not where istiod is."""
    planted = Planted()
    strict_root(planted)
    cluster.put(*planted.objects, obj("ConfigMap", "istio", "istio-system", data={"mesh": "rootNamespace: root"}))

    audit(cluster, tmp_path, "--format", "json")

    assert "ingress-outside-mesh" in {one["id"] for one in json.loads(capsys.readouterr().out)["findings"]}


def test_a_large_cluster_is_read_in_bounded_calls(
    cluster: FakeApi, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """1,000 routes and 500 Services: a request for each started 500 objects of a kind, discovery, version and
    configuration; no request for each object."""
    template = Planted().get("HTTPRoute", "ratings")
    for n in range(1000):
        route = json.loads(json.dumps(template))
        route["metadata"]["name"] = f"route-{n}"
        cluster.objects[str(ref_of(route))] = route
    for n in range(500):
        spec = {"clusterIP": f"10.97.{n // 250}.{n % 250}", "ports": [{"port": 9080}]}
        service = obj("Service", f"service-{n}", "default", spec=spec)
        service["metadata"]["labels"] = {"istio.io/use-waypoint": "waypoint"}
        cluster.objects[str(ref_of(service))] = service
    began = time.monotonic()

    audit(cluster, tmp_path, "--format", "json")
    report = json.loads(capsys.readouterr().out)
    print(f"{time.monotonic() - began:.1f} s, {report['api_calls']} calls")
    served = [kind for kind in KINDS if kind in KNOWN]
    groups = {KNOWN[kind][0].rpartition("/")[0] for kind in served}
    versions = {version for version, _ in KNOWN.values() if version.rpartition("/")[0] in groups}
    assert report["objects"]["HTTPRoute"] == 1002
    assert sum(one["id"] == "service-without-route" for one in report["findings"]) == 500
    assert len(cluster.requests) <= len(served) + 3 + len(versions) + 4  # 3 more pages; /version, /apis, two ConfigMaps


def test_active_configurations_are_read_through_port_forwards(
    cluster: FakeApi, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One for each ready proxy pod; a pod that cannot be reached is not judged, and is named."""
    opened = []

    @contextmanager
    def forward(_file: Path, context: str, namespace: str, target: str, port: int, *, kubectl: str) -> Iterator[str]:
        assert (context, kubectl) == ("fake", "/bin/kubectl")
        opened.append((namespace, target, port))
        if len(opened) > 1:
            raise SetupFailed("no way there")
        yield "http://forwarded"

    pages = {"http://forwarded/config_dump": recordings.text("admin/waypoint-config_dump.json")}
    monkeypatch.setattr(command, "port_forward", forward)
    monkeypatch.setattr(command, "fetch", pages.__getitem__)
    monkeypatch.setattr(command.select_programs, "choose_program", lambda *_: SimpleNamespace(path="/bin/kubectl"))

    audit(cluster, tmp_path, "--config", "--format", "json")
    report = json.loads(capsys.readouterr().out)
    assert opened == [("default", f"pod/{WAYPOINT_POD.partition('/')[2]}", 19000)]
    assert not {one["id"] for one in report["not_judged"]} & {"route-not-active", "policy-not-active"}
    audit(cluster, tmp_path, "--config", "--format", "json")
    report = json.loads(capsys.readouterr().out)
    assert "no way there" in {one["id"]: one["reason"] for one in report["not_judged"]}["route-not-active"]


def test_watching_says_what_is_new_and_what_is_gone(
    cluster: FakeApi, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole first, then changes alone; a server that is away for a moment ends nothing; Ctrl-C does."""
    planted = Planted()
    no_address(planted)
    steps = [
        lambda: cluster.put(*planted.objects),
        lambda: cluster.refuse("GET", "/version", 503, "away", times=1),
        lambda: cluster.put(*Planted().objects),
    ]
    waited = []

    def pause(seconds: float, *, why: str) -> None:
        if not steps:
            raise KeyboardInterrupt
        waited.append(seconds)
        steps.pop(0)()

    monkeypatch.setattr(command, "pause", pause)
    monkeypatch.setattr(read_only_client, "PER_SECOND", 1e6)

    assert audit(cluster, tmp_path, "--watch", "7") == 130

    output = capsys.readouterr().out
    assert waited == [7.0] * 3
    assert output.count("hostname-missing: ") == 1
    new, away, gone = output.index("new   HIGH"), output.index("not audited: "), output.index("gone  HIGH")
    assert new < away < gone
    assert audit(cluster, tmp_path, "--watch", "7", "--format", "json") == 2
