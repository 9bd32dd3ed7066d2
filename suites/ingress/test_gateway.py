"""Envoy Gateway as the ingress of the mesh: conditions, a page, and the HBONE connection behind the proxy.

Manifest: manifests/ingress/gateway.yaml    Article: "Setting Up Envoy Gateway as the Ingress Gateway"
"""

import pytest

from harness.http_exchange import get
from harness.objects.address_with_port import host_port
from harness.objects.workloads import pod_ip

INGRESS = "spiffe://cluster.local/ns/default/sa/bookinfo-ingress"
PRODUCTPAGE = "spiffe://cluster.local/ns/default/sa/bookinfo-productpage"
ROUTE = "httproute/default/ingress-bookinfo/rule/0/match/0/*"


@pytest.mark.parametrize("type", ["Accepted", "Programmed"])
def test_gateway_condition(ingress, read_condition, type, here):
    """Gateway bookinfo-ingress has condition {type} True for its current generation."""
    judgement = read_condition(here("Gateway/default/bookinfo-ingress"), type, about="")

    assert judgement.state == "met", judgement.text


@pytest.mark.parametrize("type", ["Accepted", "Programmed", "ResolvedRefs"])
def test_listener_condition(ingress, read_condition, type, here):
    """The listener of Gateway bookinfo-ingress has condition {type} True for the current generation."""
    judgement = read_condition(here("Gateway/default/bookinfo-ingress"), type, about="listener/ingress")

    assert judgement.state == "met", judgement.text


@pytest.mark.parametrize("type", ["Accepted", "ResolvedRefs"])
def test_route_condition(ingress, read_condition, type, here):
    """HTTPRoute ingress-bookinfo has condition {type} True for its parent Gateway and its current generation."""
    judgement = read_condition(
        here("HTTPRoute/default/ingress-bookinfo"), type, about=here("Gateway/default/bookinfo-ingress")
    )

    assert judgement.state == "met", judgement.text


def test_proxy_is_enrolled(ingress_gateway, ztunnel):
    """The ztunnel of every node lists the ingress pods as workloads with protocol HBONE."""
    protocols = {node: view.protocols_of(ingress_gateway.names) for node, view in ztunnel.read_views().items()}

    assert protocols, "no ztunnel is there to ask"
    assert set(protocols.values()) == {("HBONE",)}, protocols


def test_productpage_is_served(ingress, ingress_gateway, since, here):
    """A GET /productpage through the ingress returns 200, and Envoy logs it with the route of HTTPRoute
    ingress-bookinfo."""
    answers = ingress.send_in_turn(get("/productpage"))

    assert answers.statuses == [200]
    assert "Simple Bookstore App" in answers[0].body
    (line,) = ingress_gateway.wait_for_lines(answers, since)
    assert (line.status, line.flags, line.route_name) == (200, "-", here(ROUTE))


def test_connection_behind_the_ingress_is_hbone(ingress, ingress_gateway, ztunnel, since, here):
    """ztunnel logs an outbound HBONE connection from the ingress to productpage with the SPIFFE identities of both."""
    answers = ingress.send_in_turn(get("/productpage"))

    (line,) = ingress_gateway.wait_for_lines(answers, since)
    connection = ztunnel.wait_for_connection(since, line.upstream_local_address, line, line.upstream_host)
    tunnel = connection.dst
    assert (tunnel.addr.endswith(":15008"), tunnel.hbone_addr) == (True, line.upstream_host), connection.raw
    assert (connection.src.identity, connection.dst.identity) == (here(INGRESS), here(PRODUCTPAGE))


def test_connection_arrives_as_hbone(ingress, ingress_gateway, ztunnel, kube, since, here):
    """ztunnel on productpage's node logs the inbound HBONE connection with the SPIFFE identity of the ingress."""
    (pod,) = kube.list_pods(kube.namespace, "app=productpage")
    answers = ingress.send_in_turn(get("/productpage"))

    (line,) = ingress_gateway.wait_for_lines(answers, since)
    out = ztunnel.wait_for_connection(since, line.upstream_local_address, line, line.upstream_host)
    mirror = ztunnel.wait_for_destination_line(since, out)
    assert (mirror.dst.workload, mirror.dst.addr) == (pod["metadata"]["name"], host_port(pod_ip(pod), 15008))
    assert mirror.src.identity == here(INGRESS)


def test_ingress_refused_no_configuration(ingress_gateway, ingress):
    """The Envoy of Gateway bookinfo-ingress has rejected no xDS update."""
    rejected = ingress_gateway.read_rejected_resources()

    assert rejected == [], f"Envoy of Gateway bookinfo-ingress rejected {rejected}"
