"""Builds the data of the report page, as one JSON value. Pure.

A cell of the matrix is a pair of versions on a Kubernetes minor, on real clusters only. Its verdict on a claim is the
newest that judges (held, broken); its outcome is the worst of its claims. What changed is the difference between the
newest two verdicts that judge a claim in one cell. Claims on an upgrade and of the conformance suite are of no cell.
Runs under a planted fault are counted, not shown.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from harness.conformance import suite_claims
from harness.load.upgrade_losses import TABLE
from harness.outcome import VERDICTS, Outcome, worst
from harness.report import support_table
from harness.report.results import PLANTED, UPGRADE_TO
from harness.report_page.run_folders import FailedCell, ReadRun

SCHEMA = "mesh-e2e/page/v2"
PRODUCTS = ("istio", "envoy-gateway", "kubernetes")
UPGRADES = "upgrades"  # the area of claims on an upgrade
BINS = 80  # columns of a timeline's chart
_HOP = re.compile(r"^ +[o|]  *(?P<kind>\S+(?: \S+)*) {2,}(?P<pod>\S+) *(?P<rest>.*)$")
_REQUEST = re.compile(r"^request (\S+)$")


def page(runs: Sequence[ReadRun], failed: Sequence[FailedCell], made: str) -> dict[str, Any]:
    """The page's data. `runs` go from the oldest to the newest; `made` is when the page is made.

    Its keys:
        claims   [{id, area, text, feature, place, path (of its evidence)}], which everything else refers to by index
        witnesses [[who]], to which the details of runs refer by index
        runs     [{name, cluster, conformance, set, versions, started, finished, why, verdicts: [[claim, outcome,
                 seconds]], details: {claim: {reason, witnesses, figures, evidence, path (if not the claim's)}},
                 stages, times, tables, timelines}]
        cells    [{istio, envoy_gateway, kubernetes, outcome, counts, verdicts: {claim: [outcome, run]}, changed:
                 [{claim, before, after, runs: [before, after]}], unsteady: [{claim, outcomes}]}]
        conformance [{istio, envoy_gateway, kubernetes, outcome, run, figures}]: runs of the Gateway API's suite, of no
                 cell either; figures are the rows of their table
        upgrades [{istio, envoy_gateway, kubernetes, to, outcome, counts, seconds, run, paths}]: claims on an
                 upgrade, which are of no cell; paths are the rows of their table
        support  the support table's cells; failed: cells without a run; planted: how many runs were left out
    """
    shown = [run for run in runs if PLANTED not in run.results["facts"]]
    claims: dict[str, int] = {}
    texts: list[dict[str, str]] = []
    for run in shown:
        for test in run.results["tests"]:
            if test["id"] not in claims:
                claims[test["id"]] = len(texts)
                texts.append({key: test.get(key, "") for key in ("id", "area", "feature", "place")})
            # The newest wording and path; with many runs most of the page would be paths that are the same in each.
            texts[claims[test["id"]]] |= {"text": test["claim"], "path": test["evidence"]}
    witnesses: dict[tuple[str, ...], int] = {}
    return {
        "schema": SCHEMA,
        "made": made,
        "claims": texts,
        "runs": [_run(run, claims, texts, witnesses) for run in shown],
        "witnesses": list(witnesses),
        "cells": _cells(shown, claims),
        "conformance": [_suite(run, number) for number, run in enumerate(shown) if _of_suite(run)],
        "upgrades": [_upgrade(run, number) for number, run in enumerate(shown) if _upgrades(run)],
        "support": support_table.as_json(support_table.cells([(run.name, run.results) for run in shown])),
        "failed": [{"name": cell.name, "why": cell.why} for cell in failed],
        "planted": len(runs) - len(shown),
    }


def _run(
    run: ReadRun,
    claims: Mapping[str, int],
    texts: Sequence[Mapping[str, str]],
    witnesses: dict[tuple[str, ...], int],
) -> dict[str, Any]:
    """`witnesses` is filled on the way."""
    results = run.results
    details = {}
    for test in results["tests"]:
        evidence = [_file(name, text) for name, text in run.evidence.get(test["id"], ())]
        detail = {
            "reason": test["reason"] if test["outcome"] != Outcome.HELD else "",
            "figures": [[figure["name"], figure["seconds"], figure["of"]] for figure in test["figures"]],
            "evidence": evidence,
        }
        found = {name: value for name, value in detail.items() if value}
        found["witnesses"] = witnesses.setdefault(tuple(test["witnesses"]), len(witnesses))
        if test["evidence"] != texts[claims[test["id"]]]["path"]:
            found["path"] = test["evidence"]
        details[claims[test["id"]]] = found
    return {
        "name": run.name,
        "cluster": results["cluster"]["kind"],
        "conformance": results["cluster"]["conformance"],
        "set": results["set"],
        "versions": results["versions"],
        "started": results["started"],
        "finished": run.finished,
        "why": results.get("why", ""),
        "verdicts": [[claims[test["id"]], test["outcome"], test["seconds"]] for test in results["tests"]],
        "details": details,
        "stages": [[stage["name"], stage["seconds"], stage["failed"]] for stage in results["stages"]],
        "times": results["times"],
        "tables": results["tables"],
        "timelines": [timeline_chart(timeline) for timeline in run.timelines],
    }


def _file(name: str, text: str) -> dict[str, Any]:
    """A file of evidence; a journey also as its hops."""
    return {"name": name, "text": text} | ({"hops": hops(text)} if name == "journey.txt" else {})


def hops(text: str) -> list[dict[str, Any]]:
    """The first journey of a journey.txt: [{kind, pod, text, inner: whether it is a connection of ztunnel's}]."""
    found: list[dict[str, Any]] = []
    for line in text.splitlines():
        if _REQUEST.match(line) and found:
            break
        if match := _HOP.match(line):
            rest = re.sub(r" {2,}", " · ", match["rest"].strip())
            found.append(
                {"kind": match["kind"], "pod": match["pod"], "text": rest, "inner": match["kind"].startswith("ztunnel")}
            )
    return found


def timeline_chart(timeline: Mapping[str, Any]) -> dict[str, Any]:
    """A timeline of load in at most BINS columns: {client, seconds, bins: [[served, lost]], events: [{what, began,
    ended}]}, seconds since its first request."""
    samples, wanted = timeline["samples"], set(timeline["wanted"])
    began = min(sample["at"] for sample in samples)
    length = max(max(sample["at"] for sample in samples) - began, 0.001)
    bins = [[0, 0] for _ in range(BINS)]
    for sample in samples:
        column = min(int((sample["at"] - began) / length * BINS), BINS - 1)
        bins[column][sample["status"] not in wanted] += 1
    events = [
        {"what": event["what"], "began": round(event["began"] - began, 2), "ended": round(event["ended"] - began, 2)}
        for event in timeline["events"]
    ]
    return {"client": timeline["client"], "seconds": round(length, 2), "bins": bins, "events": events}


def _cells(runs: Sequence[ReadRun], claims: Mapping[str, int]) -> list[dict[str, Any]]:
    histories: dict[tuple[str, ...], dict[int, list[tuple[str, int]]]] = {}
    for number, run in enumerate(runs):
        key = _versions(run)
        if not run.results["cluster"]["conformance"] or not all(key):
            continue
        for test in (one for one in run.results["tests"] if one not in _upgrades(run) and one not in _of_suite(run)):
            history = histories.setdefault(key, {})
            history.setdefault(claims[test["id"]], []).append((test["outcome"], number))
    return [_cell(key, history) for key, history in sorted(histories.items(), key=lambda item: _order(item[0]))]


def _cell(key: tuple[str, ...], history: Mapping[int, Sequence[tuple[str, int]]]) -> dict[str, Any]:
    verdicts, changed, unsteady = {}, [], []
    for claim, found in history.items():
        judged = [one for one in found if one[0] in VERDICTS]
        verdicts[claim] = (judged or found)[-1]
        if len(judged) > 1 and judged[-1][0] != judged[-2][0]:
            (before, first), (after, second) = judged[-2:]
            changed.append({"claim": claim, "before": before, "after": after, "runs": [first, second]})
        if len({outcome for outcome, _ in judged}) > 1:
            unsteady.append({"claim": claim, "outcomes": [list(one) for one in found]})
    outcomes = [outcome for outcome, _ in verdicts.values()]
    return {
        "istio": key[0],
        "envoy_gateway": key[1],
        "kubernetes": key[2],
        "outcome": worst(outcomes) or "not judged",
        "counts": _counts(outcomes),
        "verdicts": {claim: list(one) for claim, one in verdicts.items()},
        "changed": changed,
        "unsteady": unsteady,
    }


def _of_suite(run: ReadRun) -> list[Mapping[str, Any]]:
    """The verdicts of a run on the conformance suite's tests."""
    return [test for test in run.results["tests"] if test["area"] == suite_claims.AREA]


def _suite(run: ReadRun, number: int) -> dict[str, Any]:
    istio, envoy_gateway, kubernetes = _versions(run)
    return {
        "istio": istio,
        "envoy_gateway": envoy_gateway,
        "kubernetes": kubernetes,
        "outcome": worst(test["outcome"] for test in _of_suite(run)) or "not judged",
        "run": number,
        "figures": run.results["tables"].get(suite_claims.TABLE, []),
    }


def _upgrades(run: ReadRun) -> list[Mapping[str, Any]]:
    """The verdicts of a run on an upgrade: they are about two versions, and of no cell of the matrix."""
    upgraded = run.results["cluster"]["conformance"] and run.results["facts"].get(UPGRADE_TO)
    return [test for test in run.results["tests"] if test["area"] == UPGRADES] if upgraded else []


def _upgrade(run: ReadRun, number: int) -> dict[str, Any]:
    istio, envoy_gateway, kubernetes = _versions(run)
    tests = _upgrades(run)
    outcomes = [test["outcome"] for test in tests]
    return {
        "istio": istio,
        "envoy_gateway": envoy_gateway,
        "kubernetes": kubernetes,
        "to": run.results["facts"][UPGRADE_TO],
        "outcome": worst(outcomes) or "not judged",
        "counts": _counts(outcomes),
        "seconds": sum(test["seconds"] for test in tests),
        "run": number,
        "paths": run.results["tables"].get(TABLE, []),
    }


def _counts(outcomes: Sequence[str]) -> dict[str, int]:
    return {one: outcomes.count(one) for one in dict.fromkeys(outcomes)}


def _versions(run: ReadRun) -> tuple[str, ...]:
    """Istio, Envoy Gateway and the Kubernetes minor of a run; empty where it does not know one."""
    found = [str(run.results["versions"].get(product, "")).partition(" ")[0].lstrip("v") for product in PRODUCTS]
    known = ["" if version == "unknown" else version for version in found]
    return known[0], known[1], ".".join(known[2].split(".")[:2])


def _order(key: tuple[str, ...]) -> list[list[int]]:
    return [[int(part) for part in re.findall(r"\d+", version)] for version in key]
