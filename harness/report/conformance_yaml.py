"""Writes conformance.yaml: which claims held, by area, with the versions that ran.

A kind and a group of our own (schema `mesh-e2e/v1`): the Gateway API's ConformanceReport is about one implementation,
judged by its own suite. Profiles have the fields of its ProfileReport, because its readers know them
(kubernetes-sigs/gateway-api, conformance/apis/v1/profilereport.go).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from harness.errors import BadInput
from harness.outcome import FAILURES, NOT_TRIED, Outcome
from harness.report.results import ClaimResult, RunResult
from harness.version_sets import ASKED, UNKNOWN

NEEDED = ("kubernetes", "istio", "envoy-gateway", "gateway-api")  # what a report must know
_NUMBER = re.compile(r"\d+\.\d+")


def refuse_emulated(cluster: str) -> None:
    """
    Raises:
        BadInput: an emulated cluster cannot testify.
    """
    if cluster == "emulated":
        raise BadInput(
            "no conformance report can come from an emulated cluster",
            remedy="use --e2e-cluster kind or existing, or leave --conformance out",
        )


def refuse_unobserved(versions: Mapping[str, str]) -> None:
    """
    Raises:
        BadInput: a version that it would state was not observed, or says nothing ("latest").
    """
    seen = {name: versions.get(name, UNKNOWN) for name in NEEDED}
    vague = [f"{name} {version}" for name, version in seen.items() if not _NUMBER.match(version) or ASKED in version]
    if vague:
        unobserved = ", ".join(vague)
        raise BadInput(f"no conformance report: the running version was not observed of: {unobserved}")


def document(run: RunResult) -> dict[str, Any]:
    """The report as a mapping. Core: the article's claims. Extended: those marked with a feature beyond it.

    Raises:
        BadInput: the cluster was emulated, or it is not known what was tested.
    """
    refuse_emulated(run.cluster)
    refuse_unobserved(run.versions)
    bundle, _, channel = run.versions["gateway-api"].partition(" ")
    return {
        "apiVersion": "mesh-e2e/v1",
        "kind": "PairReport",
        "organization": "mesh-e2e",
        "date": run.started,
        "cluster": run.cluster,
        "versionSet": run.set_name,
        "gatewayAPIVersion": f"v{bundle}",
        "gatewayAPIChannel": channel,
        "versions": dict(run.versions),
        "profiles": [_profile(area, verdicts) for area, verdicts in run.areas.items()],
        "errors": [v.id for v in run.verdicts if v.outcome == Outcome.ERROR],
        "inconclusive": [v.id for v in run.verdicts if v.outcome == Outcome.INCONCLUSIVE],
    }


def text(run: RunResult) -> str:
    """The report as YAML.

    Raises:
        BadInput: as `document`.
    """
    return yaml.safe_dump(document(run), sort_keys=False, allow_unicode=True)


def _profile(area: str, verdicts: Sequence[ClaimResult]) -> dict[str, Any]:
    core = [v for v in verdicts if not v.feature]
    extended = [v for v in verdicts if v.feature]
    profile: dict[str, Any] = {"name": f"E2E-{area.upper().replace('_', '-')}", "summary": _told(core, extended)}
    profile["core"] = _status(core)
    if extended:
        features = dict.fromkeys(v.feature for v in extended)
        good = [f for f in features if all(v.outcome == Outcome.HELD for v in extended if v.feature == f)]
        profile["extended"] = _status(extended) | {
            "supportedFeatures": good,
            "unsupportedFeatures": [f for f in features if f not in good],
        }
    return profile


def _status(verdicts: Sequence[ClaimResult]) -> dict[str, Any]:
    """What did not hold has failed, errors and inconclusive included; what was not run counts as skipped."""
    held = [v.id for v in verdicts if v.outcome == Outcome.HELD]
    skipped = [v.id for v in verdicts if v.outcome in NOT_TRIED]
    failed = [v.id for v in verdicts if v.outcome in FAILURES]
    result = "failure" if failed else "partial" if skipped or not held else "success"
    status: dict[str, Any] = {
        "result": result,
        "statistics": {"Passed": len(held), "Skipped": len(skipped), "Failed": len(failed)},
    }
    if skipped:
        status["skippedTests"] = skipped
    if failed:
        status["failedTests"] = failed
    return status


def _told(core: Sequence[ClaimResult], extended: Sequence[ClaimResult]) -> str:
    parts = []
    for name, verdicts in (("Core", core), ("Extended", extended)):
        if verdicts:
            numbers = _status(verdicts)["statistics"]
            parts.append(f"{name} tests: {', '.join(f'{n} {word.lower()}' for word, n in numbers.items())}.")
    return " ".join(parts)
