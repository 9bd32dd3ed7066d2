"""The results of a run as data types and JSON: verdicts, counts, times."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any, NamedTuple

from harness.errors import BadInput
from harness.observations import Figure
from harness.outcome import NOT_TRIED, Outcome
from harness.progress import Stage
from harness.settings import ClusterKind
from harness.version_sets import ASKED, UNKNOWN, VersionSet

EMULATED = "EMULATED: not conformance"
SCHEMA = "mesh-e2e/results/v1"
# The image of a set that gives a component's version, where it can be one's own build.
ROLES = {"istio": "pilot", "ztunnel": "ztunnel", "envoy-gateway": "gateway", "envoy": "envoy"}
UPGRADE_TO = "upgrade to"  # the fact that names what a run of suites/upgrades upgrades to
PLANTED = "planted fault"  # the fact that names the fault under which the run was made


@dataclass(frozen=True, slots=True)
class ClaimResult:
    """What became of one claim.

    `reason` says why it does not hold, or was skipped. `seconds` is the test's own time, without session fixtures.
    `witnesses` saw something in the test, or in the set-up of an experiment (a fixture) that it shares with others.
    `evidence` is a path inside the run folder or empty.
    `feature` is set for claims beyond the article (marker `extended`). `kind` is "traffic" where the test judges
    requests (each then has two witnesses), else "status". `place` and `means` are set for a cell of the support table
    (marker `feature`): where the feature is tried, and what it means for the feature that the claim holds.
    """

    id: str
    area: str
    claim: str
    outcome: Outcome
    seconds: float = 0.0
    witnesses: tuple[str, ...] = ()
    figures: tuple[Figure, ...] = ()
    reason: str = ""
    evidence: str = ""
    feature: str = ""
    kind: str = ""
    place: str = ""
    means: str = ""


class FigureValues(NamedTuple):
    """All measurements of one figure, in seconds; `of` names what it was measured on where all were the same."""

    name: str
    n: int
    min: float
    median: float
    max: float
    of: str


@dataclass(frozen=True, slots=True)
class RunResult:
    """One run. `versions` are those observed; what was only asked for says so, and what is not known is UNKNOWN.
    `facts` is all that was read from the cluster.

    `exit` is the status the process ends with; `why` explains one that no verdict explains (nothing ran, bad input,
    interrupted). `notes` are remarks about the record itself: a gather that failed, a file that could not be written.
    `tables` are what tests tabulated: rows of texts by column, by the table's title.
    `sources` are digests by test file.
    """

    cluster: ClusterKind
    cluster_name: str
    set_name: str
    versions: Mapping[str, str]
    facts: Mapping[str, str]
    started: str
    verdicts: Sequence[ClaimResult]
    figures: Sequence[Figure] = ()
    stages: Sequence[Stage] = ()
    exit: int = 0
    why: str = ""
    notes: Sequence[str] = field(default_factory=tuple)
    tables: Mapping[str, Sequence[Mapping[str, str]]] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)

    @property
    def headline(self) -> str:
        """The first line of every report: which cluster, and whether it proves conformance."""
        kind = f"emulated ({EMULATED})" if self.cluster == "emulated" else self.cluster
        return f"cluster: {kind}   name: {self.cluster_name}   set: {self.set_name}"

    @property
    def was_refused(self) -> bool:
        """Whether bad input ended the run before any claim: then `why` says all there is to say."""
        return (
            bool(self.why)
            and self.exit == BadInput.exit_code
            and all(verdict.outcome == Outcome.NOT_RUN for verdict in self.verdicts)
        )

    @property
    def counts(self) -> dict[Outcome, int]:
        """How many verdicts of each outcome, all outcomes present."""
        counted = Counter(verdict.outcome for verdict in self.verdicts)
        return {outcome: counted[outcome] for outcome in Outcome}

    @property
    def areas(self) -> dict[str, list[ClaimResult]]:
        """Verdicts by area, both in the order they came."""
        grouped: dict[str, list[ClaimResult]] = {}
        for verdict in self.verdicts:
            grouped.setdefault(verdict.area, []).append(verdict)
        return grouped

    @property
    def skips(self) -> dict[str, int]:
        """Reasons of skips, each with how often."""
        return dict(Counter(v.reason or "(no reason given)" for v in self.verdicts if v.outcome == Outcome.SKIPPED))

    @property
    def times(self) -> list[FigureValues]:
        """Every measured figure, of tests and of the session's setup."""
        grouped: dict[str, list[Figure]] = {}
        for figure in [*self.figures, *(f for verdict in self.verdicts for f in verdict.figures)]:
            grouped.setdefault(figure.name, []).append(figure)
        found = []
        for name, figures in grouped.items():
            seconds, of = [f.seconds for f in figures], {f.of for f in figures}
            found.append(
                FigureValues(
                    name, len(seconds), min(seconds), median(seconds), max(seconds), of.pop() if len(of) == 1 else ""
                )
            )
        return found


def why_empty(verdicts: Sequence[ClaimResult], deselected: int = 0) -> str:
    """Why a run proved nothing; empty when at least one claim was judged or tried."""
    if any(verdict.outcome not in NOT_TRIED for verdict in verdicts):
        return ""
    skipped = sum(verdict.outcome == Outcome.SKIPPED for verdict in verdicts)
    if skipped:
        return f"nothing was proved: all {skipped} collected tests were skipped"
    if verdicts:
        return f"nothing was proved: none of the {len(verdicts)} collected tests ran"
    chosen = f" ({deselected} were deselected)" if deselected else ""
    return f"nothing was proved: no test was collected{chosen}"


def versions_of(row: VersionSet) -> dict[str, str]:
    """The versions of a set by component, in the order they are read."""
    return {
        "kubernetes": row.kubernetes,
        "istio": row.tag_of("pilot", row.istio),
        "envoy-gateway": row.tag_of("gateway", row.envoy_gateway),
        "gateway-api": f"{row.gateway_api.bundle} {row.gateway_api.channel}",
        "envoy": row.tag_of("envoy", row.envoy),
        "ztunnel": row.tag_of("ztunnel", row.istio),
        "ratelimit": row.ratelimit,
        "redis": row.redis,
        "bookinfo": row.bookinfo,
    }


def versions_known(row: VersionSet, known: Mapping[str, str], *, ours: bool) -> dict[str, str]:
    """As read from the cluster, or as observed. Before that a cluster of ours is to get those of the set. What is
    no release is marked: "dev (built by somebody: sha256:…)"."""
    asked = {name: f"{version} {ASKED}" if ours else UNKNOWN for name, version in versions_of(row).items()}
    return {name: known.get(name, version) + row.built_by(ROLES.get(name, "")) for name, version in asked.items()}


def versions_line(cluster: str, versions: Mapping[str, str]) -> str:
    """One line for a failure text: the cluster kind, then the versions that tell most."""
    marked = f"emulated ({EMULATED})" if cluster == "emulated" else cluster
    return "   ".join([f"cluster {marked}", *(f"{name} {version}" for name, version in list(versions.items())[:4])])


def properties(verdict: ClaimResult, cluster: str, versions: Mapping[str, str]) -> list[tuple[str, object]]:
    """A verdict as JUnit properties; "witness" comes once for each."""
    return [
        ("claim", verdict.claim),
        ("area", verdict.area),
        ("outcome", verdict.outcome),
        ("cluster", cluster),
        *((f"version {name}", version) for name, version in versions.items()),
        *(("witness", who) for who in verdict.witnesses),
        *((f"seconds: {f.name}", f"{f.seconds:.3f}") for f in verdict.figures),
        *([("evidence", verdict.evidence)] if verdict.evidence else []),
    ]


def first_line(reason: str) -> str:
    """What a table has room for: the first line; of an assertion with a remark the comparison first."""
    lines = [line.strip() for line in reason.strip().splitlines()]
    compared = next((line for line in lines[1:] if line.startswith("assert ")), "")
    return f"{compared}: {lines[0]}" if compared else next(iter(lines), "")


def verdict_json(v: ClaimResult) -> dict[str, Any]:
    """A verdict as in results.json and verdicts.jsonl."""
    figures = [{"name": f.name, "seconds": round(f.seconds, 3), "of": f.of} for f in v.figures]
    return asdict(v) | {"seconds": round(v.seconds, 3), "witnesses": list(v.witnesses), "figures": figures}


def as_json(run: RunResult) -> dict[str, Any]:
    """results.json, a JSON object (all times in seconds):

    schema        "mesh-e2e/results/v1"
    cluster       {kind: kind|existing|emulated, name, conformance: false exactly when emulated}
    set           the version set's name
    versions      {component: version as observed; "… (asked for)" or "unknown" where it was not}
    facts         {fact: text}, as read from the cluster
    started       UTC, ISO 8601
    tests         [{id, area, claim, outcome: held|broken|error|inconclusive|skipped|not run, seconds, witnesses: [who],
                    figures: [{name, seconds, of}], reason, evidence (path in the run folder or ""), feature, kind,
                    place, means}]
    counts        {outcome: how many}
    times         [{name, n, min, median, max, of}]
    tables        {title: [{column: text}]}
    stages        [{name, began (since the run's start), seconds (null: it never ended), failed (first line of the
                    error, or "")}]
    exit, why     the process's exit status, and a word where the tests do not explain it
    notes         [text]: trouble with the record itself
    sources       {test file: digest of it and of its manifest}
    """
    return {
        "schema": SCHEMA,
        "cluster": {"kind": run.cluster, "name": run.cluster_name, "conformance": run.cluster != "emulated"},
        "set": run.set_name,
        "versions": dict(run.versions),
        "facts": dict(run.facts),
        "started": run.started,
        "tests": [verdict_json(v) for v in run.verdicts],
        "counts": dict(run.counts),
        "times": [t._asdict() for t in run.times],
        "tables": {title: [dict(row) for row in rows] for title, rows in run.tables.items()},
        "stages": [{"name": s.name, "began": s.began, "seconds": s.seconds, "failed": s.failed} for s in run.stages],
        "exit": int(run.exit),
        "why": run.why,
        "notes": list(run.notes),
        "sources": dict(run.sources),
    }
