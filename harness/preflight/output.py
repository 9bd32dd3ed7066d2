"""Formats the preflight rows as text and as JSON. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from harness.preflight.catalogue import lacking
from harness.preflight.row import Row


def as_text(found: Sequence[Row]) -> str:
    """A table for a terminal: subject, what was found, verdict; below a row its reason and remedy."""
    wide = max((len(row.subject) for row in found), default=0)
    verdict = max((len(row.verdict) for row in found), default=0)
    lines = []
    for row in found:
        lines.append(f"{row.subject:<{wide}}  {row.verdict:<{verdict}}  {row.found}".rstrip())
        indent = " " * (wide + verdict + 4)
        lacks = f" [skips: {', '.join(row.lacks)}]" if row.verdict == "not judged" and row.lacks else ""
        lines += [f"{indent}{row.reason}{lacks}"] if row.reason else []
        lines += [f"{indent}remedy: {row.remedy}"] if row.remedy else []
    count = {one: sum(row.verdict == one for row in found) for one in ("judged", "not judged", "unknown")}
    return "\n".join([*lines, ", ".join(f"{number} {name}" for name, number in count.items())])


def as_json(found: Sequence[Row], *, context: str, calls: int, seconds: float) -> str:
    """{context, rows: [{subject, found, verdict, lacks, reason, remedy}], lacking: {capability: reason}, api_calls,
    seconds}"""
    whole = {
        "context": context,
        "rows": [asdict(row) for row in found],
        "lacking": lacking(found),
        "api_calls": calls,
        "seconds": round(seconds, 1),
    }
    return json.dumps(whole, indent=2)
