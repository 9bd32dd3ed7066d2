"""TLS originated at the waypoint: plain HTTP inside of the mesh, TLS to the server outside.

Manifest: manifests/egress/originated.yaml (originated_policy.yaml)    Article: none
"""

from dataclasses import replace

import pytest

from harness.components import Echo
from harness.waits import rollouts
from harness.waits.responses import wait_for_response
from harness.waits.status import wait_for_condition

pytestmark = [pytest.mark.needs("real gateway"), pytest.mark.timeout(300, func_only=True)]
HOST, POLICY = "outside-tls.example", "BackendTLSPolicy/default/outside-tls"


@pytest.fixture(scope="module")
def egress(at_waypoint, applied, kube, here):
    """The waypoint as the place of requests to that host, in plain HTTP."""
    rollouts.wait_for_rollout(kube, here("Deployment/default/outside-tls"))
    wait_for_condition(kube, here("ServiceEntry/default/outside-tls"), "istio.io/WaypointBound")
    server = Echo(kube, "app=outside-tls", scheme="https")
    place = replace(at_waypoint, base=f"http://{HOST}:9080", echo=server)
    wait_for_response(place.client, place.get(host=HOST), status=400)
    return place


@pytest.mark.feature("Egress with TLS originated", place="waypoint")
def test_waypoint_originates_tls(tries, egress, here):
    """With a BackendTLSPolicy for an external Backend, plain HTTP requests to the waypoint reach the external
    server over TLS."""
    trial = tries.policy(egress, "egress/originated_policy.yaml", here(POLICY), [egress.get(host=HOST)] * 3, 200)

    assert trial.control.statuses == trial.recovery.statuses == [400, 400, 400]
    assert trial.control.reached == trial.recovery.reached == [0, 0, 0]
    assert trial.treatment.statuses == [200, 200, 200]
    assert [each[0].tls for each in trial.treatment.received] == [True, True, True]
    assert {each[0].client.rpartition(":")[0] for each in trial.treatment.received} == set(egress.envoy.ips)
