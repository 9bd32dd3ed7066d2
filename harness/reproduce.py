"""A folder that shows one test without anything of this repository: versions, manifests, commands, what was seen.

Reads the run's folder and this repository's manifests. The script needs kind, helm and kubectl, and sends its requests
with curl.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from harness.cluster_call_records import FILE as RECORDS
from harness.errors import BadInput
from harness.image_pins_and_pull_secrets import with_pull_secrets
from harness.install.releases import make_releases
from harness.objects.manifests import MANIFESTS, Document, parse_documents, read_manifest
from harness.objects.unstructured import text
from harness.settings import Settings
from harness.suggest import did_you_mean
from harness.version_sets import VersionSet, load

BASE = (
    "base/redis.yaml",
    "install/ambient.yaml",
    "base/bookinfo.yaml",
    "base/mesh_client.yaml",
    "install/envoy_gateway.yaml",
)
INGRESS = "bookinfo-ingress"
_POD_URL = re.compile(r"^http://(\d+\.\d+\.\d+\.\d+|\[[0-9a-f:]+\]):")


@dataclass(frozen=True, slots=True)
class Sent:
    """Requests that a client of the test sent in one go, all the same; `statuses` are what came back, in order."""

    who: str
    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    together: bool
    statuses: tuple[int | None, ...]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What `mesh-e2e reproduce` takes."""
    parser.add_argument("run", help="the run's folder, for instance runs/latest")
    parser.add_argument("test", help="the test's id, or a part of it that no other has")
    parser.add_argument("--into", default="", help="the folder to write (default: reproduce-<test>)")


def run(asked: argparse.Namespace, _chosen: Settings, _row: VersionSet) -> int:
    """Writes the folder that `mesh-e2e reproduce` asks for, and prints the path of its script.

    Raises:
        BadInput: as `write`.
    """
    name = re.sub(r"[^A-Za-z0-9_.=-]+", "-", asked.test.rpartition("::")[2]).strip("-")
    folder = write(Path(asked.run), asked.test, Path(asked.into or f"reproduce-{name}"))
    sys.stdout.write(f"{folder}/run.sh\n")
    return 0


def write(run: Path, test: str, into: Path) -> Path:
    """Writes the folder. Returns it.

    Raises:
        BadInput: it is no run's folder, has no such test, or what the test sent is not in it; or `into` exists.
    """
    results = _results(run)
    found = _test(results, test)
    sent = requests(_jsonl(run / found["evidence"] / "observations.jsonl") if found.get("evidence") else [])
    if not sent:
        raise BadInput(
            f"{found['id']} has no requests in {run}", remedy="only tests that send requests themselves are reproduced"
        )
    if into.exists():
        raise BadInput(f"{into} exists already", remedy="choose another folder")
    versions = load().pick(results["set"])
    files = list(_manifests(run, found, versions))
    records = _jsonl(run / RECORDS)
    into.mkdir(parents=True)
    (into / "manifests").mkdir()
    (into / "values").mkdir()
    for name, content in files:
        (into / "manifests" / name).write_text(yaml.safe_dump_all(content, sort_keys=False))
    for name, release in make_releases(versions, None).items():
        values = dict(release.values) | ({"crds": {"enabled": True}} if name == "gateway-helm" else {})
        (into / "values" / f"{name}.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    (into / "versions.json").write_text(json.dumps({"set": results["set"], **results["versions"]}, indent=1) + "\n")
    (into / "expected-and-seen.txt").write_text(f"{found['claim']}\n\n{found['outcome']}: {found['reason']}\n")
    script = into / "run.sh"
    script.write_text("\n".join(_script(versions, files, _patches(records, found), sent, pods(records))) + "\n")
    script.chmod(0o755)
    (into / "README.md").write_text(_readme(found, results))
    return into


def requests(lines: Sequence[dict[str, Any]]) -> list[Sent]:
    """What the test's clients sent, in order; probes of waits are left out."""
    found = []
    for line in lines:
        answers = [json.loads(raw) for raw in line.get("raw", ()) if '"request"' in raw]
        if line.get("probe") or not answers:
            continue
        group: list[dict[str, Any]] = []
        for answer in answers:
            if group and answer["request"] != group[0]["request"]:
                found.append(_sent(line["who"], group))
                group = []
            group.append(answer)
        found.append(_sent(line["who"], group))
    return found


def pods(records: Sequence[dict[str, Any]]) -> dict[str, str]:
    """The label app=... of each pod address that the run listed."""
    found = {}
    for record in records:
        for obj in record.get("gave") or [] if record.get("call") == "list" else []:
            ip, app = text(obj, "status", "podIP"), text(obj, "metadata", "labels", "app")
            if ip and app:
                found[ip] = app
    return found


def _sent(who: str, group: Sequence[dict[str, Any]]) -> Sent:
    asked = group[0]["request"]
    headers = dict(asked["headers"]) | ({"host": asked["host"]} if asked["host"] else {})
    statuses = tuple(one["status"] for one in group)
    return Sent(who, asked["method"], asked["url"], tuple(headers.items()), bool(asked["together"]), statuses)


def _results(run: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads((run / "results.json").read_text())
    except (OSError, ValueError):
        remedy = "give one of runs/, for instance runs/latest"
        raise BadInput(f"{run} is not the folder of a finished run", remedy=remedy) from None
    return found


def _test(results: dict[str, Any], test: str) -> dict[str, Any]:
    ids = [one["id"] for one in results["tests"]]
    exact = [one for one in results["tests"] if one["id"] == test]
    named = exact or [one for one in results["tests"] if test in one["id"]]
    if len(named) != 1:
        why = f"{len(named)} tests of the run have {test} in their id" if named else f"the run has no test {test}"
        raise BadInput(f"{why}{did_you_mean(test, ids)}", remedy="give the whole id, as summary.txt has it")
    return dict(named[0])


def _jsonl(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines() if line] if file.exists() else []


def _manifests(run: Path, found: dict[str, Any], versions: VersionSet) -> Iterator[tuple[str, list[Document]]]:
    """The stack's, those that stood for the whole session, and the test's own, each with its number in front."""
    parts = [(Path(name).name, with_pull_secrets(read_manifest(MANIFESTS / name), versions)) for name in BASE]
    for folder in (run / "setup", run / found["evidence"]):
        parts += [(file.name, parse_documents(file.read_text())) for file in sorted(folder.glob("*.yaml"))]
    for number, (name, content) in enumerate(parts, start=1):
        yield f"{number:02}-{name}", content


def _patches(records: Sequence[dict[str, Any]], found: dict[str, Any]) -> list[str]:
    """kubectl commands for what was patched before the test's end; what the record has cut short becomes a remark."""
    file, lines = found["id"].partition("::")[0], []
    for record in records:
        whose = str(record.get("in", ""))
        concerns = whose.startswith(("fixture ::", f"fixture {file}")) or found["id"] in whose
        if record.get("call") != "patch" or not concerns:
            continue
        asked = str(record.get("asked", ""))
        try:
            named, end = json.JSONDecoder().raw_decode(asked)
            body = json.dumps(json.loads(asked[end:]))
        except ValueError:
            lines.append(f"# the run patched something that its record has not in full: {asked}")
            continue
        where = f"--namespace {named['namespace']} " if named["namespace"] else ""
        lines.append(f"kubectl patch {where}{named['kind']} {named['name']} --type merge --patch {shlex.quote(body)}")
    return lines


def _script(
    versions: VersionSet,
    files: Sequence[tuple[str, list[Document]]],
    patches: Sequence[str],
    sent: Sequence[Sent],
    apps: dict[str, str],
) -> Iterator[str]:
    yield "#!/usr/bin/env bash"
    yield "# Needs kind, helm, kubectl, curl. SKIP_INSTALL=1 uses the cluster that kubectl points at, with its stack."
    yield "set -euo pipefail"
    yield 'cd "$(dirname "$0")"'
    yield 'if [ "${SKIP_INSTALL:-}" != 1 ]; then'
    yield f"  kind create cluster --name reproduce --image {shlex.quote(versions.node)}"
    for name, release in make_releases(versions, None).items():
        if name == "gateway-helm":
            yield "  kubectl apply --server-side -f manifests/01-redis.yaml"
        yield (
            f"  helm upgrade --install {release.name} {release.chart} --version {release.version} "
            f"--namespace {release.namespace} --create-namespace --values values/{name}.yaml --wait --timeout 10m"
        )
    yield "fi"
    for name, content in files:
        yield f"kubectl apply --server-side --force-conflicts -f manifests/{name}"
        yield from _waits(content)
    yield from patches
    yield "sleep 5  # the data plane follows"
    if any(one.who == "ingress client" for one in sent):
        yield f"kubectl --namespace default port-forward service/${{GATEWAY:-{INGRESS}}} 18080:80 >/dev/null &"
        yield "forward=$!"
        yield "trap 'kill $forward 2>/dev/null || true' EXIT"
        yield "sleep 3"
    yield "seen=seen-now.txt; : > $seen"
    for one in sent:
        yield from _curl(one, apps)
    yield "cat > seen-in-the-run.txt <<'END'"
    for one in sent:
        statuses = [str(status or "none") for status in one.statuses]
        yield " ".join(sorted(statuses) if one.together else statuses)
    yield "END"
    yield 'if diff seen-in-the-run.txt $seen; then echo "reproduced: statuses as in the run"'
    yield 'else echo "not reproduced: other statuses than in the run"; exit 1; fi'


def _waits(content: Sequence[Document]) -> Iterator[str]:
    for one in content:
        kind, name, namespace = text(one, "kind"), text(one, "metadata", "name"), text(one, "metadata", "namespace")
        if kind in ("Deployment", "DaemonSet"):
            yield f"kubectl --namespace {namespace} rollout status {kind}/{name} --timeout 5m"
        if kind == "Gateway":
            yield f"kubectl --namespace {namespace} wait gateway/{name} --for condition=Programmed --timeout 5m"


def _curl(one: Sent, apps: dict[str, str]) -> Iterator[str]:
    headers = " ".join(f"--header {shlex.quote(f'{name}: {value}')}" for name, value in one.headers)
    method = "" if one.method == "GET" else f" --request {one.method}"
    options = f"--silent --output /dev/null --max-time 30 --write-out '%{{http_code}}\\n'{method} {headers}".rstrip()
    url = one.url
    if pod := _POD_URL.match(url):
        app = apps.get(pod[1].strip("[]"), "")
        yield f"# {pod[1]} was a pod of that run" + (f", of app={app}" if app else "")
        if app:
            yield f"address=$(kubectl get pods --selector app={app} --output jsonpath={{.items[0].status.podIP}})"
            url = url.replace(pod[1], "$address", 1)
    if one.who == "ingress client":
        command = f'curl {options} "http://localhost:18080{url}"'
    else:
        deployment = "mesh-client" if one.who == "mesh client" else one.who
        command = f'kubectl exec deployment/{deployment} --container curl -- curl {options} "{url}"'
    amp = " &" if one.together else ""
    wait = " wait;" if one.together else ""
    count = len(one.statuses)
    loop = f"for _ in $(seq {count}); do {{ {command} || true; }}{amp if amp else ';'} done;{wait}"
    order = "sort | " if one.together else ""
    yield f"{{ {loop} }} | sed 's/^000$/none/' | {order}tr '\\n' ' ' | sed 's/ $/\\n/' >> $seen"


def _readme(found: dict[str, Any], results: dict[str, Any]) -> str:
    versions = "\n".join(f"- {name} {version}" for name, version in results["versions"].items())
    return f"""# {found["claim"]}

`./run.sh` makes a kind cluster, installs the versions below, applies `manifests/` in order, sends the requests with
curl, and compares their statuses with those of the run. `SKIP_INSTALL=1 ./run.sh` uses the cluster that kubectl points
at, with its stack.

Seen in the run ({results["started"]}, on {results["cluster"]["kind"]}):

    {found["outcome"]}: {found["reason"].strip().splitlines()[0] if found["reason"].strip() else "as claimed"}

`expected-and-seen.txt` has all of it. Responses are compared by status; timing is not reproduced.

{versions}
"""
