"""The shell script of a reproduction folder: installs, applies, sends requests, compares."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from harness.image_pins_and_pull_secrets import with_pull_secrets
from harness.install.releases import make_releases
from harness.objects.kind_namespace_name import parse_ref
from harness.objects.manifests import MANIFESTS, Document, read_manifest
from harness.objects.unstructured import text
from harness.objects.workloads import OWNING_GATEWAY
from harness.version_sets import VersionSet

BASE = (
    "base/redis.yaml",
    "install/ambient.yaml",
    "base/bookinfo.yaml",
    "base/mesh_client.yaml",
    "install/envoy_gateway.yaml",
)
INGRESS = "bookinfo-ingress"
SETTLE = 20  # seconds until the data plane enforces a change: Envoy's clusters warm for up to 15
_POD_URL = re.compile(r"^http://(\d+\.\d+\.\d+\.\d+|\[[0-9a-f:]+\]):")


@dataclass(frozen=True, slots=True)
class Sent:
    """Requests that a client of the test sent in one go, all the same; `statuses` are what came back, in order, and
    `id` is the first request's."""

    who: str
    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    together: bool
    statuses: tuple[int | None, ...]
    id: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """An apply, patch or delete: `asked` are its arguments by name, None where the record has them in short alone."""

    call: str
    asked: dict[str, Any] | None


def write_script(
    into: Path,
    versions: VersionSet,
    found: dict[str, Any],
    steps: Sequence[Sent | Change],
    records: Sequence[dict[str, Any]],
) -> None:
    """Writes run.sh, its manifests, and what it compares with. `found` is the test of results.json, `steps` what is
    changed and sent, in order, `records` the run's."""
    (into / "manifests").mkdir(parents=True)
    sent = [step for step in steps if isinstance(step, Sent)]
    (into / "seen-in-the-run.txt").write_text("".join(f"{_label(one)}: {_counted(one)}\n" for one in sent))
    script = into / "run.sh"
    lines = [*_install(versions), *_stack(versions, into), *_steps(steps, records, into), *_comparison(found)]
    script.write_text("\n".join(lines) + "\n")
    script.chmod(0o755)


def pods(records: Sequence[dict[str, Any]]) -> dict[str, str]:
    """The label app=... of each pod address that the run listed."""
    found = {}
    for record in records:
        for obj in record.get("gave") or [] if record.get("call") == "list" else []:
            ip, app = text(obj, "status", "podIP"), text(obj, "metadata", "labels", "app")
            if ip and app:
                found[ip] = app
    return found


def _install(versions: VersionSet) -> Iterator[str]:
    yield "#!/usr/bin/env bash"
    yield "# Needs kind, helm, kubectl, curl. SKIP_INSTALL=1 uses the cluster that kubectl points at, with its stack."
    yield "set -euo pipefail"
    yield 'cd "$(dirname "$0")"'
    yield "now=$(date +%s)  # a part of names that were unique in the run: quotas of an earlier run of this are spent"
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


def _stack(versions: VersionSet, into: Path) -> Iterator[str]:
    for number, name in enumerate(BASE, start=1):
        documents = with_pull_secrets(read_manifest(MANIFESTS / name), versions)
        yield from _apply(documents, into, f"{number:02}-{Path(name).name}")


def _steps(steps: Sequence[Sent | Change], records: Sequence[dict[str, Any]], into: Path) -> Iterator[str]:
    apps, settled, forwarded = pods(records), False, False
    unique = [str(record["gave"]) for record in records if record.get("call") == "unique name" and record.get("gave")]
    yield ": > seen-now.txt"
    yield from _without_policies(steps)
    for number, step in enumerate(steps, start=len(BASE) + 1):
        if isinstance(step, Change):
            settled = False
            yield from _change(step, into, number)
            continue
        if not settled:
            yield f"sleep {SETTLE}  # until the data plane has it"
            settled = True
        if step.who == "ingress client" and not forwarded:
            forwarded = True
            yield f"kubectl --namespace default port-forward service/${{GATEWAY:-{INGRESS}}} 18080:80 >/dev/null &"
            yield "forward=$!"
            yield "trap 'kill $forward 2>/dev/null || true' EXIT"
            yield "sleep 3"
        yield from _curl(step, apps, unique)


def _without_policies(steps: Sequence[Sent | Change]) -> Iterator[str]:
    """Deletes the policies that are applied later: an earlier run of the script may have left them."""
    for step in steps:
        if isinstance(step, Change) and step.call == "apply":
            for one in (step.asked or {})["documents"]:
                if text(one, "kind").endswith("Policy"):
                    yield f"kubectl delete --ignore-not-found {_named(one)}"


def _change(change: Change, into: Path, number: int) -> Iterator[str]:
    asked = change.asked or {}
    if change.call == "apply":
        documents = list(asked["documents"])
        kinds = "-".join(dict.fromkeys(text(one, "kind").lower() for one in documents))
        yield from _apply(documents, into, f"{number:02}-{kinds[:60]}.yaml")
    elif change.call == "patch":
        named = _named(asked["name"])
        yield f"kubectl patch {named} --type merge --patch {shlex.quote(json.dumps(asked['body']))}"
        yield from _rollout(named)
    else:
        for name in reversed(asked["names"]):
            yield f"kubectl delete --ignore-not-found {_named(name)}"


def _apply(documents: Sequence[Document], into: Path, name: str) -> Iterator[str]:
    (into / "manifests" / name).write_text(yaml.safe_dump_all(documents, sort_keys=False))
    yield f"kubectl apply --server-side --force-conflicts -f manifests/{name}"
    for one in documents:
        named = _named(one)
        yield from _rollout(named)
        if text(one, "kind") == "Gateway":
            proxy = f"-n {text(one, 'metadata', 'namespace')} -l {OWNING_GATEWAY}={text(one, 'metadata', 'name')}"
            yield f"kubectl wait {named} --for condition=Accepted --timeout 5m"
            yield f'for _ in $(seq 60); do [ -z "$(kubectl get deployment {proxy} -o name)" ] || break; sleep 2; done'
            yield f"kubectl rollout status deployment {proxy} --timeout 5m"


def _rollout(named: str) -> Iterator[str]:
    if named.startswith(("Deployment.", "DaemonSet.")):
        yield f"kubectl rollout status {named} --timeout 5m"


def _named(one: str | dict[str, Any]) -> str:
    """kubectl's arguments for an object: a name ("Kind/namespace/name"), its parts, or a document. The kind has its
    group and version: Istio's Gateway is another than that of the Gateway API."""
    if isinstance(one, str):
        one = asdict(parse_ref(one))
    metadata = one.get("metadata") or one
    group, _, version = str(one.get("api_version") or one.get("apiVersion")).rpartition("/")
    kind = f"{one['kind']}.{version}.{group}" if group else one["kind"]
    namespace = f" -n {metadata['namespace']}" if metadata.get("namespace") else ""
    return f"{kind} {metadata['name']}{namespace}"


def _curl(one: Sent, apps: dict[str, str], unique: Sequence[str]) -> Iterator[str]:
    options = "--config - --silent --max-time 30 --write-out '%{http_code}\\n'"
    options += f" --parallel --parallel-immediate --parallel-max {len(one.statuses)}" if one.together else ""
    options += f" --request {one.method}" if one.method != "GET" else ""
    for name, value in one.headers:
        own = '"-$now"' if any(part in value for part in unique) else ""
        options += f" --header {shlex.quote(f'{name}: {value}')}{own}"
    url = one.url
    if pod := _POD_URL.match(url):
        app = apps.get(pod[1].strip("[]"), "")
        yield f"# {pod[1]} was a pod of that run" + (f", of app={app}" if app else "")
        if app:
            yield f"address=$(kubectl get pods -n default -l app={app} -o jsonpath='{{.items[0].status.podIP}}')"
            url = url.replace(pod[1], "$address", 1)
    if one.who == "ingress client":
        url, command = f"http://localhost:18080{url}", f"curl {options}"
    else:
        deployment = "mesh-client" if one.who == "mesh client" else one.who
        command = f"kubectl exec -n default -i deployment/{deployment} --container curl -- curl {options}"
    each = f'for _ in $(seq {len(one.statuses)}); do printf \'url = "%s"\\noutput = /dev/null\\n\' "{url}"; done'
    order = "sort | uniq -c | sed -E 's/ *([0-9]+) (.*)/\\2 x \\1/' | paste -sd, " if one.together else "paste -sd' ' "
    yield f"printf '%s: ' {shlex.quote(_label(one))} >> seen-now.txt"
    yield f"{{ {each}; }} | {{ {command} || true; }} | sed 's/^000$/none/' | {order}>> seen-now.txt"


def _label(one: Sent) -> str:
    headers = "".join(f", {name}: {value}" for name, value in one.headers)
    return f"{one.who} {one.method} {one.url}{headers}{' (together)' if one.together else ''}"


def _counted(one: Sent) -> str:
    statuses = [str(status or "none") for status in one.statuses]
    if not one.together:
        return " ".join(statuses)
    return ",".join(f"{status} x {statuses.count(status)}" for status in sorted(set(statuses)))


def _comparison(found: dict[str, Any]) -> Iterator[str]:
    yield f"echo; echo {shlex.quote('expected: ' + found['claim'])}"
    yield f"echo {shlex.quote('in the run: ' + found['outcome'])}; sed 's/^/  /' seen-in-the-run.txt"
    yield "echo 'now:'; sed 's/^/  /' seen-now.txt"
    yield 'if cmp -s seen-in-the-run.txt seen-now.txt; then echo "reproduced: statuses as in the run"'
    yield 'else echo "not reproduced: other statuses than in the run"; exit 1; fi'
