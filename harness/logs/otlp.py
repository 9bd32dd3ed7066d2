"""The log of the OpenTelemetry collector (manifests/base/otel_collector.yaml): each line is one report in OTLP's JSON
(opentelemetry-proto, trace.proto and logs.proto), those in Zipkin's format too.

Envoy Gateway has Envoy make two spans of a request, one of it as received and below that one of it as sent. Both carry
the attribute `proxy` that our EnvoyProxies set, the first also the request's user agent as `user_agent`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
class Received:
    """The spans and the attributes of the access log records, in order as received, and the lines that cannot be
    read."""

    spans: tuple[Span, ...]
    records: tuple[Mapping[str, str], ...]
    unreadable: UnreadableLines = NONE_UNREADABLE


def parse_collector_log(text: str) -> Received:
    """What a collector's log has. Never raises."""
    spans: list[Span] = []
    records: list[Mapping[str, str]] = []
    lost = []
    for raw in text.split("\n"):
        if not raw.startswith('{"resource'):
            continue
        try:
            line = json.loads(raw)
            found = [_span(one) for one in _each(line, "resourceSpans", "scopeSpans", "spans")]
            logged = [_attributes(one) for one in _each(line, "resourceLogs", "scopeLogs", "logRecords")]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            lost.append(raw)
        else:
            spans += found
            records += logged
    return Received(tuple(spans), tuple(records), UnreadableLines.of(lost))


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


def _each(line: Mapping[str, Any], resources: str, scopes: str, items: str) -> Iterator[Mapping[str, Any]]:
    below: Iterable[Any] = line.get(resources, ())
    yield from (item for resource in below for scope in resource[scopes] for item in scope[items])


def _attributes(of: Mapping[str, Any]) -> dict[str, str]:
    """Attributes whose values are strings, as all are that Envoy sends."""
    return {one["key"]: one["value"]["stringValue"] for one in of["attributes"] if "stringValue" in one["value"]}


def _span(one: Mapping[str, Any]) -> Span:
    attributes = _attributes(one)
    return Span(
        trace=str(one["traceId"]),
        id=str(one["spanId"]),
        parent=str(one.get("parentSpanId", "")),
        proxy=attributes.get("proxy", ""),
        user_agent=attributes.get("user_agent", ""),
    )
