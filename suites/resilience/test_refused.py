"""The policy that closes the way past the waypoint comes while calls go that way.

Manifest: manifests/isolation/bypass.yaml
Promise: no new connection is let in, and once the policy is gone each is again. But a connection that stood is served
on for as long as it lasts: ztunnel judges those again when a policy comes, but by the pod as it was when each was made,
and then it had none (tests/recordings/standing-connections). The way is closed once its callers have connected anew.
"""

from dataclasses import dataclass

import pytest

from harness.http_exchange import get
from harness.load.background_load import Flow
from harness.load.sources import CONNECTIONS
from harness.load.timeline_text import picture
from harness.logs.ztunnel import ZtunnelLine
from harness.objects.addresses import url
from harness.objects.workloads import pod_ip
from harness.wait import pause
from harness.waits import responses

pytestmark = [pytest.mark.extended("Resilience"), pytest.mark.needs("load")]
CLOSED, OPEN = "way past the waypoint closed", "opened again"
STANDS, CLOSED_MS = 5, 4_500  # seconds under the policy; of which requests begin every 50 ms


@dataclass(frozen=True)
class Refused:
    """The load, and ztunnel's lines of calls to the pod: those that outlived the policy, and those it refused."""

    flow: Flow
    outlived: list[ZtunnelLine]
    refused: list[ZtunnelLine]


@pytest.fixture(scope="module")
def refused(load, anew, kept, applying, kube, mesh_client, ztunnel, moment):
    """Requests straight to the pod of ratings, over new and kept connections: before the policy, under it and after."""
    (pod,) = kube.pods("default", "app=ratings")
    request, since = get(url(pod_ip(pod), 9080, "/ratings/0")), moment()
    with load(anew(request), kept(request)) as flow:
        with flow.event(CLOSED, "new connections refused, those that stand served"), applying("isolation/bypass.yaml"):
            responses.wait_for_response(mesh_client, request, status=None)
            pause(STANDS, why="connections that stand under a policy that refuses new ones")
        with flow.event(OPEN, "nothing is lost once one is let in"):
            responses.wait_for_response(mesh_client, request, status=200)
    lines = [line for line in ztunnel.lines(since) if line.dst.workload == pod["metadata"]["name"]]
    inbound = [line for line in lines if line.direction == "inbound"]
    return Refused(
        flow,
        [line for line in inbound if line.ok and line.duration_ms >= STANDS * 1000],
        [line for line in inbound if line.refused],
    )


def test_policy_refuses_every_new_connection(refused):
    """Once the policy is in force no new connection is served, by ztunnel's refusal, until it is gone."""
    anew, _ = refused.flow.timelines

    assert anew.outage_ms >= CLOSED_MS, picture(anew)
    assert len(refused.refused) >= len(anew.lost) > 0
    assert anew.after(OPEN).lost == (), picture(anew)


def test_connection_that_stood_outlives_the_policy(refused):
    """A connection made before the policy is served all the time under it: closing the way does not end who is in."""
    _, kept = refused.flow.timelines

    assert kept.lost == (), picture(kept)
    assert len(refused.outlived) == CONNECTIONS
