"""The article's ingress class, whose Service has type LoadBalancer, on a cluster with or without a load balancer.

Manifest: manifests/ingress/load_balancer.yaml    Article: "Setting Up Envoy Gateway as the Ingress Gateway"
"""

import pytest

from harness.http_exchange import get
from harness.waits import gateways, status


@pytest.fixture(scope="module")
def gateway(applied, proxy_of):
    """The ready proxy of the LoadBalancer Gateway, whatever the Gateway's conditions are."""
    return proxy_of("lb-ingress")


@pytest.mark.needs("load balancer")
def test_programmed_with_an_assigned_address(gateway, kube, here):
    """Gateway lb-ingress is Programmed, and its status address is the one that the load balancer assigned to its
    Service."""
    addresses = gateways.wait_for_addresses(kube, "lb-ingress")

    service = kube.get(here("Service/default/lb-ingress"))
    assert service["spec"]["type"] == "LoadBalancer"
    assert addresses == [entry["ip"] for entry in service["status"]["loadBalancer"]["ingress"]]


@pytest.mark.needs("load balancer")
def test_assigned_address_answers(gateway, kube, since, here):
    """Requests to the load balancer address of Gateway lb-ingress return 200 through its Envoy."""
    address = gateways.wait_for_addresses(kube, "lb-ingress")[0]

    answers = gateways.client_at(address, 80).send_in_turn(get("/productpage"))

    assert answers.statuses == [200]
    (line,) = gateway.wait_for_lines(answers, since)
    assert line.route_name == here("httproute/default/lb-bookinfo/rule/0/match/0/*")


@pytest.mark.needs("no load balancer")
def test_programmed_follows_the_address(gateway, kube, here):
    """Gateway lb-ingress is Programmed if its Service has a load balancer address, and otherwise has reason
    AddressNotAssigned."""
    service = kube.get(here("Service/default/lb-ingress"))
    addresses = service.get("status", {}).get("loadBalancer", {}).get("ingress") or []

    condition = status.wait_for_current_condition(kube, here("Gateway/default/lb-ingress"), "Programmed")

    assert service["spec"]["type"] == "LoadBalancer"
    assert (condition.status, condition.reason) == {
        True: ("True", "Programmed"),
        False: ("False", "AddressNotAssigned"),
    }[bool(addresses)]


def test_proxy_serves_without_an_address(gateway, client_of, since, here):
    """The Envoy of Gateway lb-ingress returns 200 for /productpage whether or not the Gateway is Programmed."""
    with client_of("lb-ingress", 80) as client:
        answers = client.send_in_turn(get("/productpage"))

    assert answers.statuses == [200]
    (line,) = gateway.wait_for_lines(answers, since)
    assert line.route_name == here("httproute/default/lb-bookinfo/rule/0/match/0/*")


def test_accepted_does_not_wait_for_the_address(gateway, read_condition, here):
    """Gateway lb-ingress has condition Accepted True for its current generation."""
    judgement = read_condition(here("Gateway/default/lb-ingress"), "Accepted", about="")

    assert judgement.state == "met", judgement.text
