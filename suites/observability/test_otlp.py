"""Traces and access lines over OTLP: spans and log records of ingress and waypoint at an OpenTelemetry collector.

Manifest: manifests/observability/otlp.yaml    Article: none
"""

import pytest

from harness.waits.responses import wait_for_response

pytestmark = [pytest.mark.needs("real gateway"), pytest.mark.timeout(300, func_only=True)]
HOST, UNTRAVERSED = "echo-otlp", "echo-otlp-direct"
KEYS = {"start_time", "response_code", "response_flags", "user-agent", "team"}
ADDED = {"k8s.namespace.name", "k8s.pod.name"}  # by Envoy Gateway


@pytest.fixture(scope="module")
def pair(otel_collector, applied, pair_of):
    """The ingress and the waypoint that report; only the ingress's requests to HOST lead through that waypoint."""
    with pair_of("otlp") as (ingress, waypoint):
        wait_for_response(ingress.client, ingress.get(host=UNTRAVERSED), status=200)
        yield ingress, waypoint


@pytest.mark.feature("Traces (OpenTelemetry)", place="ingress")
def test_ingress_reports_spans(pair, otel_collector, since):
    """Over OTLP, the ingress reports two spans for each request, and the backend receives their trace ID."""
    ingress, _ = pair
    arm = ingress.send([ingress.get(host=UNTRAVERSED)] * 3)
    spans = otel_collector.wait_for_spans(arm.answers, since, each=2)

    assert arm.statuses == [200, 200, 200]
    assert proxies(spans) == [["ingress"] * 2] * 3
    assert traces(spans) == [[trace] * 2 for trace in trace_ids(arm)]


@pytest.mark.feature("Traces (OpenTelemetry)", place="waypoint")
def test_waypoint_reports_spans(pair, otel_collector, since):
    """Over OTLP, a waypoint reports two spans for each request, and the backend receives their trace ID."""
    _, waypoint = pair
    arm = waypoint.send([waypoint.get(host=HOST)] * 3)
    spans = otel_collector.wait_for_spans(arm.answers, since, each=2)

    assert arm.statuses == [200, 200, 200]
    assert proxies(spans) == [["waypoint"] * 2] * 3
    assert traces(spans) == [[trace] * 2 for trace in trace_ids(arm)]


@pytest.mark.feature("One trace across ingress and waypoint (OpenTelemetry)", place="waypoint")
def test_both_report_one_trace(pair, otel_collector, since):
    """Over OTLP, a request through ingress and waypoint produces one trace of four spans, each a child of the previous
    one."""
    ingress, _ = pair
    arm = ingress.send([ingress.get(host=HOST)] * 3)
    spans = otel_collector.wait_for_spans(arm.answers, since, each=4)

    assert arm.statuses == [200, 200, 200]
    assert proxies(spans) == [["ingress"] * 2 + ["waypoint"] * 2] * 3
    assert traces(spans) == [[trace] * 4 for trace in trace_ids(arm)]
    assert [[span.parent for span in of_one[1:]] for of_one in spans] == [
        [s.id for s in of_one[:3]] for of_one in spans
    ]


@pytest.mark.feature("Access log over OTLP", place="ingress")
def test_ingress_reports_access_lines(pair, otel_collector, since):
    """Over OTLP, the ingress reports one log record per request, with the keys and values of its access log."""
    ingress, _ = pair
    arm = ingress.send([ingress.get(host=UNTRAVERSED, x_team="blue")] * 3)
    records = otel_collector.wait_for_records(arm.answers, since, each=1)

    assert arm.statuses == [200, 200, 200]
    assert [[set(one) for one in of_one] for of_one in records] == [[KEYS | ADDED]] * 3
    assert [[texts(one) for one in of_one] for of_one in records] == [[texts(line.raw)] for line in arm.lines]
    assert [one["team"] for [one] in records] == ["blue"] * 3


@pytest.mark.feature("Access log over OTLP", place="waypoint")
def test_waypoint_reports_access_lines(pair, otel_collector, since):
    """Over OTLP, a waypoint reports one log record per request, with the keys and values of its access log."""
    _, waypoint = pair
    arm = waypoint.send([waypoint.get(host=HOST, x_team="blue")] * 3)
    records = otel_collector.wait_for_records(arm.answers, since, each=1)

    assert arm.statuses == [200, 200, 200]
    assert [[set(one) for one in of_one] for of_one in records] == [[KEYS | ADDED]] * 3
    assert [[texts(one) for one in of_one] for of_one in records] == [[texts(line.raw)] for line in arm.lines]
    assert [one["team"] for [one] in records] == ["blue"] * 3


def proxies(spans):
    return [[span.proxy for span in of_one] for of_one in spans]


def traces(spans):
    return [[span.trace for span in of_one] for of_one in spans]


def trace_ids(arm):
    """The trace id that the backend got with each request, of W3C's header: version-trace-span-flags."""
    return [header.split("-")[1] for header in arm.header("traceparent")]


def texts(line):
    """What has to be alike in both forms of an access line."""
    return {key: str(line[key]) for key in ("start_time", "response_code", "user-agent", "team")}
