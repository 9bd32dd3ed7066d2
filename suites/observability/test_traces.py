"""Traces by Zipkin's protocol: spans of ingress and waypoint at a collector, and their ids at the backend.

Manifest: manifests/observability/traces.yaml    Article: none
"""

import pytest

from harness.waits.responses import wait_for_response

pytestmark = [pytest.mark.needs("real gateway"), pytest.mark.timeout(300, func_only=True)]
HOST, UNTRAVERSED = "echo-traced", "echo-untraversed"
TRACE = "x-b3-traceid"


@pytest.fixture(scope="module")
def pair(otel_collector, applied, pair_of):
    """The ingress and the waypoint that report; only the ingress's requests to HOST lead through that waypoint."""
    with pair_of("traced") as (ingress, waypoint):
        wait_for_response(ingress.client, ingress.get(host=UNTRAVERSED), status=200)
        yield ingress, waypoint


@pytest.fixture
def ingress_traced(pair):
    return pair[0]


@pytest.fixture
def waypoint_traced(pair):
    return pair[1]


@pytest.mark.feature("Traces (Zipkin)", place="ingress")
def test_ingress_reports_spans(ingress_traced, at_ingress, otel_collector, since):
    """With tracing enabled, the ingress reports two spans for each request, and the backend receives their trace ID."""
    arm = ingress_traced.send([ingress_traced.get(host=UNTRAVERSED)] * 3)
    default = at_ingress.send([at_ingress.get()])
    spans = otel_collector.wait_for_spans(arm.answers, since, each=2)

    assert arm.statuses == [200, 200, 200]
    assert [[span.proxy for span in of_one] for of_one in spans] == [["ingress"] * 2] * 3
    assert [[span.trace for span in of_one] for of_one in spans] == [[trace] * 2 for trace in arm.header(TRACE)]
    assert default.header(TRACE) == [None]


@pytest.mark.feature("Traces (Zipkin)", place="waypoint")
def test_waypoint_reports_spans(waypoint_traced, at_waypoint, otel_collector, since):
    """With tracing enabled, a waypoint reports two spans for each request, and the backend receives their trace ID."""
    arm = waypoint_traced.send([waypoint_traced.get(host=HOST)] * 3)
    default = at_waypoint.send([at_waypoint.get()])
    spans = otel_collector.wait_for_spans(arm.answers, since, each=2)

    assert arm.statuses == [200, 200, 200]
    assert [[span.proxy for span in of_one] for of_one in spans] == [["waypoint"] * 2] * 3
    assert [[span.trace for span in of_one] for of_one in spans] == [[trace] * 2 for trace in arm.header(TRACE)]
    assert default.header(TRACE) == [None]


@pytest.mark.feature("One trace across ingress and waypoint", place="waypoint")
def test_both_report_one_trace(ingress_traced, otel_collector, since):
    """A request through ingress and waypoint produces one trace of four spans, each a child of the previous one."""
    arm = ingress_traced.send([ingress_traced.get(host=HOST)] * 3)
    spans = otel_collector.wait_for_spans(arm.answers, since, each=4)

    assert arm.statuses == [200, 200, 200]
    assert [[span.proxy for span in of_one] for of_one in spans] == [["ingress"] * 2 + ["waypoint"] * 2] * 3
    assert [[span.trace for span in of_one] for of_one in spans] == [[trace] * 4 for trace in arm.header(TRACE)]
    assert [[span.parent for span in of_one[1:]] for of_one in spans] == [
        [s.id for s in of_one[:3]] for of_one in spans
    ]
