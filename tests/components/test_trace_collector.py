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


def report(*spans: tuple[str, str]) -> str:
    """A report as the collector logs it, of (request, proxy)."""
    tagged = [{"proxy": proxy, "user_agent": f"e2e/{id_}"} for id_, proxy in spans]
    return json.dumps([{"traceId": "ab", "id": "01", "tags": tags} for tags in tagged]) + "\n"


@pytest.fixture
def collector(kube: Kube, api: FakeApi) -> TraceCollector:
    """One pod, which has received two spans of each request, and one of another."""
    api.put(pod("default/collector-a", labels={"app": "trace-collector"}, ip="10.0.0.1"))
    text = report(("a", "waypoint"), ("b", "ingress"), ("z", "ingress")) + report(("a", "ingress"), ("b", "waypoint"))
    api.logs[("default", "collector-a", "collector")] = text
    return TraceCollector(kube)


def test_spans_are_joined_by_id(collector: TraceCollector) -> None:
    """Of each request its own spans, by the name of their proxy, whichever came first."""
    found = collector.wait_for_spans(ANSWERS, SINCE, each=2)

    names = [[(span.user_agent, span.proxy) for span in of_one] for of_one in found]
    assert names == [[(f"e2e/{id_}", "ingress"), (f"e2e/{id_}", "waypoint")] for id_ in ("a", "b")]


def test_request_without_all_its_spans_is_inconclusive(collector: TraceCollector) -> None:
    set_patience(0.01)

    with pytest.raises(Inconclusive, match="does not tell of all requests"):
        collector.wait_for_spans(ANSWERS, SINCE, each=3)
