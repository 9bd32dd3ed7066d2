"""The limiter is away, scaled to 0, and comes back.

Manifest: manifests/resilience/limiter_away.yaml
Promise: by default Envoy lets pass what it cannot ask about (fail open), and says so by no x-ratelimit header; it
limits again within 15 s of the limiter's return. With `failClosed` it refuses with 500 what it cannot ask about.
"""

import pytest

from harness.stack import disturb, enforcement
from harness.traffic import get, unique
from harness.wait import pause

pytestmark = [pytest.mark.extended("Resilience"), pytest.mark.needs("load")]
AWAY = "limiter away"


@pytest.fixture
def spent(whole_again, hour_left, applying, clock, ingress, ingress_gateway, limiter):
    """A request of a caller whose quota is spent, seen to be refused: 429 for the rest of the hour."""
    with applying("resilience/limiter_away.yaml"):
        enforcement.rate_limit(ingress_gateway, "ingress-bookinfo", there=True, since=clock())
        enforcement.limiter_answers(ingress, limiter, "/health")
        request = get("/health", x_user_id=unique("spent"))
        assert ingress.in_turn(request, 2).statuses == [200, 429]
        yield request


def test_limit_fails_open(load, outside, spent, kube, ingress, ingress_gateway):
    """Without its limiter Envoy serves a caller whose quota is spent, without any x-ratelimit header."""
    source = outside(spent, through=ingress_gateway, wanted=(429,))
    with (
        load(source, seconds=40, promise="unlimited meanwhile (200, no header), limited again in 15 s") as flow,
        flow.event(AWAY),
        disturb.away(kube, disturb.LIMITER, grace=False),
    ):
        passed = ingress.in_turn(spent, 3)
        pause(2, why="an ingress without its limiter")

    assert passed.statuses == [200, 200, 200]
    assert set(passed.header("x-ratelimit-limit")) == {None}
    assert set(flow.timeline.statuses) == {"200", "429"}
    assert flow.timeline.after(AWAY, settle=15).lost == (), flow.story


def test_limit_fails_closed_when_asked(load, outside, spent, kube, ingress, ingress_gateway):
    """With failClosed Envoy refuses with 500, while its limiter is away, each caller that it limits."""
    with disturb.fail_closed(kube, ingress_gateway):
        source = outside(spent, through=ingress_gateway, wanted=(429,))
        with (
            load(source, seconds=40, promise="500 meanwhile, limited again in 15 s") as flow,
            flow.event(f"{AWAY}, failClosed"),
            disturb.away(kube, disturb.LIMITER, grace=False),
        ):
            refused = ingress.in_turn(spent, 3)
            nameless = ingress.in_turn(get("/health"), 1)

    assert (refused.statuses, nameless.statuses) == ([500, 500, 500], [200])
    assert set(flow.timeline.statuses) == {"429", "500"}
    assert flow.timeline.after(f"{AWAY}, failClosed", settle=15).lost == (), flow.story
