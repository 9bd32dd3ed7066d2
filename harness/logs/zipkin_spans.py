"""The log of the trace collector (manifests/observability/traces.yaml): on each line a report, a JSON list of spans in
Zipkin's format, version 2.

Envoy's spans carry the user agent of their request as the tag `user_agent`, and the tag `proxy` that our EnvoyProxies
set.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.logs.unreadable import NONE_UNREADABLE, UnreadableLines


@dataclass(frozen=True, slots=True)
class Span:
    """One span: hexadecimal ids, `parent` "" where it is the first of its trace."""

    trace: str
    id: str
    parent: str
    proxy: str
    user_agent: str


@dataclass(frozen=True, slots=True)
class ParsedSpans:
    """The spans of a log, in order as received, and the reports that cannot be read."""

    spans: tuple[Span, ...]
    unreadable: UnreadableLines = NONE_UNREADABLE


def parse_spans(text: str) -> ParsedSpans:
    """The spans in a collector's log. Never raises."""
    found, lost = [], []
    for raw in text.split("\n"):
        if not raw.startswith("["):
            continue
        try:
            found += [_span(one) for one in json.loads(raw)]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            lost.append(raw)
    return ParsedSpans(tuple(found), UnreadableLines.of(lost))


def _span(one: Mapping[str, Any]) -> Span:
    tags = one["tags"]
    return Span(
        trace=str(one["traceId"]),
        id=str(one["id"]),
        parent=str(one.get("parentId", "")),
        proxy=str(tags.get("proxy", "")),
        user_agent=str(tags.get("user_agent", "")),
    )
