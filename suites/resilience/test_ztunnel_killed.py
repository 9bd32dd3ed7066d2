"""ztunnel is killed on every node at once, without grace, as by a crash of both.

Promise: calls are lost until it runs again, at most 10 s; then all are served.
"""

import pytest

from harness.stack import disturb
from harness.traffic import get

pytestmark = [pytest.mark.extended("Resilience"), pytest.mark.needs("load")]
REQUEST = get("http://ratings:9080/ratings/0")
OUTAGE_MS = 10_000  # 1.8 s and 2.0 s seen
KILLED = "ztunnel killed"


def test_calls_are_served_again(load, anew, kept, kube, waypoint, ztunnel):
    """Killed without grace, ztunnel costs every new connection until it runs again, and no request after that."""
    with (
        load(
            anew(REQUEST, through=waypoint), kept(REQUEST, through=waypoint), seconds=25, promise="at most 10 s"
        ) as flow,
        flow.event(KILLED),
    ):
        disturb.replaced(kube, disturb.ZTUNNEL, disturb.shot(kube, disturb.ZTUNNEL))

    anew_, kept_ = flow.timelines
    assert max(anew_.outage_ms, kept_.outage_ms) <= OUTAGE_MS, disturb.port_taken(ztunnel)
    assert anew_.lost, "nobody noticed: what was killed did not carry this"
    assert (anew_.after(KILLED, settle=1).lost, kept_.after(KILLED, settle=1).lost) == ((), ())
