"""The waypoint and the ingress proxy are restarted together by `kubectl rollout restart`.

Promise: no request is lost: the new pod serves before the old one ends, and the old one drains first. Occasionally the
draining waypoint sends a complete response without closing the connection (tests/recordings/rolled-unclosed). For a
client that waits for the close, as the load generator's new connections do, that is a lost request: at most one on each
of its two connections.
"""

from dataclasses import dataclass

import pytest

from harness.disruption import restarts
from harness.http_exchange import get
from harness.load.background_load import BackgroundLoad
from harness.load.recorded_losses import UNCLOSED
from harness.load.timeline_text import timeline_as_text

pytestmark = [pytest.mark.extended("Resilience"), pytest.mark.needs("load", "two nodes")]
REQUEST = get("http://ratings:9080/ratings/0")


@dataclass(frozen=True)
class Rolled:
    """The load, and where ztunnel sent its connections in the mesh."""

    flow: BackgroundLoad
    ways: set[str]


@pytest.fixture(scope="module")
def rolling_restart(load, new_connections, keepalive, ingress_load, kube, waypoint, ztunnel, current_time, here):
    """Requests through both until the last old pod is gone."""
    since = current_time()
    with (
        load(new_connections(REQUEST), keepalive(REQUEST), ingress_load(get("/health"))) as background_load,
        background_load.event("waypoint and ingress rolled", "at most two new connections, through the waypoint"),
    ):
        restarts.restart_rolling(kube, here(restarts.WAYPOINT), here(restarts.INGRESS))
    return Rolled(background_load, ztunnel.read_destinations(since, "ratings"))


def test_rolling_waypoint_loses_nothing_kept(rolling_restart):
    """In a rolling restart of the waypoint, at most 2 requests on new connections fail, and none on keep-alive
    connections."""
    new_connections, keepalive, _ = rolling_restart.flow.timelines

    assert len(new_connections.lost) <= UNCLOSED.allowed(), f"{UNCLOSED}\n{timeline_as_text(new_connections)}"
    assert keepalive.lost == (), timeline_as_text(keepalive)
    assert rolling_restart.ways == {"waypoint"}


def test_rolling_ingress_loses_nothing(rolling_restart):
    """In a rolling restart of the ingress, no request through the ingress fails."""
    *_, ingress_load = rolling_restart.flow.timelines

    assert ingress_load.lost == (), timeline_as_text(ingress_load)
