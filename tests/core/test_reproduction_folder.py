"""The folder that reproduces a test elsewhere: what is in it, and that its script runs."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from harness import reproduction_folder
from harness.errors import BadInput
from harness.http_exchange import Answer, Answers, Request, get
from harness.report.results import SCHEMA
from harness.version_sets import load
from tests.patience import SOON

FILE = "suites/area/test_x.py"
TEST = f"{FILE}::test_limit"
PAGE = get("/productpage", host="www.example", x_user_id="o'neil-1")
CALL = get("http://10.244.1.9:9080/ratings/0")


def answers(who: str, *statuses: int | None) -> Answers:
    return Answers(tuple(Answer(f"rq-{who[0]}{n}", status, {}, 1.0) for n, status in enumerate(statuses)))


def sighting(who: str, request: Request, *statuses: int | None, probe: bool = False, **how: bool) -> dict[str, Any]:
    found = answers(who, *statuses)
    return {"who": who, "probe": probe, "raw": found.raw([request] * len(found), **how)}


SEEN = [
    sighting("ingress client", PAGE, 200, probe=True),
    sighting("ingress client", PAGE, 200, 200, 429),
    sighting("mesh client", CALL, 503, None, 503, together=True),
]
GATEWAY = {
    "apiVersion": "gateway.networking.k8s.io/v1",
    "kind": "Gateway",
    "metadata": {"name": "g", "namespace": "default"},
}
POLICY = {
    "apiVersion": "gateway.envoyproxy.io/v1alpha1",
    "kind": "BackendTrafficPolicy",
    "metadata": {"name": "p", "namespace": "default"},
}
DEPLOYMENT = {"kind": "Deployment", "name": "ratings-v1", "namespace": "default", "api_version": "apps/v1"}


def change(scope: str, call: str, **full: Any) -> dict[str, Any]:
    return {"in": scope, "call": call, "asked": "…", "full": full}


RECORDS = [
    {"call": "list", "gave": [{"metadata": {"labels": {"app": "ratings"}}, "status": {"podIP": "10.244.1.9"}}]},
    change("fixture ::leftovers_undone[0]", "delete", names=[]),
    change("fixture ::ingress_gateway[0]", "apply", documents=[GATEWAY]),
    change("fixture suites/other.py::applied[0]", "apply", documents=[POLICY | {"kind": "SecurityPolicy"}]),
    change(f"fixture {FILE}::test_another::bound[0]", "patch", name="Service/default/another", body={}),
    {"in": f"test {TEST}", "call": "unique name", "gave": "o'neil-1"},
    change(f"fixture {FILE}::delayed[0]", "patch", name=DEPLOYMENT, body={"spec": {"x": "it's"}}),
    {"in": f"test {TEST}", "call": "ingress in turn", "gave": [{"id": "rq-i0"}]},
    change(f"fixture {FILE}::applied[0]", "apply", documents=[POLICY]),
    {"in": f"test {TEST}", "call": "unique name", "gave": "rq-m0"},
    change(f"fixture {FILE}::applied[0]", "delete", names=[POLICY]),
]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run's folder with one test."""
    folder = tmp_path / "run"
    test = {"id": TEST, "claim": "A limit is kept.", "outcome": "broken", "reason": "assert 1 == 2", "evidence": "own/"}
    results = {
        "schema": SCHEMA,
        "set": load().pick().name,
        "versions": {"istio": "1.29.1"},
        "started": "now",
        "cluster": {"kind": "kind"},
    }
    for name in ("setup", "own"):
        (folder / name).mkdir(parents=True)
    (folder / "results.json").write_text(json.dumps(results | {"tests": [test]}))
    (folder / "own" / "observations.jsonl").write_text("".join(json.dumps(one) + "\n" for one in SEEN))
    (folder / "records.jsonl").write_text("".join(json.dumps(one) + "\n" for one in RECORDS))
    return folder


def script(folder: Path, tmp_path: Path, *statuses: int) -> tuple[subprocess.CompletedProcess[str], str]:
    """Runs run.sh with programs that only log their arguments; each request gets the next of the statuses."""
    programs = tmp_path / "bin"
    programs.mkdir()
    log, left = tmp_path / "calls", tmp_path / "statuses"
    left.write_text("".join(f"{status:03}\n" for status in statuses))
    answer = f'if [[ "$*" == *http_code* ]]; then n=$(grep -c ^url); head -n $n {left}; sed -i 1,${{n}}d {left}; fi'
    address = 'if [[ "$*" == *podIP* ]]; then echo 10.0.0.7; elif [[ "$*" == *"-o name" ]]; then echo proxy; fi'
    for name in ("kind", "helm", "kubectl", "curl", "sleep"):
        (programs / name).write_text(f'#!/bin/bash\necho "{name} $*" >> {log}\n{answer}\n{address}\n')
        (programs / name).chmod(0o755)
    path = f"{programs}:{os.environ['PATH']}"
    ended = subprocess.run(
        [folder / "run.sh"], env={"PATH": path}, text=True, capture_output=True, timeout=SOON, check=False
    )
    return ended, log.read_text()


def test_script_installs_applies_sends_and_compares(run: Path, tmp_path: Path) -> None:
    folder = reproduction_folder.write(run, TEST, tmp_path / "out")

    ended, calls = script(folder, tmp_path, 200, 200, 429, 503, 0, 503)

    assert (ended.returncode, "reproduced: statuses as in the run" in ended.stdout) == (0, True), ended.stderr
    order = (
        "kind create",
        "helm upgrade",
        "manifests/01-redis.yaml",
        "delete --ignore-not-found BackendTrafficPolicy",  # what an earlier run of the script left
        "-gateway.yaml",
        "wait Gateway.v1.gateway.networking.k8s.io g -n default",
        "patch Deployment.v1.apps ratings-v1 -n default --type merge",
        "curl --config - --silent --max-time 30",
        "-backendtrafficpolicy.yaml",
        "kubectl exec -n default -i deployment/mesh-client",
    )
    assert [one for one in order if one not in calls] == [], calls
    assert sorted(order, key=calls.find) == list(order), calls
    assert "securitypolicy" not in calls
    assert "another" not in calls
    assert "--header x-user-id: o'neil-1-" in calls  # a quota of its own in each run
    assert "--parallel --parallel-immediate --parallel-max 3" in calls
    assert calls.count("http_code") == 2
    assert calls.count("delete ") == 1  # not what the run deleted after the last request
    assert "mesh client GET http://10.244.1.9:9080/ratings/0 (together): 503 x 2,none x 1" in ended.stdout


def test_addresses_of_pods_are_asked_for(run: Path, tmp_path: Path) -> None:
    """Those of the run are others."""
    text = (reproduction_folder.write(run, TEST, tmp_path / "out") / "run.sh").read_text()

    assert '"http://$address:9080/ratings/0"' in text


def test_other_statuses_are_reported(run: Path, tmp_path: Path) -> None:
    folder = reproduction_folder.write(run, "test_limit", tmp_path / "out")

    ended, _ = script(folder, tmp_path, 200, 200, 200, 503, 0, 503)

    assert (ended.returncode, "not reproduced" in ended.stdout) == (1, True)


def test_record_that_has_changes_in_short_alone_is_refused(run: Path, tmp_path: Path) -> None:
    """Of a run before they were recorded in full: the script would send to something else."""
    short = [{name: value for name, value in one.items() if name != "full"} for one in RECORDS]
    (run / "records.jsonl").write_text("".join(json.dumps(one) + "\n" for one in short))

    with pytest.raises(BadInput, match="does not have in full what the test applied"):
        reproduction_folder.write(run, TEST, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_folder_needs_nothing_of_ours(run: Path, tmp_path: Path) -> None:
    """No file of it names this repository's programs or folders."""
    folder = reproduction_folder.write(run, TEST, tmp_path / "out")

    texts = {str(file.relative_to(folder)): file.read_text() for file in folder.rglob("*") if file.is_file()}
    assert {"run.sh", "README.md", "versions.json", "expected-and-seen.txt", "values/istiod.yaml"} <= texts.keys()
    ours = (".venv", "mesh-e2e ", str(tmp_path))
    assert {name for name, text in texts.items() if any(one in text for one in ours)} == set()
    assert "A limit is kept." in texts["expected-and-seen.txt"]


@pytest.mark.parametrize(("test", "message"), [("test_limti", "has no test test_limti"), ("suites", ""), ("::", "")])
def test_test_is_named_by_a_part_of_its_id(run: Path, tmp_path: Path, test: str, message: str) -> None:
    """That no other test has."""
    if message:
        with pytest.raises(BadInput, match=message):
            reproduction_folder.write(run, test, tmp_path / "out")
        assert not (tmp_path / "out").exists()
    else:
        assert reproduction_folder.write(run, test, tmp_path / "out").is_dir()


def test_test_without_requests_is_refused(run: Path, tmp_path: Path) -> None:
    """So is a folder that exists, and one that no run wrote."""
    with pytest.raises(BadInput, match="exists already"):
        reproduction_folder.write(run, TEST, tmp_path)
    (run / "own" / "observations.jsonl").write_text("")
    with pytest.raises(BadInput, match="has no requests"):
        reproduction_folder.write(run, TEST, tmp_path / "out")
    with pytest.raises(BadInput, match="has no results"):
        reproduction_folder.write(tmp_path, TEST, tmp_path / "out")
