"""The ingress proxy is restarted as one should: `kubectl rollout restart`.

Promise: nothing is lost: the new pod serves before the old one ends, and that drains first.
"""

import pytest

from harness.stack import disturb
from harness.traffic import get

pytestmark = [pytest.mark.extended("Resilience"), pytest.mark.needs("load")]


def test_rolling_ingress_loses_nothing(load, outside, kube):
    """A rollout restart of the ingress proxy drops no request from outside."""
    with load(outside(get("/health")), seconds=30, promise="nothing is lost") as flow, flow.event("ingress rolled"):
        disturb.rolled(kube, disturb.INGRESS)

    assert flow.timeline.lost == (), flow.story
