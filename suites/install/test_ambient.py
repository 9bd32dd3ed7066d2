"""Istio ambient is installed, and Bookinfo is enrolled.

Manifest: manifests/install/ambient.yaml    Article: "Setting Up Envoy Gateway as the Ingress Gateway"
"""

import pytest

APPS = ("details-v1", "productpage-v1", "ratings-v1", "reviews-v1", "reviews-v2", "reviews-v3")


@pytest.fixture(scope="module")
def views(ztunnel):
    """Each node's ztunnel's view of the mesh."""
    return ztunnel.read_views()


def test_ztunnel_is_ready_on_every_node(kube, ztunnel):
    """Every node has a ready ztunnel pod."""
    nodes = {node["metadata"]["name"] for node in kube.list_objects("Node")}

    ready = ztunnel.read_ready_nodes()

    assert ready == nodes != set(), f"nodes without a ready ztunnel pod: {sorted(nodes - ready)}"


@pytest.mark.parametrize("app", APPS)
def test_ztunnel_takes_the_application_in(views, app):
    """The ztunnel of every node lists the pods of Deployment {app} with protocol HBONE."""
    protocols = {node: view.protocols(app) for node, view in views.items()}

    assert protocols, "no ztunnel is there to ask"
    assert set(protocols.values()) == {("HBONE",)}, f"ztunnel's protocol of {app} by node: {protocols}"


def test_identities_have_valid_certificates(kube, views, current_time):
    """For every Bookinfo pod, the ztunnel of its node holds a valid certificate of the pod's service account."""
    pods = [pod for app in APPS for pod in kube.list_pods(kube.namespace, f"app={app[:-3]},version={app[-2:]}")]

    lacking = [
        pod["metadata"]["name"]
        for pod in pods
        if not views[pod["spec"]["nodeName"]].has_valid_certificate(pod["spec"]["serviceAccountName"], current_time())
    ]

    assert len(pods) == len(APPS), [pod["metadata"]["name"] for pod in pods]
    assert lacking == [], f"ztunnel has no valid certificate for the service account of {lacking}"


@pytest.mark.needs("own mesh")
def test_no_configuration_was_refused(istiod):
    """istiod's counters show that no proxy rejected an xDS update."""
    rejections = istiod.read_rejections()

    assert rejections == {}, f"proxies rejected configuration of istiod: {rejections}"
