"""ztunnel is restarted as one should: `kubectl rollout restart`, node by node.

Promise: nothing is lost, by clients that connect anew and by those that keep their connections.
"""

import pytest

from harness.stack import disturb
from harness.traffic import get

pytestmark = [pytest.mark.extended("Resilience"), pytest.mark.needs("load")]
REQUEST = get("http://ratings:9080/ratings/0")


def test_rolling_ztunnel_loses_nothing(load, anew, kept, kube, waypoint):
    """A graceful restart of ztunnel on every node drops no request through the waypoint."""
    with (
        load(
            anew(REQUEST, through=waypoint), kept(REQUEST, through=waypoint), seconds=45, promise="nothing is lost"
        ) as flow,
        flow.event("ztunnel rolled"),
    ):
        disturb.rolled(kube, disturb.ZTUNNEL)

    assert [timeline.lost for timeline in flow.timelines] == [(), ()], flow.story
