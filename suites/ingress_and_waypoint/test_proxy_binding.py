"""The PROXY binding: what the waypoint's Envoy knows of the address that was called.

Manifest: manifests/ingress_and_waypoint/proxy_binding.yaml    Article: none; docs/findings.md, "PROXY binding"
"""

from dataclasses import replace

import pytest

from harness.objects.address_with_port import host_port
from harness.waits import bind_to_waypoint, gateways

pytestmark = [pytest.mark.needs("real gateway"), pytest.mark.timeout(300, func_only=True)]
URL = "http://echo-proxied:9080/"


@pytest.fixture(scope="module")
def proxied(applied, kube, proxy_of, at_waypoint, mesh_client):
    """The place of that waypoint, bound, and seen to carry a request."""
    gateways.wait_for_gateway(kube, "waypoint-proxied", "echo-proxied")
    envoy = proxy_of("waypoint-proxied")
    bind_to_waypoint.bind_service(kube, "echo-proxied", "waypoint-proxied")
    bind_to_waypoint.wait_for_waypoint_traffic(mesh_client, envoy, URL)
    return replace(at_waypoint, gateway="waypoint-proxied", base="http://echo-proxied:9080", envoy=envoy)


@pytest.mark.feature("PROXY binding", place="waypoint")
def test_called_address_is_known(proxied, at_waypoint, mesh_client, kube, here):
    """The waypoint's Envoy logs the Service IP as its local address with inbound binding PROXY, and its own pod IP
    with inbound binding NONE."""
    service = kube.get(here("Service/default/echo-proxied"))["spec"]["clusterIP"]
    pods = {host_port(ip, 9080) for ip in at_waypoint.envoy.ips}

    with_proxy = proxied.send([proxied.get(host="echo-proxied")] * 2)
    without = at_waypoint.send([at_waypoint.get()] * 2)

    assert with_proxy.statuses == without.statuses == [200, 200]
    assert {line.downstream_local_address for line in with_proxy.lines} == {host_port(service, 9080)}
    assert {line.downstream_local_address for line in without.lines} == pods
    assert {line.client_ip for line in (*with_proxy.lines, *without.lines)} == {mesh_client.ip}
