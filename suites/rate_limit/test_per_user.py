"""The ingress returns 429 to a user over the hourly quota.

Manifest: manifests/rate_limit/per_user.yaml    Article: "This Ingress needs rate limiting"
"""

from dataclasses import dataclass

import pytest

from harness.evidence.rate_limit_window import expected_statuses
from harness.http_exchange import Answers, get, unique_name
from harness.waits import policy_propagation

MANY = 20  # requests: that all of them reach one of two replicas has a chance of 1 in 500,000
QUOTA = 3  # per hour and user; tests/test_pairs.py holds it to the manifest
POLICY = "BackendTrafficPolicy/default/productpage-rate-limiting"
CLUSTER = "httproute/default/ingress-bookinfo/rule/0"


@pytest.fixture(scope="module", autouse=True)
def rate_limit_enforced(
    rate_limit_window, control, monotonic_clock, applied, kube, ingress, ingress_gateway, rate_limit_service, here
):
    """Waits for Accepted, for the limit in Envoy's route, and for a header of the rate limit service."""
    started = monotonic_clock()
    policy_propagation.wait_for_accepted(kube, here(POLICY), since=started)
    policy_propagation.wait_for_rate_limit(ingress_gateway, "ingress-bookinfo", there=True, since=started)
    policy_propagation.wait_for_rate_limit_service(ingress, rate_limit_service, "/productpage")


@pytest.fixture(scope="module")
def control(ingress, ingress_gateway, current_time):
    """The same requests before the policy exists, and their access log lines."""
    since = current_time()
    answers = ingress.send_in_turn(get("/productpage", x_user_id=unique_name("control")), QUOTA + 2)
    return answers, ingress_gateway.wait_for_lines(answers, since)


@dataclass(frozen=True)
class Counted:
    """Responses to three users, and how far the rate limit service's counters moved for all of them."""

    named: Answers
    admin: Answers
    nameless: Answers
    hits: float
    refused: float


@pytest.fixture(scope="module")
def counted_requests(rate_limit_enforced, ingress, rate_limit_service):
    """Three users send the same requests between two readings of the counters."""
    with rate_limit_service.counting_requests() as moved:
        named = ingress.send_in_turn(get("/productpage", x_user_id=unique_name("caller")), QUOTA + 3)
        admin = ingress.send_in_turn(get("/productpage", x_user_id="admin"), QUOTA + 3)
        nameless = ingress.send_in_turn(get("/productpage"), QUOTA + 3)
    return Counted(named, admin, nameless, moved.hits, moved.over_limit)


def test_nobody_is_limited_before(control):
    """Before the rate limit policy is applied, ingress requests return 200 without header x-ratelimit-limit and
    without response flag."""
    answers, lines = control

    assert (answers.statuses, {line.flags for line in lines}) == ([200] * (QUOTA + 2), {"-"})
    assert set(answers.header("x-ratelimit-limit")) == {None}


def test_request_over_quota_gets_429(ingress, ingress_gateway, since):
    """With a rate limit of 3 requests per user and hour, a user's further requests through the ingress return 429
    with response flag RL."""
    request = get("/productpage", x_user_id=unique_name("caller"))

    answers = ingress.send_in_turn(request, QUOTA + 3)

    assert answers.statuses == expected_statuses(QUOTA, QUOTA + 3), policy_propagation.describe_rate_limit_headers(
        answers
    )
    lines = ingress_gateway.wait_for_lines(answers, since)
    refused = ("RL", "request_rate_limited")
    assert [(line.flags, line.details) for line in lines[QUOTA:]] == [refused] * 3


@pytest.mark.needs("replicas")
def test_quota_holds_over_all_replicas(ingress, ingress_gateway, rate_limit_service, since):
    """All replicas of the ingress and of the rate limit service together allow a user exactly 3 requests per hour."""
    with rate_limit_service.counting_requests() as moved:
        answers = ingress.send_over_new_connections(get("/productpage", x_user_id=unique_name("caller")), MANY)

    lines = ingress_gateway.wait_for_lines_of_replicas(answers, since)
    assert answers.statuses == expected_statuses(QUOTA, MANY), policy_propagation.describe_rate_limit_headers(answers)
    assert [line.flags for line in lines] == ["-"] * QUOTA + ["RL"] * (MANY - QUOTA)
    assert (moved.hits, moved.over_limit) == (MANY, MANY - QUOTA)


def test_limiter_says_what_is_left(ingress, ingress_gateway, since):
    """With a rate limit of 3 per hour, header x-ratelimit-remaining of a user's first four ingress responses is 2,
    1, 0, 0."""
    request = get("/productpage", x_user_id=unique_name("caller"))

    answers = ingress.send_in_turn(request, QUOTA + 1)

    assert set(answers.header("x-ratelimit-limit")) == {f"{QUOTA}, {QUOTA};w=3600"}
    assert answers.header("x-ratelimit-remaining") == ["2", "1", "0", "0"]
    assert [line.flags for line in ingress_gateway.wait_for_lines(answers, since)] == ["-"] * QUOTA + ["RL"]


def test_limiter_counts_every_request_and_refusal(counted_requests):
    """With a rate limit of 3 per hour, the rate limit service counts 6 hits and 3 over limit for 6 requests of one
    user."""
    assert counted_requests.named.statuses == expected_statuses(QUOTA, QUOTA + 3)
    assert (counted_requests.hits, counted_requests.refused) == (QUOTA + 3, 3)


def test_refused_requests_never_reach_productpage(ingress, ingress_gateway, since, here):
    """With a rate limit of 3 per hour, the ingress forwards only 3 of a user's 6 requests to productpage."""
    with ingress_gateway.counting_requests_sent(here(CLUSTER)) as sent:
        answers = ingress.send_in_turn(get("/productpage", x_user_id=unique_name("caller")), QUOTA + 3)

    lines = ingress_gateway.wait_for_lines(answers.with_status(429), since)
    assert [line.upstream_host for line in lines] == [None] * 3
    assert sent.moved == QUOTA, f"Envoy sent productpage {sent.moved} requests, of which the quota allows {QUOTA}"


def test_callers_have_quotas_of_their_own(ingress, ingress_gateway, since):
    """After one user exceeds the rate limit of 3 per hour, another user's 3 requests through the ingress return 200."""
    quota_spent = ingress.send_in_turn(get("/productpage", x_user_id=unique_name("spent")), QUOTA + 1)
    other = ingress.send_in_turn(get("/productpage", x_user_id=unique_name("other")), QUOTA)

    assert other.statuses == [200] * QUOTA
    assert quota_spent.statuses == expected_statuses(QUOTA, QUOTA + 1)
    lines = ingress_gateway.wait_for_lines(quota_spent, since) + ingress_gateway.wait_for_lines(other, since)
    assert [line.flags for line in lines] == ["-"] * QUOTA + ["RL"] + ["-"] * QUOTA


def test_spent_caller_is_served_inside_the_mesh(ingress, ingress_gateway, mesh_client, since):
    """A user over the ingress's rate limit still gets 200 for a request to productpage from inside the mesh."""
    caller = unique_name("caller")

    quota_spent = ingress.send_in_turn(get("/productpage", x_user_id=caller), QUOTA + 1)
    inside = mesh_client.send_in_turn(get("http://productpage:9080/productpage", x_user_id=caller))
    marker = ingress.send_in_turn(get("/productpage", x_user_id=caller))

    assert quota_spent.statuses == expected_statuses(QUOTA, QUOTA + 1)
    assert [line.flags for line in ingress_gateway.wait_for_lines(quota_spent, since)] == ["-"] * QUOTA + ["RL"]
    ingress_gateway.wait_for_lines(marker, since)  # in batches: with this line, the other would be there
    assert ingress_gateway.has_no_line_of(inside, since), "the ingress has a line of the call from inside the mesh"
    assert inside.statuses == [200]


def test_admin_is_exempt(counted_requests):
    """All 6 ingress requests with header x-user-id: admin return 200, and the rate limit service does not count
    them."""
    assert counted_requests.hits == len(counted_requests.named)
    assert counted_requests.admin.statuses == [200] * (QUOTA + 3)


def test_caller_without_a_name_is_exempt(counted_requests):
    """All 6 ingress requests without header x-user-id return 200, and the rate limit service does not count them."""
    assert counted_requests.hits == len(counted_requests.named)
    assert counted_requests.nameless.statuses == [200] * (QUOTA + 3)


def test_limiter_holds_the_rule(rate_limit_service, here):
    """The rate limit service has loaded exactly one rule for the ingress: 3 requests per hour."""
    rules = [
        rule for rule in rate_limit_service.read_rules() if rule.is_in_domain(here("default/bookinfo-ingress/ingress"))
    ]

    assert [(rule.requests, rule.unit) for rule in rules] == [(QUOTA, "HOUR")]
