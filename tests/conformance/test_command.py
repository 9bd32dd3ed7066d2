"""`mesh-e2e conformance`: refused before anything is made, the binary built once, the suite run as a Job."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from harness import cli, diagnostics, version_sets
from harness.conformance import binary, command, running, suite_claims
from harness.conformance.run_files import Recording
from harness.conformance.running import GATEWAY, VARIANTS, arguments, run_suite
from harness.errors import BadInput, CommandFailed, SetupFailed
from harness.history.store import History
from harness.install import installation
from harness.kube import Kube
from harness.objects import kind_namespace_name
from harness.objects.manifests import MANIFESTS, read_manifest
from harness.report.results_file import read_results
from harness.report_page import model, run_folders
from harness.settings import Settings
from tests.fakes.api import Exec, FakeApi, Object
from tests.fakes.cluster import FakeCluster
from tests.fakes.pods import pod
from tests.fakes.programs import Programs
from tests.recordings import HERE

ROW = version_sets.load().pick("istio-1.29-eg-1.7")
SUITE = ROW.conformance
BUILD = 'while [ $# -gt 1 ]; do [ "$1" = -o ] && printf "\\177ELF" >"$2"; shift; done; exit 0'


@pytest.fixture
def elf(tmp_path: Path) -> Path:
    file = tmp_path / "conformance.test"
    file.write_bytes(binary.ELF + b"\0")
    return file


@pytest.mark.parametrize(
    ("settings", "argv", "message"),
    [
        ({}, [], "`go` is not on PATH"),
        ({"CONFORMANCE_BINARY": "/nowhere/x"}, [], "cannot be read"),
        ({"CONFORMANCE_BINARY": __file__}, [], "is not a program for Linux"),
        ({"CLUSTER": "emulated"}, [], "emulated cluster"),
        ({"REGISTRY": "registry.example:5000"}, [], "name public registries"),
        ({}, ["--only", "outsid"], "no run is named outsid"),
        ({}, ["--judge", "/nowhere"], "has no run of the conformance suite"),
    ],
)
def test_refused_before_anything_is_made(
    settings: dict[str, str],
    argv: list[str],
    message: str,
    programs: Programs,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One sentence with a remedy, exit code 2, no program called and no folder made."""
    programs.have("docker", "kind", "helm", "kubectl")
    for name, value in {"RUNS": str(tmp_path / "runs"), "STATE": str(tmp_path / "state"), **settings}.items():
        monkeypatch.setenv(f"E2E_{name}", value)

    assert cli.main(["conformance", *argv]) == 2
    shown = capsys.readouterr().err
    assert message in shown
    assert "remedy: " in shown
    assert programs.calls() == []
    assert not (tmp_path / "runs").exists()
    assert not (tmp_path / "state").exists()


def test_unknown_bundle_is_refused(settings: Settings, elf: Path) -> None:
    """A Gateway API without a known suite is named, with those that are known."""
    asked = argparse.Namespace(judge="", only="outside", test="", skip="")
    chosen = settings.model_copy(update={"conformance_binary": elf})

    with pytest.raises(BadInput, match=r"Gateway API 1\.4\.1 \(known: .*1\.6\.1"):
        command.run(asked, chosen, ROW.model_copy(update={"conformance": None}))


def test_binary_is_built_once(settings: Settings, programs: Programs) -> None:
    """Go builds a static Linux program of the suite's package and version; the next run finds it."""
    assert SUITE
    programs.script("go", BUILD)
    first = binary.prepare(settings, SUITE)
    calls = programs.calls("go")
    again = binary.prepare(settings, SUITE)

    assert first == again
    assert first.read_bytes().startswith(binary.ELF)
    assert [call.argv[2] for call in calls] == ["get", "test"]
    assert SUITE.package in calls[0].argv
    assert calls[1].argv[-1] == SUITE.package.partition("@")[0]
    assert {(call.env["CGO_ENABLED"], call.env["GOOS"]) for call in calls} == {("0", "linux")}
    assert len(programs.calls("go")) == 2
    (module,) = settings.tools.rglob("go.mod")
    assert "replace sigs.k8s.io/gateway-api => sigs.k8s.io/gateway-api v1.4.1\n" in module.read_text()


def test_failed_build_leaves_no_binary(settings: Settings, programs: Programs) -> None:
    """What Go says is quoted, and the next run builds again."""
    assert SUITE
    programs.script("go", "")
    programs.answer("go", "get", err="module not found", code=1)

    with pytest.raises(CommandFailed, match="module not found"):
        binary.prepare(settings, SUITE)
    assert list(settings.tools.rglob("*.test")) == []


def test_arguments_of_each_run() -> None:
    """Features and profiles are passed, as Envoy Gateway publishes none; base resources stay for their logs."""
    assert SUITE
    outside, inside, mesh = (arguments(one, SUITE, "1.7.5") for one in VARIANTS.values())

    assert f"-conformance-profiles={','.join(GATEWAY)}" in outside
    assert f"-supported-features={','.join(SUITE.gateway)}" in outside
    assert not any(one.startswith("-namespace-labels") for one in outside)
    assert "-namespace-labels=istio.io/dataplane-mode=ambient" in inside
    assert f"-supported-features={','.join(SUITE.mesh)}" in mesh
    assert all("-cleanup-base-resources=false" in one for one in (outside, inside, mesh))
    assert "-skip-tests=MeshBasic,MeshPorts" in arguments(
        VARIANTS["mesh"], SUITE, "1.7.5", skip=["MeshBasic", "MeshPorts"]
    )
    assert "-run-test=UDPRoute" in arguments(VARIANTS["outside"], SUITE, "1.7.5", only="UDPRoute")


@pytest.mark.parametrize("name", version_sets.load().conformance)
def test_features_of_a_mesh_are_no_gateways(name: str) -> None:
    """A Gateway run asks for no mesh feature, and names nothing twice."""
    suite = version_sets.load().conformance[name]

    assert not [one for one in suite.gateway if one.startswith("Mesh")]
    assert "Gateway" not in suite.mesh
    assert len(set(suite.gateway)) == len(suite.gateway)
    assert suite.package.endswith(f"@v{name}")


@pytest.fixture
def with_jobs(api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> FakeApi:
    """An API server that has Jobs, each of them with a running pod."""
    monkeypatch.setitem(kind_namespace_name.KINDS, "Job", ("batch/v1", True))
    api.kinds.add("Job")
    api.put(
        *(one for one in read_manifest(MANIFESTS / "conformance/suite.yaml") if one["metadata"]["name"] == "default")
    )
    api.put(pod("default/conformance-x", labels={"app": "conformance"}))
    return api


def test_suite_runs_as_a_job_and_goes(
    with_jobs: FakeApi, kube: Kube, cluster: FakeCluster, programs: Programs, elf: Path, tmp_path: Path
) -> None:
    """The binary is copied into the Job's pod, its files are read unchanged, and all that was made is deleted."""
    programs.have("kubectl")
    programs.answer("kubectl", "logs", out="2026-11-27T23:00:00.5Z Echoing back request made to / to client (x)\n")
    files = {"log": "=== RUN   TestConformance\n", "report.yaml": "kind: ConformanceReport\n"}
    jobs: list[Object] = []

    def execute(argv: list[str]) -> Exec:
        jobs.extend(one for name, one in with_jobs.objects.items() if name.startswith("Job/"))
        return Exec(files[argv[1]]) if argv[0] == "cat" else Exec("1\n0\n")

    with_jobs.execute = execute
    backend = pod("gateway-conformance-infra/backend-1", labels={"app": "backend"})
    backend["metadata"]["annotations"] = {running.ENROLLED: "enabled"}
    with_jobs.put(backend)
    before = {name for name in with_jobs.objects if "gateway-conformance" not in name and "conformance-x" not in name}

    found = run_suite(cluster, kube, ROW.with_conformance(), VARIANTS["outside"], elf, "kubectl")  # type: ignore[arg-type]  # what it uses

    assert (found.log, found.report) == (files["log"], files["report.yaml"])
    assert found.backends.startswith("gateway-conformance-infra/backend-1 2026-11-27T23:00:00.5Z Echoing")
    assert (found.pods, found.enrolled) == (1, 1)
    assert "-gateway-class=eg-conformance" in jobs[0]["spec"]["template"]["spec"]["containers"][0]["args"]
    assert programs.call("kubectl", "cp").argv[-2:] == [str(elf), "default/conformance-x:/suite/conformance.test"]
    assert {name for name in with_jobs.objects if "Pod/gateway" not in name} == before
    found.write(tmp_path / "recorded")
    assert Recording.read(tmp_path / "recorded") == found


def test_namespaces_of_others_are_refused(kube: Kube, api: FakeApi) -> None:
    """The suite's names are fixed: what somebody else has there would be changed and deleted."""
    api.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "gateway-conformance-infra"}})

    with pytest.raises(BadInput, match="gateway-conformance-infra"):
        running.refuse_others(kube)


class Made(FakeCluster):
    """A cluster that is made and deleted."""

    requirements = ()


@pytest.fixture
def flow(
    api: FakeApi, settings: Settings, elf: Path, programs: Programs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Made, Settings]:
    """The command on a cluster that has the stack; each run of the suite leaves what is in tests/recordings."""
    programs.have("kubectl")
    cluster = Made(api.kubeconfig(tmp_path / "kubeconfig"))
    monkeypatch.setattr(command, "choose_cluster", lambda *_: cluster)
    monkeypatch.setattr(installation, "ensure_stack", lambda *_, **__: None)
    monkeypatch.setattr(command, "run_suite", lambda *args, **_: Recording.read(HERE / "conformance" / args[3].name))
    return cluster, settings.model_copy(update={"conformance_binary": elf})


def test_reports_are_written_and_the_cluster_goes(flow: tuple[Made, Settings]) -> None:
    """The suite's own files are kept as they are, ours stand beside them, and a broken test is exit code 1."""
    cluster, chosen = flow
    asked = argparse.Namespace(judge="", only="outside,inside", test="", skip="")

    shown, code = command.run(asked, chosen, ROW)
    (folder,) = (path for path in chosen.runs.iterdir() if not path.is_symlink())

    assert code == 1
    assert "broken UDPRoute" in shown
    assert str(folder) in shown
    assert (folder / "summary.txt").read_text() in f"{shown}\n"
    written = json.loads((folder / "conformance.json").read_text())
    assert [one["outcomes"].get("broken", 0) for one in written["runs"]] == [0, 1]
    run = read_results(folder)
    assert run["counts"]["broken"] == 1
    assert [row["broken"] for row in run["tables"][suite_claims.TABLE]] == ["0", "1"]
    for file in ("outside/report.yaml", "inside/suite.log"):
        assert (folder / "conformance" / file).read_bytes() == (HERE / "conformance" / file).read_bytes()
    assert [value for value, _ in cluster.calls] == ["create", "delete"]
    assert command.run(argparse.Namespace(judge=str(folder), only="", test="", skip=""), chosen, ROW)[1] == 1


def test_folder_is_judged_shown_and_kept_in_the_history(
    flow: tuple[Made, Settings], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A conformance folder is a run's: `judge` names a verdict that was altered in it, the page has a table of it and
    no cell, and the history has its tests."""
    _, chosen = flow
    command.run(argparse.Namespace(judge="", only="outside,inside", test="", skip=""), chosen, ROW)
    (folder,) = (path for path in chosen.runs.iterdir() if not path.is_symlink())
    assert cli.main(["judge", str(folder)]) == 0
    data = model.page(*run_folders.read_runs([folder]), "2026-11-28T00:00:00+00:00")
    history = History(tmp_path / "history.db")
    history.add(folder)
    run = read_results(folder)
    kept = [one for one in run["tests"] if one["id"] != "conformance/outside::UDPRoute"]
    altered = [one | ({"outcome": "held"} if one["id"] == "conformance/inside::UDPRoute" else {}) for one in kept]
    (folder / "results.json").write_text(json.dumps(run | {"tests": altered}))
    capsys.readouterr()

    assert cli.main(["judge", str(folder)]) == 1
    shown = capsys.readouterr().out
    assert "conformance/inside::UDPRoute: held -> broken: passed, but the backend did not answer" in shown
    assert "conformance/outside::UDPRoute: no verdict -> held" in shown
    assert data["cells"] == []
    assert [(one["outcome"], [row["run"] for row in one["figures"]]) for one in data["conformance"]] == [
        ("broken", ["outside", "inside"])
    ]
    assert [one.outcome for one in history.of("conformance/inside::UDPRoute")] == ["broken"]
    assert SUITE
    assert [one.source for one in history.of("conformance/inside::UDPRoute")] == [SUITE.package]


def test_evidence_is_gathered_before_the_cluster_goes(
    flow: tuple[Made, Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A suite that could not be run is an error; what was gathered is in the run's folder."""
    cluster, chosen = flow

    def fail(*_: object, **__: object) -> Recording:
        raise SetupFailed("its pod did not start")

    monkeypatch.setattr(command, "run_suite", fail)
    monkeypatch.setattr(diagnostics, "gather", lambda *args, **_: cluster.calls.append(("gather", args[1])))

    with pytest.raises(SetupFailed, match="did not start"):
        command.run(argparse.Namespace(judge="", only="inside", test="", skip=""), chosen, ROW)
    assert [value for value, _ in cluster.calls] == ["create", "gather", "delete"]
    (folder,) = (path for path in chosen.runs.iterdir() if not path.is_symlink())
    run = read_results(folder)
    assert (run["tests"], run["exit"], run["why"]) == ([], 1, "its pod did not start")
