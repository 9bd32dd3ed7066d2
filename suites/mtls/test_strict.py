"""PeerAuthentication STRICT rejects plaintext, which is accepted without it, and backends see verified identities.

Manifest: manifests/mtls/strict.yaml (callers.yaml: the plaintext client)    Article: none
"""

from dataclasses import dataclass

import pytest

from harness.clients.mesh import MeshClient
from harness.evidence.hops import Journey
from harness.evidence.journey import journey_as_text, source_accounts
from harness.experiments.journey_collector import JourneyCollector
from harness.experiments.logged_connections import send_logged
from harness.http_exchange import Answers, get
from harness.objects.address_with_port import url
from harness.objects.workloads import pod_ip
from harness.waits import responses, rollouts

pytestmark = [pytest.mark.extended("mTLS"), pytest.mark.needs("mtls")]


@dataclass(frozen=True)
class Arms:
    """A client without a ztunnel, before, under and after STRICT; the mesh's own calls under it; which of our clients
    ztunnel refused there for a policy, and the client without a ztunnel, by IP."""

    before: list[int | None]
    under: list[int | None]
    after: list[int | None]
    mesh: Answers
    journeys: tuple[Journey, ...]
    refused: set[str]
    outsider: str


@pytest.fixture(scope="module")
def arms(waypoint, applying, kube, mesh_client, ztunnel, current_time, here):
    """Plaintext to the pod before, under and after STRICT, and requests inside the mesh under it."""
    with applying("mtls/callers.yaml"):
        rollouts.wait_for_rollout(kube, here("Deployment/default/outsider"))
        (pod,) = kube.list_pods(kube.namespace, "app=ratings")
        outsider, plain = MeshClient(kube, "app=outsider"), get(url(pod_ip(pod), 9080, "/ratings/0"))
        responses.wait_for_response(outsider, plain, status=200)
        before = send_logged(outsider, ztunnel, plain, 3).statuses
        with applying("mtls/strict.yaml"):
            responses.wait_for_response(outsider, plain, status=None)
            since = current_time()
            under = send_logged(outsider, ztunnel, plain, 3).statuses
            mesh = mesh_client.send_in_turn(get("http://ratings:9080/ratings/0"), 3)
            found = JourneyCollector(kube, ztunnel, None, waypoint).wait_for_journeys(
                mesh, since, via=lambda _: ("waypoint",)
            )
            clients = {outsider.ip, mesh_client.ip, *waypoint.ips}  # others may call too, in somebody's cluster
            lines = [
                line for line in ztunnel.read_lines(since) if line.direction == "inbound" and line.is_policy_rejection
            ]
            refused = {line.src.ip for line in lines} & clients
        responses.wait_for_response(outsider, plain, status=200)
        after = send_logged(outsider, ztunnel, plain, 3).statuses
        return Arms(before, under, after, mesh, found, refused, outsider.ip)


def test_plaintext_is_let_in_without_it(arms):
    """Plaintext requests from a pod outside the mesh return 200 before and after PeerAuthentication STRICT."""
    assert (arms.before, arms.after) == ([200] * 3, [200] * 3)


def test_plaintext_is_refused_under_it(arms):
    """With PeerAuthentication STRICT, plaintext requests from a pod outside the mesh get no response, and ztunnel
    rejects only that pod."""
    assert arms.under == [None] * 3
    assert arms.refused == {arms.outsider}


def test_mesh_is_served_under_it(arms):
    """With PeerAuthentication STRICT, requests from inside the mesh return 200, and all their connections use HBONE."""
    assert arms.mesh.statuses == [200] * 3
    assert {journey.verdict.outcome for journey in arms.journeys} == {"held"}, journey_as_text(arms.journeys[0])


def test_backend_is_called_as_the_waypoint(arms):
    """ztunnel logs the connection to the waypoint with the client's SPIFFE identity, and the one to ratings with
    the waypoint's identity."""
    seen = {source_accounts(journey, "ztunnel-in") for journey in arms.journeys}

    assert seen == {(("waypoint", "mesh-client"), ("ratings-v1", "waypoint"))}
