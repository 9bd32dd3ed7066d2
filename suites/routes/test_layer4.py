"""TCPRoute and UDPRoute through the ingress into the mesh, and who answers on port 53.

Manifest: manifests/routes/layer4.yaml    Article: none; docs/findings.md, "DNS capture can answer for a backend"
"""

import pytest

from harness.clients import datagram
from harness.clients.service_address import find_udp_address
from harness.waits.status import wait_for_condition

pytestmark = [
    pytest.mark.needs("real gateway", "load"),
    pytest.mark.one_witness("connections and datagrams have no request id to join witnesses by"),
    pytest.mark.timeout(300, func_only=True),
]
GATEWAY, SERVICE = "Gateway/default/ingress-layer4", "default/ingress-layer4"


@pytest.fixture(scope="module")
def proxy(echo, applied, kube, proxy_of, here):
    """The proxy of the Gateway, programmed, with its three routes accepted."""
    wait_for_condition(kube, here(GATEWAY), "Programmed")
    wait_for_condition(kube, here("TCPRoute/default/layer4-tcp"), "Accepted")
    wait_for_condition(kube, here("UDPRoute/default/layer4-udp"), "Accepted")
    wait_for_condition(kube, here("UDPRoute/default/layer4-dns"), "Accepted")
    return proxy_of("ingress-layer4")


@pytest.mark.feature("TCPRoute", place="ingress")
def test_tcp_reaches_the_backend(proxy, mesh_client, echo, since):
    """TCP connections to a TCPRoute listener of the ingress reach the backend from the ingress pod."""
    counts = mesh_client.fortio("tcp://ingress-layer4:9000", times=3)

    assert counts == {"OK": 3}
    assert echo.read_tcp_clients(since, count=1) == set(proxy.ips)


@pytest.mark.feature("UDPRoute", place="ingress")
def test_udp_reaches_the_backend(proxy, kube, echo, since, here):
    """A UDP datagram to a UDPRoute listener of the ingress reaches the backend, and its reply returns to the client."""
    host, port = find_udp_address(kube, here(SERVICE), 9001)

    back = datagram.send_datagram(host, port, b"hello from outside")

    assert back == b"hello from outside"
    assert echo.read_udp_clients(since, count=1) == set(proxy.ips)


@pytest.mark.feature("UDPRoute to port 53", place="ingress", means="broken")
def test_dns_capture_answers_for_the_backend(proxy, kube, echo, here):
    """A DNS query through a UDPRoute to a backend without a DNS server gets a response, because Istio's DNS capture
    answers it."""
    host, port = find_udp_address(kube, here(SERVICE), 9002)

    back = datagram.send_datagram(host, port, datagram.dns_query(here("productpage.default.svc.cluster.local")))

    assert back is not None
    assert datagram.count_dns_answers(back) == 1
