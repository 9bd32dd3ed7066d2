"""The trace collector: which spans it received of which request."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from harness.components.trace_collector import TraceCollector
from harness.errors import Inconclusive
from harness.http_exchange import Answer, Answers
from harness.kube import Kube
from harness.wait import set_patience
from tests.fakes.api import FakeApi
from tests.fakes.pods import pod

SINCE = datetime(2026, 1, 1, tzinfo=UTC)
ANSWERS = Answers((Answer("a", 200, {}, 1), Answer("b", 200, {}, 1)))


def report(*spans: tuple[str, str, str, str]) -> str:
    """A report as the collector logs it, of (trace, id, parent, user agent)."""
    named = [{"traceId": trace, "id": id_, "parentId": parent} for trace, id_, parent, _ in spans]
    tags = [{"proxy": "ingress", "user_agent": agent} if agent else {"proxy": "ingress"} for *_, agent in spans]
    return json.dumps([one | {"tags": of_one} for one, of_one in zip(named, tags, strict=True)]) + "\n"


@pytest.fixture
def collector(kube: Kube, api: FakeApi) -> TraceCollector:
    """One pod, which has received two spans of each request, and one of another."""
    api.put(pod("default/collector-a", labels={"app": "trace-collector"}, ip="10.0.0.1"))
    text = report(("ta", "a2", "a1", ""), ("tb", "b1", "", "e2e/b"), ("tz", "z1", "", "e2e/z"))
    text += report(("ta", "a1", "", "e2e/a"), ("tb", "b2", "b1", "e2e/b"))
    api.logs[("default", "collector-a", "collector")] = text
    return TraceCollector(kube)


def test_spans_are_joined_by_id(collector: TraceCollector) -> None:
    """Of each request the spans of its trace, each below its parent, whichever came first."""
    found = collector.wait_for_spans(ANSWERS, SINCE, each=2)

    assert [[span.id for span in of_one] for of_one in found] == [["a1", "a2"], ["b1", "b2"]]


def test_request_without_all_its_spans_is_inconclusive(collector: TraceCollector) -> None:
    set_patience(0.01)

    with pytest.raises(Inconclusive, match="has no span for some requests"):
        collector.wait_for_spans(ANSWERS, SINCE, each=3)
