"""An AuthorizationPolicy that closes the way around the waypoint is applied while requests bypass the waypoint.

Manifest: manifests/isolation/bypass.yaml
Promise: ztunnel rejects new connections while the policy exists, and accepts them once it is removed. A connection that
was open before the policy continues for as long as it lasts: ztunnel checks open connections when a policy changes, but
against the workload as it was when the connection was made (tests/recordings/standing-connections).
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
CLOSED, OPEN = "waypoint bypass closed", "bypass opened again"
STANDS, CLOSED_MS = 5, 4_500  # seconds under the policy; of which requests begin every 50 ms


@dataclass(frozen=True)
class Refused:
    """The load, and ztunnel's lines of connections to the pod: those that outlived the policy, and those rejected."""

    flow: Flow
    outlived: list[ZtunnelLine]
    refused: list[ZtunnelLine]


@pytest.fixture(scope="module")
def refused(load, anew, kept, applying, kube, mesh_client, ztunnel, moment):
    """Requests to the ratings pod IP over new and keep-alive connections: before, under and after the policy."""
    (pod,) = kube.pods("default", "app=ratings")
    request, since = get(url(pod_ip(pod), 9080, "/ratings/0")), moment()
    with load(anew(request), kept(request)) as flow:
        with flow.event(CLOSED, "new connections rejected, open ones kept"), applying("isolation/bypass.yaml"):
            responses.wait_for_response(mesh_client, request, status=None)
            pause(STANDS, why="connections that stand under a policy that refuses new ones")
        with flow.event(OPEN, "no request is lost once one is accepted"):
            responses.wait_for_response(mesh_client, request, status=200)
    lines = [line for line in ztunnel.lines(since) if line.dst.workload == pod["metadata"]["name"]]
    inbound = [
        line for line in lines if line.direction == "inbound" and line.src.ip == mesh_client.ip
    ]  # none of others
    return Refused(
        flow,
        [line for line in inbound if line.ok and line.duration_ms >= STANDS * 1000],
        [line for line in inbound if line.refused],
    )


def test_policy_refuses_every_new_connection(refused):
    """For 4.5 of 5 seconds or more under an AuthorizationPolicy, ztunnel rejects new connections to the ratings pod."""
    anew, _ = refused.flow.timelines

    assert anew.outage_ms >= CLOSED_MS, picture(anew)
    assert len(refused.refused) >= len(anew.lost) > 0
    assert anew.after(OPEN).lost == (), picture(anew)


def test_connection_that_stood_outlives_the_policy(refused):
    """A connection to the ratings pod that predates the AuthorizationPolicy stays open and fails no request."""
    _, kept = refused.flow.timelines

    assert kept.lost == (), picture(kept)
    assert len(refused.outlived) == CONNECTIONS
