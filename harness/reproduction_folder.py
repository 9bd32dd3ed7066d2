"""The command `mesh-e2e reproduce`: writes a folder that reproduces one test without this repository.

Reads the run's folder: what the test sent and, from records.jsonl, what it and its fixtures applied, patched and
deleted before and between its requests, in that order.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import yaml

from harness.cluster_call_records import CHANGES
from harness.cluster_call_records import FILE as RECORDS
from harness.errors import BadInput
from harness.install.releases import make_releases
from harness.report.results_file import read_results
from harness.reproduction_script import Change, Sent, write_script
from harness.settings import Settings
from harness.suggest import did_you_mean
from harness.version_sets import VersionSet, load


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
    results = read_results(run)
    found = _test(results, test)
    sent = requests(_jsonl(run / found["evidence"] / "observations.jsonl") if found.get("evidence") else [])
    if not sent:
        raise BadInput(
            f"{found['id']} has no requests in {run}", remedy="only tests that send requests themselves are reproduced"
        )
    if into.exists():
        raise BadInput(f"{into} exists already", remedy="choose another folder")
    versions, records = load().pick(results["set"]), _jsonl(run / RECORDS)
    steps = list(in_order(records, found["id"], sent))
    if any(isinstance(step, Change) and step.asked is None for step in steps):
        raise BadInput(f"{run / RECORDS} does not have in full what the test applied", remedy="run the test once more")
    (into / "values").mkdir(parents=True)
    for name, release in make_releases(versions, None).items():
        values = dict(release.values) | ({"crds": {"enabled": True}} if name == "gateway-helm" else {})
        (into / "values" / f"{name}.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    (into / "versions.json").write_text(json.dumps({"set": results["set"], **results["versions"]}, indent=1) + "\n")
    (into / "expected-and-seen.txt").write_text(f"{found['claim']}\n\n{found['outcome']}: {found['reason']}\n")
    write_script(into, versions, found, steps, records)
    (into / "README.md").write_text(_readme(found, results))
    return into


def requests(lines: Sequence[dict[str, Any]]) -> list[Sent]:
    """What the test's clients sent, in order; probes of waits are left out."""
    found = []
    for line in lines:
        answers = [json.loads(raw) for raw in line.get("raw", ()) if '"request"' in raw]
        for _, group in groupby(answers if not line.get("probe") else (), key=lambda answer: answer["request"]):
            found.append(_sent(line["who"], list(group)))
    return found


def in_order(records: Sequence[dict[str, Any]], test: str, sent: Sequence[Sent]) -> Iterator[Sent | Change]:
    """What was sent, and what the session's fixtures, those of the test's file, and the test itself changed before and
    between, in the order of the records."""
    file = test.partition("::")[0]
    folders = [str(folder) for folder in Path(file).parents]
    scopes = tuple(f"fixture {node}::" for node in ("", file, test, *folders))
    left = list(sent)
    for record in records:
        whose = str(record.get("in", ""))
        other = whose.startswith(f"fixture {file}::test_") and not whose.startswith(f"fixture {test}::")
        if record.get("call") in CHANGES and not other and (whose.startswith(scopes) or whose == f"test {test}"):
            asked = record.get("full")
            if asked != {"names": []} and record.get("asked") != "[]":
                yield Change(record["call"], asked)
        elif str(record.get("call")).startswith(("ingress", "unique name")):
            gave = json.dumps(record.get("gave"))
            while left and left[0].id and left[0].id in gave:
                yield left.pop(0)
            if not left:
                return
    yield from left


def _sent(who: str, group: Sequence[dict[str, Any]]) -> Sent:
    asked = group[0]["request"]
    headers = dict(asked["headers"]) | ({"host": asked["host"]} if asked["host"] else {})
    statuses = tuple(one["status"] for one in group)
    together = bool(asked["together"])
    return Sent(who, asked["method"], asked["url"], tuple(headers.items()), together, statuses, group[0].get("id", ""))


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


def _readme(found: dict[str, Any], results: dict[str, Any]) -> str:
    versions = "\n".join(f"- {name} {version}" for name, version in results["versions"].items())
    return f"""# {found["claim"]}

`./run.sh` makes a kind cluster, installs the versions below, applies `manifests/` and sends the requests with curl in
the order of the run, and compares their statuses with those of the run. `SKIP_INSTALL=1 ./run.sh` uses the cluster that
kubectl points at, with its stack.

Seen in the run ({results["started"]}, on {results["cluster"]["kind"]}):

    {found["outcome"]}: {found["reason"].strip().splitlines()[0] if found["reason"].strip() else "as claimed"}

`expected-and-seen.txt` has all of it. Responses are compared by status; timing is not reproduced.

{versions}
"""
