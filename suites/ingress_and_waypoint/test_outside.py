"""An ingress outside of the mesh, whose backends are in it.

Manifest: manifests/ingress_and_waypoint/outside.yaml (outside_strict.yaml)    Article: none
"""

from dataclasses import replace

import pytest

from harness.waits import gateways
from harness.waits.responses import wait_for_response

pytestmark = [pytest.mark.needs("real gateway"), pytest.mark.timeout(300, func_only=True)]


@pytest.fixture(scope="module")
def outside(applied, kube, client_of, proxy_of, at_ingress):
    """The place of that ingress."""
    gateways.wait_for_gateway(kube, "ingress-outside", "ingress-outside")
    envoy = proxy_of("ingress-outside")
    with client_of(envoy.gateway, 80) as client:
        place = replace(at_ingress, gateway=envoy.gateway, client=client, envoy=envoy)
        wait_for_response(client, place.get(), status=200)
        yield place


@pytest.mark.feature("Ingress outside of the mesh, PERMISSIVE", place="ingress")
def test_permissive_backend_answers(outside):
    """Requests through an ingress outside the mesh return 200 from a backend in the mesh, which sees the IP address
    of the ingress pod."""
    arm = outside.send([outside.get()] * 3)

    assert arm.statuses == [200, 200, 200]
    assert arm.reached == [1, 1, 1]
    assert {each[0].client.rpartition(":")[0] for each in arm.received} == set(outside.envoy.ips)


@pytest.mark.feature("Ingress outside of the mesh, STRICT", place="ingress", means="broken")
def test_strict_backend_rejects(outside, applying):
    """Requests through an ingress outside the mesh return 503 while PeerAuthentication STRICT applies to the
    backend, and 200 after its removal."""
    with applying("ingress_and_waypoint/outside_strict.yaml"):
        wait_for_response(outside.client, outside.get(), status=503)
        strict = outside.send([outside.get()] * 3)
    wait_for_response(outside.client, outside.get(), status=200)
    recovery = outside.send([outside.get()] * 3)

    assert strict.statuses == [503, 503, 503]
    assert strict.reached == [0, 0, 0]
    assert strict.past.statuses == [200, 200]
    assert recovery.statuses == [200, 200, 200]
