"""The ingress refuses a caller whose hourly quota is spent.

Manifest: manifests/rate_limit/per_user.yaml    Article: "This Ingress needs rate limiting"
"""

from dataclasses import dataclass

import pytest

from harness.evidence.rate_limit_window import expected
from harness.http_exchange import Answers, get, unique
from harness.waits import policy_propagation

QUOTA = 3  # an hour for each caller; tests/test_pairs.py holds it to the manifest
POLICY = "BackendTrafficPolicy/default/productpage-rate-limiting"
CLUSTER = "httproute/default/ingress-bookinfo/rule/0"


@pytest.fixture(scope="module", autouse=True)
def limited(hour_left, control, clock, applied, kube, ingress, ingress_gateway, limiter):
    """Accepted is the controller's word; the route in Envoy and the limiter's own header are the data plane's."""
    started = clock()
    policy_propagation.wait_for_accepted(kube, POLICY, since=started)
    policy_propagation.wait_for_rate_limit(ingress_gateway, "ingress-bookinfo", there=True, since=started)
    policy_propagation.wait_for_rate_limit_service(ingress, limiter, "/productpage")


@pytest.fixture(scope="module")
def control(ingress, ingress_gateway, moment):
    """The same client and requests before there is a policy, and their access lines."""
    since = moment()
    answers = ingress.in_turn(get("/productpage", x_user_id=unique("control")), QUOTA + 2)
    return answers, ingress_gateway.lines_of(answers, since)


@dataclass(frozen=True)
class Counted:
    """Three callers' answers, and how far the limiter's counters moved for all of them together."""

    named: Answers
    admin: Answers
    nameless: Answers
    hits: float
    refused: float


@pytest.fixture(scope="module")
def counted(limited, ingress, limiter):
    """Three callers send the same between two readings of counters that stand still."""
    with limiter.counting() as moved:
        named = ingress.in_turn(get("/productpage", x_user_id=unique("caller")), QUOTA + 3)
        admin = ingress.in_turn(get("/productpage", x_user_id="admin"), QUOTA + 3)
        nameless = ingress.in_turn(get("/productpage"), QUOTA + 3)
    return Counted(named, admin, nameless, moved.hits, moved.over_limit)


def test_nobody_is_limited_before(control):
    """Control: without the policy the same requests all pass, and no limiter is asked."""
    answers, lines = control

    assert answers.statuses == [200] * (QUOTA + 2)
    assert set(answers.header("x-ratelimit-limit")) == {None}
    assert {line.flags for line in lines} == {"-"}


def test_request_over_quota_gets_429(ingress, ingress_gateway, since):
    """A fresh caller is served exactly QUOTA times, then refused by Envoy itself."""
    request = get("/productpage", x_user_id=unique("caller"))

    answers = ingress.in_turn(request, QUOTA + 3)

    assert answers.statuses == expected(QUOTA, QUOTA + 3), policy_propagation.describe_rate_limit_headers(answers)
    lines = ingress_gateway.lines_of(answers, since)
    assert [line.flags for line in lines] == ["-"] * QUOTA + ["RL"] * 3
    assert {line.details for line in lines[QUOTA:]} == {"request_rate_limited"}


def test_limiter_says_what_is_left(ingress, ingress_gateway, since):
    """Each answer carries the limiter's own figures: the quota, and a remainder that falls to nothing."""
    request = get("/productpage", x_user_id=unique("caller"))

    answers = ingress.in_turn(request, QUOTA + 1)

    assert set(answers.header("x-ratelimit-limit")) == {f"{QUOTA}, {QUOTA};w=3600"}
    assert answers.header("x-ratelimit-remaining") == ["2", "1", "0", "0"]
    assert [line.flags for line in ingress_gateway.lines_of(answers, since)] == ["-"] * QUOTA + ["RL"]


def test_limiter_counts_every_request_and_refusal(counted):
    """The limiter's counters move by exactly what a named caller sent, and by exactly what it was refused."""
    assert counted.named.statuses == expected(QUOTA, QUOTA + 3)
    assert (counted.hits, counted.refused) == (QUOTA + 3, 3)


def test_refused_requests_never_reach_productpage(ingress, ingress_gateway, since):
    """Envoy sends productpage the requests within the quota and none of the others."""
    with ingress_gateway.counting_sent(CLUSTER) as sent:
        answers = ingress.in_turn(get("/productpage", x_user_id=unique("caller")), QUOTA + 3)

    assert sent.moved == QUOTA, f"Envoy sent productpage {sent.moved} requests, of which the quota allows {QUOTA}"
    lines = ingress_gateway.lines_of(answers.having(429), since)
    assert [line.upstream_host for line in lines] == [None] * 3


def test_callers_have_quotas_of_their_own(ingress, ingress_gateway, since):
    """One caller's spent quota leaves another's whole."""
    spent = ingress.in_turn(get("/productpage", x_user_id=unique("spent")), QUOTA + 1)
    other = ingress.in_turn(get("/productpage", x_user_id=unique("other")), QUOTA)

    assert spent.statuses == expected(QUOTA, QUOTA + 1)
    assert other.statuses == [200] * QUOTA
    assert [line.flags for line in ingress_gateway.lines_of(spent, since)] == ["-"] * QUOTA + ["RL"]
    assert {line.flags for line in ingress_gateway.lines_of(other, since)} == {"-"}


def test_spent_caller_is_served_inside_the_mesh(ingress, ingress_gateway, mesh_client, since):
    """The bypass is open: productpage serves a caller whose quota is spent, and that calls it past the ingress."""
    caller = unique("caller")

    spent = ingress.in_turn(get("/productpage", x_user_id=caller), QUOTA + 1)
    inside = mesh_client.in_turn(get("http://productpage:9080/productpage", x_user_id=caller))
    marker = ingress.in_turn(get("/productpage", x_user_id=caller))

    assert spent.statuses == expected(QUOTA, QUOTA + 1)
    assert [line.flags for line in ingress_gateway.lines_of(spent, since)] == ["-"] * QUOTA + ["RL"]
    ingress_gateway.lines_of(marker, since)  # in batches: with this line, the other would be there
    assert ingress_gateway.silent_about(inside, since), "the ingress has a line of the call from inside the mesh"
    assert inside.statuses == [200]


def test_admin_is_exempt(counted):
    """admin passes beyond any quota, and is not counted: only the named caller's requests were."""
    assert counted.admin.statuses == [200] * (QUOTA + 3)
    assert counted.hits == len(counted.named)


def test_caller_without_a_name_is_exempt(counted):
    """A request without x-user-id passes beyond any quota, and is not counted: only the named caller's were."""
    assert counted.nameless.statuses == [200] * (QUOTA + 3)
    assert counted.hits == len(counted.named)


def test_limiter_holds_the_rule(limiter):
    """The limiter itself lists the rule, with the manifest's quota and unit."""
    rules = [rule for rule in limiter.rules() if rule.of("default/bookinfo-ingress/ingress")]

    assert [(rule.requests, rule.unit) for rule in rules] == [(QUOTA, "HOUR")]
