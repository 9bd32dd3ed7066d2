"""The rate limit service is down, then Redis is killed, while users over quota keep sending requests.

Manifest: manifests/resilience/limiter.yaml
Promise: by default Envoy allows requests when the rate limit service does not answer (fail open), without x-ratelimit
headers, and enforces the limit within 15 s of the service's return. Redis stores nothing on disk here: when it is
killed, quotas are reset, and until it answers again each request waits for Envoy's rate limit timeout (2 s here) and
then passes.
"""

import pytest

from harness.disruption import restarts
from harness.http_exchange import get, unique
from harness.waits import policy_propagation, responses

pytestmark = [pytest.mark.extended("Resilience"), pytest.mark.needs("load", "disruptive")]
AWAY, KILLED = "rate limit service down", "Redis killed"


@pytest.fixture(scope="module")
def limited(whole_again, hour_left, applied, clock, ingress, ingress_gateway, limiter):
    """The rate limit of this module's manifest, once it is enforced."""
    policy_propagation.wait_for_rate_limit(ingress_gateway, "ingress-bookinfo", there=True, since=clock())
    policy_propagation.wait_for_rate_limit_service(ingress, limiter, "/health")


@pytest.fixture
def spent(limited, ingress, ingress_gateway, since):
    """A request of a user over quota, which returned 429 and does so for the rest of the hour."""
    request = get("/health", x_user_id=unique("spent"))
    answers = ingress.in_turn(request, 2)
    assert answers.statuses == [200, 429]
    assert [line.flags for line in ingress_gateway.lines_of(answers, since)] == ["-", "RL"]
    return request


def test_limit_fails_open(load, outside, spent, manifests, ingress, ingress_gateway, since):
    """A user over quota gets 200 while the rate limit service is down, and 429 within 15 seconds of its return."""
    with load(outside(spent, through=ingress_gateway, wanted=(429,))) as flow:
        with (
            flow.event(AWAY, "200 without header while down, limited again within 15 s"),
            restarts.while_scaled_to_zero(manifests, restarts.LIMITER, grace=False),
        ):
            responses.wait_for_response(ingress, spent, status=200)
            passed = ingress.in_turn(spent, 3)
        responses.wait_for_response(ingress, spent, status=429)

    assert passed.statuses == [200, 200, 200]
    assert {line.flags for line in ingress_gateway.lines_of(passed, since)} == {"-"}
    assert set(passed.header("x-ratelimit-limit")) == {None}
    assert set(flow.timeline.statuses) == {"200", "429"}
    assert flow.timeline.recovered(AWAY) <= 15, flow.story


def test_counters_are_lost_with_redis(load, outside, spent, kube, ingress, ingress_gateway, since):
    """Killing Redis resets a user's quota, and the rate limit applies again within 15 seconds."""
    watched = get("/health", x_user_id=unique("watched"))
    first = ingress.in_turn(watched)

    with load(outside(watched, through=ingress_gateway, wanted=(429,))) as flow:
        with flow.event(KILLED, "quota reset; limited again within 15 s"):
            restarts.kill_and_wait_for_new_pods(kube, restarts.REDIS)
        responses.wait_for_response(ingress, watched, status=429)
    after = ingress.in_turn(spent, 2)

    assert after.statuses == [200, 429]
    assert [line.flags for line in ingress_gateway.lines_of(after, since)] == ["-", "RL"]
    assert [line.status for line in ingress_gateway.lines_of(first, since)] == first.statuses
    assert flow.timeline.lost, flow.story
    assert flow.timeline.recovered(KILLED) <= 15, flow.story
