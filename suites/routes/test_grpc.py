"""GRPCRoute at both places.

Manifest: manifests/routes/grpc.yaml    Article: none; routes of the Gateway API are among its reasons
"""

import pytest

from harness.waits.envoy_config import wait_for_route
from harness.waits.status import wait_for_condition

pytestmark = [
    pytest.mark.needs("real gateway", "load"),
    pytest.mark.one_witness("fortio's gRPC client sends no request id to join access lines by"),
]
TARGETS = {"ingress": "bookinfo-ingress:80", "waypoint": "echo-grpc:9080"}
ROUTE = "grpcroute/default/echo-grpc/"


@pytest.mark.feature("GRPCRoute")
def test_method_is_served(at_waypoint, place, applying, binding, kube, mesh_client, since, here):
    """At the {place}, all 3 gRPC pings through a GRPCRoute succeed, and Envoy logs each with that route."""
    with applying("routes/grpc.yaml"), binding("echo-grpc", "waypoint"):
        wait_for_condition(
            kube,
            here("GRPCRoute/default/echo-grpc"),
            "Accepted",
            about=here(f"Gateway/default/{place.gateway}"),
        )
        wait_for_route(place.envoy, here(ROUTE))
        counts = mesh_client.fortio(TARGETS[place.name], times=3, grpc=True)

    assert sum(counts.values()) == 3
    assert set(counts) <= {"SERVING", "OK"}
    lines = place.envoy.lines_of_route(here(ROUTE), since, count=3)
    assert {(line.path, line.status, line.flags) for line in lines} == {("/fgrpc.PingServer/Ping", 200, "-")}
