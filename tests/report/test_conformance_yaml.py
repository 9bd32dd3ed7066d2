"""The report of what held, with the versions that ran."""

from __future__ import annotations

import pytest
import yaml

from harness.errors import BadInput
from harness.report import conformance_yaml
from harness.report.results import ClaimResult, RunResult


def run(*verdicts, cluster="kind", **others):
    versions = {
        "kubernetes": "1.34.4",
        "istio": "1.29.1",
        "envoy-gateway": "1.7.5",
        "gateway-api": "1.4.1 experimental",
    }
    versions |= {name.replace("_", "-"): version for name, version in others.items()}
    return RunResult(cluster, "mesh-e2e", "the-set", versions, {}, "2026-11-21T08:00:00+00:00", verdicts)


def verdict(id, outcome, feature="", area="rate_limit"):
    return ClaimResult(id, area, "A.", outcome, feature=feature)


def test_report_is_of_our_own_kind():
    """It names no kind, group, organization or address of another project, and the versions that ran."""
    text = conformance_yaml.text(run(verdict("a", "held")))
    found = yaml.safe_load(text)

    assert (found["apiVersion"], found["kind"], found["organization"]) == ("mesh-e2e/v1", "PairReport", "mesh-e2e")
    assert [word for word in ("networking.k8s.io", "ConformanceReport", "envoyproxy", "://") if word in text] == []
    assert found["gatewayAPIVersion"] == "v1.4.1"
    assert found["gatewayAPIChannel"] == "experimental"
    assert (found["versions"]["istio"], found["versions"]["envoy-gateway"]) == ("1.29.1", "1.7.5")
    assert (found["cluster"], found["versionSet"]) == ("kind", "the-set")
    assert found["profiles"] == [
        {
            "name": "E2E-RATE-LIMIT",
            "summary": "Core tests: 1 passed, 0 skipped, 0 failed.",
            "core": {"result": "success", "statistics": {"Passed": 1, "Skipped": 0, "Failed": 0}},
        }
    ]


@pytest.mark.parametrize(
    ("outcomes", "result"),
    [
        (["held", "held"], "success"),
        (["held", "skipped"], "partial"),
        (["held", "not run"], "partial"),
        (["held", "broken"], "failure"),
        (["held", "inconclusive"], "failure"),
        (["held", "error", "skipped"], "failure"),
    ],
)
def test_only_what_held_passes(outcomes, result):
    """Errors and inconclusive claims fail; what was not run makes it partial."""
    profile = conformance_yaml.document(run(*(verdict(str(n), o) for n, o in enumerate(outcomes))))["profiles"][0]

    assert profile["core"]["result"] == result
    assert sum(profile["core"]["statistics"].values()) == len(outcomes)


def test_features_beyond_the_article_are_extended():
    """A feature is supported when all its claims held."""
    found = conformance_yaml.document(
        run(
            verdict("a", "held"),
            verdict("b", "held", "Retry"),
            verdict("c", "broken", "Mirror"),
            verdict("d", "held", "Mirror"),
        )
    )
    extended = found["profiles"][0]["extended"]

    assert found["profiles"][0]["core"]["result"] == "success"
    assert extended["result"] == "failure"
    assert extended["failedTests"] == ["c"]
    assert extended["supportedFeatures"] == ["Retry"]
    assert extended["unsupportedFeatures"] == ["Mirror"]


@pytest.mark.parametrize("version", ["unknown", "1.7.5 (asked for)", "latest", ""])
@pytest.mark.parametrize("component", conformance_yaml.NEEDED)
def test_what_nobody_saw_is_not_testified_to(component, version):
    """A report for a version that did not run is worse than none."""
    with pytest.raises(BadInput, match=f"version was not observed of: {component} "):
        conformance_yaml.text(run(verdict("a", "held"), **{component.replace("-", "_"): version}))


def test_an_emulated_cluster_is_refused():
    """It cannot testify."""
    with pytest.raises(BadInput, match="emulated"):
        conformance_yaml.text(run(verdict("a", "held"), cluster="emulated"))
