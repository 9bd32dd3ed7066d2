"""The log of the trace collector (manifests/observability/traces.yaml): on each line a report, a JSON list of spans in
Zipkin's format, version 2.

Envoy Gateway has Envoy make two spans of a request, one of it as received and below that one of it as sent. Both carry
the tag `proxy` that our EnvoyProxies set, the first also the request's user agent as the tag `user_agent`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
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


def spans_of(user_agent: str, spans: Sequence[Span]) -> list[Span]:
    """All spans of the traces in which a span has this user agent, each below its parent: traces one after another,
    in each its first spans in the order given, each followed by those below it."""
    traces = list(dict.fromkeys(span.trace for span in spans if span.user_agent == user_agent))
    ordered: list[Span] = []
    for trace in traces:
        of_trace = [span for span in spans if span.trace == trace]
        ids = {span.id for span in of_trace}
        waiting = [span for span in of_trace if span.parent not in ids]
        while waiting:
            span = waiting.pop(0)
            ordered.append(span)
            waiting[:0] = [one for one in of_trace if one.parent == span.id and one not in ordered]
    return ordered


def _span(one: Mapping[str, Any]) -> Span:
    tags = one["tags"]
    return Span(
        trace=str(one["traceId"]),
        id=str(one["id"]),
        parent=str(one.get("parentId", "")),
        proxy=str(tags.get("proxy", "")),
        user_agent=str(tags.get("user_agent", "")),
    )
