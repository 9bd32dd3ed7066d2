"""The Service of an ingress: which node's connections reach the proxy, and whose address it sees; annotations.

Manifest: manifests/client_traffic/gateway_service.yaml
Article: none; "How to get the real client IP to your application" (Istio ambient and Envoy Gateway compared)
"""

from dataclasses import replace

import pytest

from harness.experiments import gateway_service
from harness.objects.address_with_port import host_of
from harness.waits import gateways
from harness.waits.responses import wait_for_response

pytestmark = [pytest.mark.needs("real gateway", "two nodes"), pytest.mark.timeout(300, func_only=True)]
CLUSTER = {"spec": {"provider": {"kubernetes": {"envoyService": {"externalTrafficPolicy": "Cluster"}}}}}
LOAD_BALANCERS = {
    "loadbalancer.openstack.org/proxy-protocol": "v2",
    "service.beta.kubernetes.io/azure-pls-create": "true",
    "service.beta.kubernetes.io/azure-pls-proxy-protocol": "true",
}
EXTERNAL_TRAFFIC = {"service.beta.kubernetes.io/external-traffic": "Local"}


@pytest.fixture(scope="module")
def service(applied, proxy_of, at_ingress):
    """The place of that ingress, by whatever address its Service is reached."""
    return replace(at_ingress, gateway="address", envoy=proxy_of("address"))


@pytest.fixture(scope="module")
def doors(service, kube):
    """Its node port at each node, that of the proxy's node first."""
    with_proxy, without = gateway_service.read_node_doors(kube, "address")
    wait_for_response(with_proxy.client, service.get(), status=200)
    return with_proxy, without


@pytest.fixture
def balanced(service, kube):
    """The place of that ingress, called at its assigned address."""
    place = replace(service, client=gateways.client_at(gateways.wait_for_addresses(kube, "address")[0], 80))
    wait_for_response(place.client, place.get(), status=200)
    return place


@pytest.fixture
def in_cluster_mode(manifests, doors, service, kube, here):
    """`with in_cluster_mode():` the Service's policy is Cluster, and the node without a proxy is answered."""
    return lambda: gateway_service.while_in_cluster_mode(
        manifests.while_patched(here("EnvoyProxy/default/address"), CLUSTER), kube, "address", doors, service.get()
    )


@pytest.fixture
def annotated(manifests, here):
    """`with annotated(annotations):` the Gateway has these in spec.infrastructure."""
    return lambda annotations: manifests.while_patched(
        here("Gateway/default/address"), {"spec": {"infrastructure": {"annotations": annotations}}}
    )


@pytest.mark.feature("externalTrafficPolicy, node ports", place="ingress")
def test_policy_decides_which_node_is_answered(doors, service, in_cluster_mode):
    """With externalTrafficPolicy Local on the ingress Service, only the node of its proxy accepts node port requests;
    with Cluster every node does, and hides the client's address."""
    with_proxy, without = doors

    control = gateway_service.send_to_nodes(service, doors)
    with in_cluster_mode():
        treatment = gateway_service.send_to_nodes(service, doors)
    recovery = gateway_service.send_to_nodes(service, doors)

    assert control.statuses == recovery.statuses == [200, None]
    assert treatment.statuses == [200, 200]
    assert control.lines[0].client_ip == recovery.lines[0].client_ip == host_of(control.answers[0].local)
    assert treatment.lines[0].client_ip in with_proxy.own
    assert treatment.lines[1].client_ip in without.own
    assert treatment.header("x-forwarded-for") == [line.client_ip for line in treatment.lines]


@pytest.mark.needs("load balancer")
@pytest.mark.feature("externalTrafficPolicy, load balancer", place="ingress")
def test_policy_decides_whose_address_is_seen(doors, balanced, in_cluster_mode):
    """At its load balancer address, the ingress sees the client's address with externalTrafficPolicy Local, and a
    node's address with Cluster."""
    requests = [balanced.get()] * 2

    control = balanced.send(requests)
    with in_cluster_mode():
        treatment = balanced.send(requests)
    recovery = balanced.send(requests)

    assert control.statuses == treatment.statuses == recovery.statuses == [200, 200]
    client, nodes = host_of(control.answers[0].local), doors[0].own | doors[1].own
    assert [line.client_ip for line in (*control.lines, *recovery.lines)] == [client] * 4
    assert {line.client_ip for line in treatment.lines} <= nodes - {client}
    assert treatment.header("x-forwarded-for") == [line.client_ip for line in treatment.lines]


@pytest.mark.feature("Annotations of spec.infrastructure", place="ingress")
def test_annotations_are_on_the_service(service, annotated, kube, here):
    """Annotations in a Gateway's spec.infrastructure are copied to the ingress Service, and are removed from it when
    the Gateway drops them."""
    name = here("Service/default/address")
    control = gateway_service.wait_for_annotations(kube, name, list(LOAD_BALANCERS), there=False)

    with annotated(LOAD_BALANCERS):
        treatment = gateway_service.wait_for_annotations(kube, name, list(LOAD_BALANCERS), there=True)
    recovery = gateway_service.wait_for_annotations(kube, name, list(LOAD_BALANCERS), there=False)

    assert control == recovery == dict.fromkeys(LOAD_BALANCERS, "")
    assert treatment == LOAD_BALANCERS


@pytest.mark.feature("Annotation external-traffic", place="ingress", means="ignored")
def test_annotation_external_traffic_is_ignored(doors, service, annotated, in_cluster_mode, kube, here):
    """A load balancer annotation for external traffic policy Local has no effect on kind: the ingress Service keeps
    policy Cluster, and the ingress sees a node's address."""
    name = here("Service/default/address")

    with in_cluster_mode():
        control = gateway_service.send_to_nodes(service, doors)
        with annotated(EXTERNAL_TRAFFIC):
            annotations = gateway_service.wait_for_annotations(kube, name, list(EXTERNAL_TRAFFIC), there=True)
            treatment = gateway_service.send_to_nodes(service, doors, settle=True)
            policy = kube.get(name)["spec"]["externalTrafficPolicy"]

    assert (annotations, policy) == (EXTERNAL_TRAFFIC, "Cluster")
    assert control.statuses == treatment.statuses == [200, 200]
    assert [line.client_ip for line in treatment.lines] == [line.client_ip for line in control.lines]
    assert treatment.lines[0].client_ip in doors[0].own
