"""The rate limit service is down, then Redis is killed, while users over quota keep sending requests.

Manifest: manifests/resilience/limiter.yaml
Promise: by default Envoy allows requests when the rate limit service does not answer (fail open), without x-ratelimit
headers, and enforces the limit within 30 s of the service's return. Redis stores nothing on disk here: when it is
killed, quotas are reset, and until it answers again each request waits for Envoy's rate limit timeout (2 s here) and
then passes.
"""

import pytest

from harness.disruption import restarts
from harness.http_exchange import get, unique_name
from harness.load.outage_budgets import LIMIT_AFTER_READY
from harness.waits import policy_propagation, responses

pytestmark = [pytest.mark.extended("Resilience"), pytest.mark.needs("load", "disruptive")]
AWAY, KILLED = "rate limit service down", "Redis killed"


@pytest.fixture(scope="module")
def rate_limit_enforced(
    restored_stack, rate_limit_window, applied, monotonic_clock, ingress, ingress_gateway, rate_limit_service
):
    """The rate limit of this module's manifest, once it is enforced."""
    policy_propagation.wait_for_rate_limit(ingress_gateway, "ingress-bookinfo", there=True, since=monotonic_clock())
    policy_propagation.wait_for_rate_limit_service(ingress, rate_limit_service, "/health")


@pytest.fixture
def quota_spent(rate_limit_enforced, ingress, ingress_gateway, since):
    """A request of a user over quota, which returned 429 and does so for the rest of the hour."""
    request = get("/health", x_user_id=unique_name("spent"))
    answers = ingress.send_in_turn(request, 2)
    assert answers.statuses == [200, 429]
    assert [line.flags for line in ingress_gateway.wait_for_lines(answers, since)] == ["-", "RL"]
    return request


def test_limit_fails_open(load, ingress_load, quota_spent, manifests, ingress, ingress_gateway, since):
    """A user over the rate limit gets 200 while the rate limit service is down, and 429 within 30 s of its restart."""
    with load(ingress_load(quota_spent, proxy=ingress_gateway, accepted_statuses=(429,))) as background_load:
        with (
            background_load.event(AWAY, "200 without header while down, limited again within 30 s"),
            restarts.while_scaled_to_zero(manifests, restarts.LIMITER, grace=False),
        ):
            responses.wait_for_response(ingress, quota_spent, status=200)
            passed = ingress.send_in_turn(quota_spent, 3)
        responses.wait_for_response(ingress, quota_spent, status=429)

    assert passed.statuses == [200, 200, 200]
    assert {line.flags for line in ingress_gateway.wait_for_lines(passed, since)} == {"-"}
    assert set(passed.header("x-ratelimit-limit")) == {None}
    assert set(background_load.timeline.statuses) == {"200", "429"}
    recovered = background_load.timeline.seconds_to_recover(AWAY)
    assert recovered <= LIMIT_AFTER_READY.seconds, f"{LIMIT_AFTER_READY}\n{background_load.text}"


def test_counters_are_lost_with_redis(load, ingress_load, quota_spent, kube, ingress, ingress_gateway, since):
    """After Redis is killed, a user over the rate limit gets 200 again, and the limit is enforced within 30 s of
    Redis's restart."""
    watched = get("/health", x_user_id=unique_name("watched"))
    first = ingress.send_in_turn(watched)

    with load(ingress_load(watched, proxy=ingress_gateway, accepted_statuses=(429,))) as background_load:
        with background_load.event(KILLED, "quota reset; limited again within 30 s"):
            restarts.kill_and_wait_for_new_pods(kube, restarts.REDIS)
        responses.wait_for_response(ingress, watched, status=429)
    after = ingress.send_in_turn(quota_spent, 2)

    assert after.statuses == [200, 429]
    assert [line.flags for line in ingress_gateway.wait_for_lines(after, since)] == ["-", "RL"]
    assert [line.status for line in ingress_gateway.wait_for_lines(first, since)] == first.statuses
    assert background_load.timeline.lost, background_load.text
    recovered = background_load.timeline.seconds_to_recover(KILLED)
    assert recovered <= LIMIT_AFTER_READY.seconds, f"{LIMIT_AFTER_READY}\n{background_load.text}"
