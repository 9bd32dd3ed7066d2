"""Traces: spans of ingress and waypoint at a collector, and their ids at the backend.

Manifest: manifests/observability/traces.yaml    Article: none; Envoy's example of Zipkin's protocol
"""

from dataclasses import replace

import pytest

from harness.components.trace_collector import TraceCollector
from harness.waits import gateways, rollouts, waypoint_binding
from harness.waits.responses import wait_for_response

pytestmark = [pytest.mark.needs("real gateway"), pytest.mark.timeout(300)]
HOST, UNTRAVERSED = "echo-traced", "echo-untraversed"
TRACE = "x-b3-traceid"


@pytest.fixture(scope="module")
def collector(applied, kube, here):
    """The collector, ready."""
    rollouts.wait_for_rollout(kube, here("Deployment/default/trace-collector"))
    return TraceCollector(kube)


@pytest.fixture(scope="module")
def waypoint_traced(collector, kube, proxy_of, at_waypoint, mesh_client):
    """The place of the waypoint that reports, bound, and seen to carry a request."""
    gateways.wait_for_gateway(kube, "waypoint-traced", HOST)
    envoy = proxy_of("waypoint-traced")
    waypoint_binding.bind_service(kube, HOST, "waypoint-traced")
    waypoint_binding.wait_for_waypoint_traffic(mesh_client, envoy, f"http://{HOST}:9080/")
    return replace(at_waypoint, gateway=envoy.gateway, base=f"http://{HOST}:9080", envoy=envoy)


@pytest.fixture(scope="module")
def ingress_traced(waypoint_traced, kube, client_of, proxy_of, at_ingress):
    """The place of the ingress that reports; its route for HOST leads through that waypoint, the other one does not."""
    gateways.wait_for_gateway(kube, "ingress-traced", HOST)
    envoy = proxy_of("ingress-traced")
    with client_of(envoy.gateway, 80) as client:
        place = replace(at_ingress, gateway=envoy.gateway, client=client, envoy=envoy)
        wait_for_response(client, place.get(host=UNTRAVERSED), status=200)
        wait_for_response(client, place.get(host=HOST), status=200)
        yield place


@pytest.mark.feature("Traces (Zipkin)", place="ingress")
def test_ingress_reports_spans(ingress_traced, at_ingress, collector, since):
    """With tracing enabled, the ingress reports two spans for each request, and the backend receives their trace ID."""
    arm = ingress_traced.send([ingress_traced.get(host=UNTRAVERSED)] * 3)
    default = at_ingress.send([at_ingress.get()])
    spans = collector.wait_for_spans(arm.answers, since, each=2)

    assert arm.statuses == [200, 200, 200]
    assert [[span.proxy for span in of_one] for of_one in spans] == [["ingress"] * 2] * 3
    assert [[span.trace for span in of_one] for of_one in spans] == [[trace] * 2 for trace in arm.header(TRACE)]
    assert default.header(TRACE) == [None]


@pytest.mark.feature("Traces (Zipkin)", place="waypoint")
def test_waypoint_reports_spans(waypoint_traced, at_waypoint, collector, since):
    """With tracing enabled, a waypoint reports two spans for each request, and the backend receives their trace ID."""
    arm = waypoint_traced.send([waypoint_traced.get(host=HOST)] * 3)
    default = at_waypoint.send([at_waypoint.get()])
    spans = collector.wait_for_spans(arm.answers, since, each=2)

    assert arm.statuses == [200, 200, 200]
    assert [[span.proxy for span in of_one] for of_one in spans] == [["waypoint"] * 2] * 3
    assert [[span.trace for span in of_one] for of_one in spans] == [[trace] * 2 for trace in arm.header(TRACE)]
    assert default.header(TRACE) == [None]


@pytest.mark.feature("One trace across ingress and waypoint", place="waypoint")
def test_both_report_one_trace(ingress_traced, collector, since):
    """A request through ingress and waypoint produces one trace of four spans, each a child of the previous one."""
    arm = ingress_traced.send([ingress_traced.get(host=HOST)] * 3)
    spans = collector.wait_for_spans(arm.answers, since, each=4)

    assert arm.statuses == [200, 200, 200]
    assert [[span.proxy for span in of_one] for of_one in spans] == [["ingress"] * 2 + ["waypoint"] * 2] * 3
    assert [[span.trace for span in of_one] for of_one in spans] == [[trace] * 4 for trace in arm.header(TRACE)]
    assert [[span.parent for span in of_one[1:]] for of_one in spans] == [
        [s.id for s in of_one[:3]] for of_one in spans
    ]
