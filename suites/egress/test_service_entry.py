"""Egress through the waypoint: a host outside the mesh as a ServiceEntry that has a waypoint.

Manifest: manifests/egress/service_entry.yaml (refused.yaml)    Article: none; seen as no scope of Envoy Gateway's
"""

from dataclasses import replace

import pytest

from harness.components import Echo
from harness.waits import rollouts
from harness.waits.responses import wait_for_response
from harness.waits.status import wait_for_condition

pytestmark = [pytest.mark.needs("real gateway"), pytest.mark.timeout(300, func_only=True)]
HOST = "outside.example"


@pytest.fixture(scope="module")
def egress(at_waypoint, applied, kube, here):
    """The waypoint as the place of requests to the host outside, which it serves."""
    rollouts.wait_for_rollout(kube, here("Deployment/default/outside"))
    wait_for_condition(kube, here("ServiceEntry/default/outside"), "istio.io/WaypointBound")
    ingress_load = Echo(kube, "app=outside")
    place = replace(at_waypoint, base=f"http://{HOST}:9080", echo=ingress_load)
    wait_for_response(place.client, place.get(host=HOST), status=200)
    return place


@pytest.mark.feature("Egress by ServiceEntry and Backend", place="waypoint")
def test_requests_leave_through_the_waypoint(egress):
    """Requests to the host of a ServiceEntry with a waypoint return 200 and reach the external server from the
    waypoint's pod."""
    arm = egress.send([egress.get("/away", host=HOST)] * 3)

    assert arm.statuses == [200, 200, 200]
    assert {(line.authority, line.route_name.split("/")[2]) for line in arm.lines} == {(HOST, "outside")}
    assert [each[0].path for each in arm.received] == ["/away"] * 3
    assert {each[0].client.rpartition(":")[0] for each in arm.received} == set(egress.envoy.ips)


@pytest.mark.feature("Egress refused by a policy", place="waypoint")
def test_policy_refuses_egress(tries, egress, here):
    """A SecurityPolicy on the waypoint's HTTPRoute for a ServiceEntry returns 403 for a denied request, which does
    not reach the external server."""
    requests = [egress.get(host=HOST), egress.get(host=HOST, x_team="blue")]

    trial = tries.policy(egress, "egress/refused.yaml", here("SecurityPolicy/default/egress-refused"), requests, 403)

    assert trial.control.statuses == trial.recovery.statuses == [200, 200]
    assert trial.treatment.statuses == [403, 200]
    assert trial.treatment.reached == [0, 1]
    assert trial.past == [[200]] * 3
