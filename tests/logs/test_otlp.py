"""The OpenTelemetry collector's log, as its file exporter writes what Envoy reports."""

import json
from typing import Any

from harness.logs.otlp import Span, parse_collector_log, spans_of


def attributes(**of: str) -> list[dict[str, Any]]:
    return [{"key": key.replace("_", "-"), "value": {"stringValue": value}} for key, value in of.items()]


def spans(*reported: dict[str, Any]) -> str:
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": list(reported)}]}]})


TAGS = [{"key": "user_agent", "value": {"stringValue": "e2e/x"}}, {"key": "size", "value": {"intValue": "3"}}]
FIRST = {"traceId": "ab", "spanId": "01", "attributes": [*attributes(proxy="ingress"), *TAGS]}
SECOND = {"traceId": "ab", "spanId": "02", "parentSpanId": "01", "attributes": [*attributes(proxy="waypoint"), *TAGS]}


def test_spans_of_all_reports_are_read() -> None:
    found = parse_collector_log(f"2026-01-01 warn of the collector\n{spans(FIRST, SECOND)}\n{spans(FIRST)}\n")

    ingress = Span("ab", "01", "", "ingress", "e2e/x")
    assert found.spans == (ingress, Span("ab", "02", "01", "waypoint", "e2e/x"), ingress)
    assert (found.records, bool(found.unreadable)) == ((), False)


def test_attributes_of_log_records_are_read() -> None:
    record = {"body": {}, "attributes": attributes(user_agent="e2e/x", team="blue")}
    line = json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]})

    assert parse_collector_log(f"{line}\n").records == ({"user-agent": "e2e/x", "team": "blue"},)


def test_reports_that_cannot_be_read_are_counted() -> None:
    found = parse_collector_log(f'{spans(FIRST)[:-3]}\n{spans({"traceId": "ab"})}\n{{"resourceSpans": [1]}}\n')

    assert found.spans == ()
    assert found.unreadable.count == 3


def test_request_in_two_traces_has_the_spans_of_both() -> None:
    """One trace after another; a span whose parent is not there comes first in its trace."""
    found = [Span("t", "2", "1", "", ""), Span("u", "3", "", "", "e2e/x"), Span("t", "1", "0", "", "e2e/x")]

    assert [span.id for span in spans_of("e2e/x", found)] == ["3", "1", "2"]
    assert spans_of("e2e/y", found) == []
