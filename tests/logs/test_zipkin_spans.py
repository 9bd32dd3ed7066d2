"""The trace collector's log, as Envoy's reports are written there."""

import json

from harness.logs.zipkin_spans import Span, parse_spans, spans_of

FIRST = {"traceId": "ab", "id": "01", "tags": {"proxy": "ingress", "user_agent": "e2e/x"}}
SECOND = {"traceId": "ab", "id": "02", "parentId": "01", "tags": {"proxy": "waypoint", "user_agent": "e2e/x"}}


def test_spans_of_all_reports_are_read() -> None:
    log = f"10.0.0.1 GET /\n{json.dumps([FIRST, SECOND])}\n{json.dumps([FIRST])}\n"

    found = parse_spans(log)

    ingress = Span("ab", "01", "", "ingress", "e2e/x")
    assert found.spans == (ingress, Span("ab", "02", "01", "waypoint", "e2e/x"), ingress)
    assert not found.unreadable


def test_reports_that_cannot_be_read_are_counted() -> None:
    cut, strange = json.dumps([FIRST])[:-3], json.dumps([{"traceId": "ab"}])

    found = parse_spans(f"{cut}\n{strange}\n[1]\n")

    assert found.spans == ()
    assert found.unreadable.count == 3


def test_request_in_two_traces_has_the_spans_of_both() -> None:
    """One trace after another; a span whose parent does not exist comes first in its trace."""
    spans = [Span("t", "2", "1", "", ""), Span("u", "3", "", "", "e2e/x"), Span("t", "1", "0", "", "e2e/x")]

    assert [span.id for span in spans_of("e2e/x", spans)] == ["3", "1", "2"]
    assert spans_of("e2e/y", spans) == []
