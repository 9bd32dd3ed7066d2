"""An AuthorizationPolicy that closes the way around the waypoint is applied while requests bypass the waypoint.

Manifest: manifests/isolation/bypass.yaml
Promise: ztunnel rejects new connections while the policy exists, and accepts them once it is removed. A connection that
was open before the policy continues for as long as it lasts: ztunnel checks open connections when a policy changes, but
against the workload as it was when the connection was made (tests/recordings/standing-connections).
"""

from dataclasses import dataclass

import pytest

from harness.http_exchange import get
from harness.load.background_load import BackgroundLoad
from harness.load.sources import CONNECTIONS
from harness.load.timeline_text import timeline_as_text
from harness.logs.ztunnel import ZtunnelLine
from harness.objects.address_with_port import url
from harness.objects.workloads import pod_ip
from harness.wait import pause
from harness.waits import responses

pytestmark = [pytest.mark.extended("Resilience"), pytest.mark.needs("load")]
CLOSED, OPEN = "waypoint bypass closed", "bypass opened again"
STANDS, CLOSED_MS = 5, 4_500  # seconds under the policy; of which requests begin every 50 ms


@dataclass(frozen=True)
class Refused:
    """The load, and ztunnel's lines of connections to the pod: those that outlived the policy, and those rejected."""

    flow: BackgroundLoad
    outlived: list[ZtunnelLine]
    refused: list[ZtunnelLine]


@pytest.fixture(scope="module")
def access_denied(load, new_connections, keepalive, applying, kube, mesh_client, ztunnel, current_time):
    """Requests to the ratings pod IP over new and keep-alive connections: before, under and after the policy."""
    (pod,) = kube.list_pods(kube.namespace, "app=ratings")
    request, since = get(url(pod_ip(pod), 9080, "/ratings/0")), current_time()
    with load(new_connections(request), keepalive(request)) as background_load:
        with (
            background_load.event(CLOSED, "new connections rejected, open ones kept"),
            applying("isolation/bypass.yaml"),
        ):
            responses.wait_for_response(mesh_client, request, status=None)
            pause(STANDS, why="connections that stand under a policy that refuses new ones")
        with background_load.event(OPEN, "no request is lost once one is accepted"):
            responses.wait_for_response(mesh_client, request, status=200)
    lines = [line for line in ztunnel.read_lines(since) if line.dst.workload == pod["metadata"]["name"]]
    inbound = [
        line for line in lines if line.direction == "inbound" and line.src.ip == mesh_client.ip
    ]  # none of others
    return Refused(
        background_load,
        [line for line in inbound if line.is_ok and line.duration_ms >= STANDS * 1000],
        [line for line in inbound if line.is_policy_rejection],
    )


def test_policy_refuses_every_new_connection(access_denied):
    """An AuthorizationPolicy on ratings makes requests on new connections fail for at least 4.5 of the 5 s that it
    exists."""
    new_connections, _ = access_denied.flow.timelines

    assert new_connections.outage_ms >= CLOSED_MS, timeline_as_text(new_connections)
    assert len(access_denied.refused) >= len(new_connections.lost) > 0
    assert new_connections.after(OPEN).lost == (), timeline_as_text(new_connections)


def test_connection_that_stood_outlives_the_policy(access_denied):
    """Requests on connections to ratings that were open before an AuthorizationPolicy denied new ones do not fail."""
    _, keepalive = access_denied.flow.timelines

    assert keepalive.lost == (), timeline_as_text(keepalive)
    assert len(access_denied.outlived) == CONNECTIONS
