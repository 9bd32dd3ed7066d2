"""Access lines in a format of one's own, and in them the client's identity, which ztunnel names to the waypoint.

Manifest: manifests/observability/access_log.yaml (access_log_identity.yaml)    Article: none
"""

from dataclasses import replace

import pytest

from harness.waits import gateways, waypoint_binding
from harness.waits.responses import wait_for_response

pytestmark = [pytest.mark.needs("real gateway"), pytest.mark.timeout(300)]
HOST, URL = "echo-logged", "http://echo-logged:9080"
KEYS = {"start_time", "response_code", "response_flags", "user-agent", "team", "identity"}


@pytest.fixture(scope="module")
def ingress_logged(applied, kube, client_of, proxy_of, at_ingress):
    """The place of that ingress."""
    gateways.wait_for_gateway(kube, "ingress-logged", "echo-logged")
    envoy = proxy_of("ingress-logged")
    with client_of(envoy.gateway, 80) as client:
        place = replace(at_ingress, gateway=envoy.gateway, client=client, envoy=envoy)
        wait_for_response(client, place.get(host=HOST), status=200)
        yield place


@pytest.fixture(scope="module")
def waypoint_logged(applied, kube, proxy_of, at_waypoint, mesh_client):
    """The place of that waypoint, bound, and seen to carry a request."""
    gateways.wait_for_gateway(kube, "waypoint-logged", "echo-logged")
    envoy = proxy_of("waypoint-logged")
    waypoint_binding.bind_service(kube, "echo-logged", "waypoint-logged")
    waypoint_binding.wait_for_waypoint_traffic(mesh_client, envoy, f"{URL}/")
    return replace(at_waypoint, gateway=envoy.gateway, base=URL, envoy=envoy)


@pytest.mark.feature("Access log in a custom format", place="ingress")
def test_ingress_writes_the_format(ingress_logged, at_ingress):
    """With a custom JSON access log format, the ingress writes one line per request with exactly the keys of that
    format."""
    arm = ingress_logged.send([ingress_logged.get(host=HOST, x_team="blue")] * 3)
    default = at_ingress.send([at_ingress.get(x_team="blue")])

    assert arm.statuses == [200, 200, 200]
    assert [(set(line.raw), line.raw["team"]) for line in arm.lines] == [(KEYS, "blue")] * 3
    assert "team" not in default.lines[0].raw
    assert arm.reached == [1, 1, 1]


@pytest.mark.feature("Access log in a custom format", place="waypoint")
def test_waypoint_writes_the_format(waypoint_logged, at_waypoint):
    """With a custom JSON access log format, a waypoint writes one line per request with exactly the keys of that
    format."""
    arm = waypoint_logged.send([waypoint_logged.get(host=HOST, x_team="blue")] * 3)
    default = at_waypoint.send([at_waypoint.get(x_team="blue")])

    assert arm.statuses == [200, 200, 200]
    assert [(set(line.raw), line.raw["team"]) for line in arm.lines] == [(KEYS, "blue")] * 3
    assert "team" not in default.lines[0].raw
    assert arm.reached == [1, 1, 1]


@pytest.mark.feature("Client's ServiceAccount from the PROXY protocol", place="waypoint")
def test_waypoint_knows_the_client(tries, waypoint_logged, here):
    """With an EnvoyPatchPolicy for the PROXY protocol filter, the waypoint's access log contains the SPIFFE
    identity of the client."""
    request = waypoint_logged.get(host=HOST)

    trial = tries.configured(
        waypoint_logged,
        "observability/access_log_identity.yaml",
        here("EnvoyPatchPolicy/default/client-identity"),
        lambda: waypoint_logged.send([request] * 2),
        lambda: waypoint_logged.send([request]).lines[0].raw["identity"] is not None,
        condition="Programmed",
    )

    assert [line.raw["identity"] for line in trial.control.lines] == [None, None]
    identity = here("spiffe://cluster.local/ns/default/sa/mesh-client")
    assert [line.raw["identity"] for line in trial.treatment.lines] == [identity, identity]
    assert [line.raw["identity"] for line in trial.recovery.lines] == [None, None]
