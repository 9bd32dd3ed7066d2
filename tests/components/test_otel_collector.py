"""The OpenTelemetry collector: which spans and log records it received of which request."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from harness.components.otel_collector import OtelCollector
from harness.errors import Inconclusive
from harness.http_exchange import Answer, Answers
from harness.kube import Kube
from harness.wait import set_patience
from tests.fakes.api import FakeApi
from tests.fakes.pods import pod

SINCE = datetime(2026, 1, 1, tzinfo=UTC)
ANSWERS = Answers((Answer("a", 200, {}, 1), Answer("b", 200, {}, 1)))


def attributes(of: dict[str, str]) -> list[dict[str, Any]]:
    return [{"key": key, "value": {"stringValue": value}} for key, value in of.items()]


def report(*spans: tuple[str, str, str, str]) -> str:
    """A report as the collector logs it, of (trace, id, parent, user agent)."""
    named = [
        {"traceId": trace, "spanId": id_, "parentSpanId": parent, "attributes": attributes({"user_agent": agent})}
        for trace, id_, parent, agent in spans
    ]
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": named}]}]}) + "\n"


def records(*agents: str) -> str:
    """Log records of requests with these user agents."""
    logged = [{"attributes": attributes({"user-agent": agent})} for agent in agents]
    return json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": logged}]}]}) + "\n"


@pytest.fixture
def collector(kube: Kube, api: FakeApi) -> OtelCollector:
    """One pod, which has received two spans and a log record of each request, and some of others."""
    api.put(pod("default/collector-a", labels={"app": "otel-collector"}, ip="10.0.0.1"))
    text = report(("ta", "a2", "a1", ""), ("tb", "b1", "", "e2e/b"), ("tz", "z1", "", "e2e/z"))
    text += records("e2e/b", "e2e/z") + records("e2e/a")
    text += report(("ta", "a1", "", "e2e/a"), ("tb", "b2", "b1", "e2e/b"))
    api.logs[("default", "collector-a", "collector")] = text
    return OtelCollector(kube)


def test_spans_are_joined_by_id(collector: OtelCollector) -> None:
    """Of each request the spans of its trace, each below its parent, whichever came first."""
    found = collector.wait_for_spans(ANSWERS, SINCE, each=2)

    assert [[span.id for span in of_one] for of_one in found] == [["a1", "a2"], ["b1", "b2"]]


def test_log_records_are_joined_by_user_agent(collector: OtelCollector) -> None:
    found = collector.wait_for_records(ANSWERS, SINCE, each=1)

    assert found == [[{"user-agent": "e2e/a"}], [{"user-agent": "e2e/b"}]]


def test_request_without_all_its_spans_is_inconclusive(collector: OtelCollector) -> None:
    set_patience(0.01)

    with pytest.raises(Inconclusive, match="has no spans for some requests"):
        collector.wait_for_spans(ANSWERS, SINCE, each=3)
