"""Formats an audit as text, JSON, SARIF 2.1.0 and Markdown. Pure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from harness.audit.catalogue import TITLES
from harness.audit.finding import SEVERITIES, Finding, NotJudged

SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
LEVELS = {"high": "error", "medium": "warning", "low": "note"}


@dataclass(frozen=True, slots=True)
class Audit:
    """What one audit says. accepted are findings that the baseline has; settled are those of it that are gone."""

    context: str
    findings: tuple[Finding, ...]
    not_judged: tuple[NotJudged, ...]
    accepted: tuple[Finding, ...]
    settled: tuple[str, ...]
    counts: Mapping[str, int]  # objects read, by kind
    calls: int
    seconds: float

    @property
    def summary(self) -> str:
        """One line of figures."""
        by = Counter(one.severity for one in self.findings)
        graded = ", ".join(f"{by[severity]} {severity}" for severity in reversed(SEVERITIES))
        parts = [f"{len(self.findings)} findings ({graded})"]
        parts += [f"{len(self.accepted)} accepted by the baseline"] if self.accepted else []
        parts += [f"{len(self.not_judged)} not judged"] if self.not_judged else []
        parts += [f"{sum(self.counts.values())} objects read in {self.calls} API calls and {self.seconds:.1f} s"]
        return "; ".join(parts)


def as_text(audit: Audit) -> str:
    """For a terminal, the most severe first."""
    lines = [f"audit of {audit.context}"]
    for one in audit.findings:
        lines += [f"{one.severity.upper():7}{one.id}: {one.sentence}"]
        lines += [f"       {line}" for line in one.evidence if line]
    lines += [f"not judged: {id}: {reason}" for id, reason in _grouped(audit)]
    lines += [f"in the baseline and gone: {one}" for one in audit.settled]
    lines += [audit.summary]
    if audit.findings:
        lines.append("docs/audit/<id>.md has, for each id: why it matters, how to see it by hand, how to mend it")
    return "\n".join(lines)


def as_json(audit: Audit) -> str:
    """Everything, for programs; it serves as a baseline too."""
    whole = {
        "context": audit.context,
        "findings": [asdict(one) | {"fingerprint": one.fingerprint} for one in audit.findings],
        "accepted": [asdict(one) | {"fingerprint": one.fingerprint} for one in audit.accepted],
        "settled": list(audit.settled),
        "not_judged": [asdict(one) for one in audit.not_judged],
        "objects": dict(audit.counts),
        "api_calls": audit.calls,
        "seconds": round(audit.seconds, 1),
    }
    return json.dumps(whole, indent=2)


def as_markdown(audit: Audit) -> str:
    """For an issue or a merge request."""
    lines = [f"# Audit of `{audit.context}`", "", audit.summary, ""]
    if audit.findings:
        lines += ["| severity | check | finding | evidence |", "|---|---|---|---|"]
    for one in audit.findings:
        cells = (one.severity, f"`{one.id}`", one.sentence, "; ".join(one.evidence))
        lines.append("| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |")
    if audit.not_judged:
        lines += ["", "## Not judged", ""]
        lines += [f"- `{id}`: {' '.join(reason.split())}" for id, reason in _grouped(audit)]
    return "\n".join(lines)


def as_sarif(audit: Audit) -> str:
    """For code scanning. Objects are logical locations: a cluster has no files. What was not judged is a notification,
    and findings that the baseline accepts are suppressed results."""
    ids = sorted({one.id for one in (*audit.findings, *audit.accepted)})
    rules = [
        {
            "id": id,
            "shortDescription": {"text": TITLES[id]},
            "help": {"text": f"docs/audit/{id}.md of mesh-e2e says why it matters, how to see it, how to mend it."},
        }
        for id in ids
    ]
    results = [_result(one, ids) for one in audit.findings]
    results += [_result(one, ids) | {"suppressions": [{"kind": "external"}]} for one in audit.accepted]
    notes = [{"level": "warning", "message": {"text": f"not judged: {id}: {reason}"}} for id, reason in _grouped(audit)]
    run = {
        "tool": {"driver": {"name": "mesh-e2e audit", "rules": rules}},
        "invocations": [{"executionSuccessful": True, "toolExecutionNotifications": notes}],
        "results": results,
    }
    return json.dumps({"$schema": SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2)


def changes(before: Audit, after: Audit) -> list[str]:
    """What is new and what is gone from one audit to the next, and the figures of the latter."""
    had, has = ({one.fingerprint: one for one in audit.findings} for audit in (before, after))
    new = [one for print_, one in has.items() if print_ not in had]
    gone = [one for print_, one in had.items() if print_ not in has]
    lines = [f"new   {one.severity.upper():7}{one.id}: {one.sentence}" for one in new]
    lines += [f"gone  {one.severity.upper():7}{one.id}: {', '.join(one.objects)}" for one in gone]
    return [*lines, after.summary] if lines else []


FORMATS = {"text": as_text, "json": as_json, "sarif": as_sarif, "markdown": as_markdown}


def _result(one: Finding, ids: list[str]) -> dict[str, Any]:
    names = [{"fullyQualifiedName": name, "kind": "resource"} for name in one.objects]
    return {
        "ruleId": one.id,
        "ruleIndex": ids.index(one.id),
        "level": LEVELS[one.severity],
        "message": {"text": "\n".join((one.sentence, *one.evidence))},
        "locations": [{"logicalLocations": names}],
        "partialFingerprints": {"meshE2eAudit/v1": one.fingerprint},
    }


def _grouped(audit: Audit) -> list[tuple[str, str]]:
    """(ids, reason): checks that lack the same are one line."""
    by_reason: dict[str, list[str]] = {}
    for one in audit.not_judged:
        by_reason.setdefault(one.reason, []).append(one.id)
    return [(", ".join(ids), reason) for reason, ids in by_reason.items()]
