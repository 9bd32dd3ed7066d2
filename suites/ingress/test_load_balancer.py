"""The article's own ingress class: a LoadBalancer Service, with or without a load balancer.

Manifest: manifests/ingress/load_balancer.yaml    Article: "Setting Up Envoy Gateway as the Ingress Gateway"
"""

import pytest

from harness.http_exchange import get

pytestmark = pytest.mark.needs("disruptive")


@pytest.fixture(scope="module")
def gateway(applied, proxy_of):
    """The proxy of the LoadBalancer Gateway, ready whatever its status says."""
    return proxy_of("lb-ingress")


def test_programmed_follows_the_address(gateway, kube, settled):
    """The Gateway is Programmed exactly when its Service has an address: without one, AddressNotAssigned."""
    service = kube.get("Service/default/lb-ingress")
    addresses = service.get("status", {}).get("loadBalancer", {}).get("ingress") or []

    condition = settled("Gateway/default/lb-ingress", "Programmed")

    assert service["spec"]["type"] == "LoadBalancer"
    assert (condition.status, condition.reason) == {
        True: ("True", "Programmed"),
        False: ("False", "AddressNotAssigned"),
    }[bool(addresses)]


def test_proxy_serves_without_an_address(gateway, client_of, since):
    """The proxy serves the page though the Gateway may not be Programmed: the status is about the address only."""
    with client_of("lb-ingress", 80) as client:
        answers = client.in_turn(get("/productpage"))

    assert answers.statuses == [200]
    (line,) = gateway.lines_of(answers, since)
    assert line.route_name == "httproute/default/lb-bookinfo/rule/0/match/0/*"


def test_accepted_does_not_wait_for_the_address(gateway, says):
    """The Gateway is accepted whether or not an address is assigned."""
    judgement = says("Gateway/default/lb-ingress", "Accepted", about="")

    assert judgement.state == "met", judgement.text
