"""Plain TCP to a host outside the mesh, through a waypoint of connections.

Manifest: manifests/egress/tcp.yaml    Article: none
"""

import pytest

from harness.components import Echo
from harness.waits import rollouts
from harness.waits.status import wait_for_condition

pytestmark = [
    pytest.mark.needs("real gateway", "load"),
    pytest.mark.one_witness("connections have no request id to join witnesses by"),
    pytest.mark.timeout(300, func_only=True),
]
URL = "tcp://outside-tcp.example:9000"


@pytest.mark.feature("Egress by TCP", place="waypoint")
def test_connections_leave_through_the_waypoint(applied, kube, proxy_of, mesh_client, since, here):
    """TCP connections to the host of a ServiceEntry with a waypoint reach the external server from the waypoint's
    pod."""
    rollouts.wait_for_rollout(kube, here("Deployment/default/outside-tcp"))
    wait_for_condition(kube, here("Gateway/default/waypoint-tcp"), "Programmed", about="")
    wait_for_condition(kube, here("TCPRoute/default/outside-tcp"), "Accepted")
    wait_for_condition(kube, here("ServiceEntry/default/outside-tcp"), "istio.io/WaypointBound")
    envoy = proxy_of("waypoint-tcp")

    counts = mesh_client.fortio(URL, times=3)

    assert counts == {"OK": 3}
    assert Echo(kube, "app=outside-tcp").read_tcp_clients(since, count=1) == set(envoy.ips)
