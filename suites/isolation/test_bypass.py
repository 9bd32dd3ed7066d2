"""Paths that bypass the waypoint: open by default, closed by an AuthorizationPolicy, open again without it.

Manifest: manifests/isolation/bypass.yaml (callers.yaml: the clients)    Article: none
"""

from dataclasses import dataclass

import pytest

from harness.clients.mesh import MeshClient
from harness.experiments.logged_connections import send_on_paths
from harness.http_exchange import get
from harness.objects.address_with_port import url
from harness.objects.workloads import pod_ip
from harness.waits import rollouts, status
from harness.waits.responses import wait_for_response

pytestmark = pytest.mark.extended("Bypass")
REFUSED = "connection closed due to policy rejection: allow policies exist, but none allowed"
ANSWERED = "http status: 401 Unauthorized"
POLICY = "AuthorizationPolicy/default/ratings-through-waypoint"
WAYS = {
    "through the waypoint": ("mesh-client", "ratings"),
    "through the waypoint, another account": ("other-client", "ratings"),
    "to the pod": ("mesh-client", "pod"),
    "to the pod, another account": ("other-client", "pod"),
    "to the pod, from outside the mesh": ("outsider", "pod"),
    "by name, from outside the mesh": ("outsider", "ratings"),
}
PAST = [way for way in WAYS if not way.startswith("through")]


@dataclass(frozen=True)
class Tried:
    """Statuses of each path before, under and after the policy. Under it: the client's error on each path, and
    ztunnel's errors for connections to the ratings pod, as (client, error) for each direction."""

    before: dict[str, int | None]
    under: dict[str, int | None]
    after: dict[str, int | None]
    errors: dict[str, str]
    refusals: dict[str, set[tuple[str, str | None]]]


@pytest.fixture(scope="module")
def bypass_attempts(waypoint, applying, kube, mesh_client, ztunnel, current_time, here):
    """A request on every path: before the policy, under it, and after its removal."""
    with applying("isolation/callers.yaml"):
        rollouts.wait_for_rollout(kube, here("Deployment/default/other-client"))
        rollouts.wait_for_rollout(kube, here("Deployment/default/outsider"))
        callers = {"mesh-client": mesh_client} | {n: MeshClient(kube, f"app={n}") for n in ("other-client", "outsider")}
        names = {client.ip: name for name, client in callers.items()}  # ours, nobody else's
        names |= dict.fromkeys(waypoint.ips, "waypoint")
        (pod,) = kube.list_pods(kube.namespace, "app=ratings")
        targets = {"ratings": "ratings", "pod": pod_ip(pod)}
        requests = {way: (callers[who], get(url(targets[to], 9080, "/ratings/0"))) for way, (who, to) in WAYS.items()}
        wait_for_response(*requests["to the pod"], status=200)
        before = send_on_paths(requests, ztunnel)
        with applying("isolation/bypass.yaml"):
            status.wait_for_condition(kube, here(POLICY), "ZtunnelAccepted")
            wait_for_response(*requests["to the pod"], status=None)
            since = current_time()
            under = send_on_paths(requests, ztunnel)
            lines = [
                line
                for line in ztunnel.read_lines(since)
                if line.dst.ip == targets["pod"] and line.src.ip in names and not line.is_ok
            ]
        wait_for_response(*requests["to the pod"], status=200)
        after = send_on_paths(requests, ztunnel)
    statuses = [{way: answer.status for way, answer in arm.items()} for arm in (before, under, after)]
    refusals = {
        side: {(names[line.src.ip], line.error) for line in lines if line.direction == side}
        for side in ("inbound", "outbound")
    }
    return Tried(*statuses, {way: answer.error for way, answer in under.items()}, refusals)


@pytest.mark.parametrize("arm", ["before", "after"])
def test_every_way_is_open_without_the_policy(bypass_attempts, arm):
    """In the measurement {arm} the AuthorizationPolicy, requests to ratings return 200 both through the waypoint
    and around it."""
    assert getattr(bypass_attempts, arm) == dict.fromkeys(WAYS, 200)


def test_policy_closes_every_way_past_the_waypoint(bypass_attempts):
    """With an AuthorizationPolicy that allows only the waypoint, requests to ratings through the waypoint return
    200, and requests that bypass it get no response."""
    assert bypass_attempts.under == dict.fromkeys(WAYS, 200) | dict.fromkeys(PAST)


def test_refusal_is_a_connection_cut(bypass_attempts):
    """With an AuthorizationPolicy that allows only the waypoint, every client that sends requests directly to the
    ratings pod gets a connection error."""
    assert all(bypass_attempts.errors[way] for way in PAST), bypass_attempts.errors


def test_ztunnel_names_the_policys_refusal(bypass_attempts):
    """With an AuthorizationPolicy that allows only the waypoint, ztunnel logs a policy rejection for each client
    that bypasses the waypoint."""
    inbound, logged = {(WAYS[way][0], REFUSED) for way in PAST}, bypass_attempts.refusals["inbound"]

    assert logged == inbound, f"ztunnel's log lacks {inbound - logged}"


def test_ztunnel_of_the_client_logs_401(bypass_attempts):
    """With an AuthorizationPolicy that allows only the waypoint, ztunnel at each mesh client that bypasses the
    waypoint logs an outbound 401."""
    assert bypass_attempts.refusals["outbound"] == {("mesh-client", ANSWERED), ("other-client", ANSWERED)}
