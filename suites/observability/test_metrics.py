"""Metrics of the layers that a request passes: ztunnel's of connections, Envoy's own of requests, and those that lack.

Manifest: manifests/observability/metrics.yaml    Article: none; dashboards of Istio waypoints use istio_requests_total
"""

from dataclasses import replace

import pytest

from harness.experiments.request_metrics import send_metered
from harness.waits import bind_to_waypoint
from harness.waits.responses import wait_for_response
from harness.waits.status import wait_for_condition

pytestmark = [pytest.mark.needs("real gateway"), pytest.mark.timeout(300, func_only=True)]
HOST, URL = "echo-counted", "http://echo-counted:9080"
OPENED, REQUESTS = "istio_tcp_connections_opened_total", "envoy_cluster_upstream_rq_total"


@pytest.fixture(scope="module")
def counted(applied, kube, at_ingress, at_waypoint, mesh_client, here):
    """The places by name, which have the Service's route."""
    wait_for_condition(kube, here("Service/default/echo-counted"), "istio.io/WaypointBound")
    wait_for_response(at_ingress.client, at_ingress.get(host=HOST), status=200)
    bind_to_waypoint.wait_for_waypoint_traffic(mesh_client, at_waypoint.envoy, f"{URL}/")
    return {"ingress": at_ingress, "waypoint": replace(at_waypoint, base=URL)}


@pytest.mark.feature("Envoy's own metrics")
def test_envoy_counts_requests(place, counted, here):
    """At the {place}, Envoy's Prometheus counters of a route rise by exactly the number of requests sent to it."""
    there = counted[place.name]
    cluster = here("httproute/default/echo-counted/rule/0")

    seen = send_metered(there, [there.get(host=HOST)] * 5, there.gateway, there.envoy.read_metrics)

    assert seen.arm.statuses == [200] * 5
    assert seen.arm.reached == [1] * 5
    assert seen.moved(REQUESTS, envoy_cluster_name=cluster) == 5
    assert seen.moved("envoy_cluster_upstream_rq_xx", envoy_cluster_name=cluster, envoy_response_code_class="2") == 5


@pytest.mark.feature("ztunnel's metrics", place="waypoint")
def test_ztunnel_counts_connections(counted, ztunnel, here):
    """For 5 requests through a waypoint, ztunnel's counter of opened connections rises by 5, with the SPIFFE
    identities of client and waypoint."""
    there = counted["waypoint"]
    account = here("spiffe://cluster.local/ns/default/sa/")

    seen = send_metered(there, [there.get(host=HOST)] * 5, "ztunnel", ztunnel.read_metrics)

    assert seen.arm.statuses == [200] * 5
    opened = seen.moved(
        OPENED,
        reporter="source",
        source_principal=f"{account}mesh-client",
        destination_service=here("echo-counted.default.svc.cluster.local"),
        destination_principal=f"{account}waypoint",
        connection_security_policy="mutual_tls",
    )
    assert opened == 5


@pytest.mark.feature("Istio's request metrics (istio_requests_total)", means="broken")
def test_no_layer_counts_requests_as_istio_does(place, counted, ztunnel):
    """For requests through the {place}, neither Envoy nor ztunnel exposes the Istio metric istio_requests_total."""
    there = counted[place.name]

    of_envoy = send_metered(there, [there.get(host=HOST)] * 2, there.gateway, there.envoy.read_metrics)
    of_ztunnel = send_metered(there, [there.get(host=HOST)] * 2, "ztunnel", ztunnel.read_metrics)

    assert of_envoy.arm.statuses == of_ztunnel.arm.statuses == [200, 200]
    assert REQUESTS in of_envoy.names
    assert OPENED in of_ztunnel.names
    assert {"istio_requests_total"} & (of_envoy.names | of_ztunnel.names) == set()
