"""Two Services behind one waypoint: neither the rate limit nor the circuit breaker of one affects the other.

Manifest: manifests/isolation/neighbours.yaml (ratings_limit.yaml, ratings_breaker.yaml: the policies)    Article: none
"""

import pytest

from harness.evidence.rate_limit_window import expected_statuses
from harness.experiments.logged_connections import send_to_each
from harness.http_exchange import get
from harness.waits import bind_to_waypoint, envoy_config, policy_propagation, status
from harness.waits.responses import wait_for_response

pytestmark = [pytest.mark.extended("Neighbours"), pytest.mark.timeout(300, func_only=True)]
RATINGS, DETAILS = "http://ratings:9080/ratings/0", "http://details:9080/details/0"
URLS = {"ratings": RATINGS, "details": DETAILS}
CLUSTER = "httproute/default/ratings/rule/0"
QUOTA = 2  # tests/test_pairs.py holds it to the manifest


@pytest.fixture(scope="module")
def bound(waypoint, applied, binding, kube, mesh_client, here):
    """Binds details to the waypoint of ratings during this module; details returns 200 again afterwards."""
    status.wait_for_condition(kube, here("HTTPRoute/default/details"), "Accepted")
    envoy_config.wait_for_route(waypoint, here("httproute/default/details/"))
    with binding("details", "waypoint"):
        bind_to_waypoint.wait_for_waypoint_traffic(mesh_client, waypoint, DETAILS)
        yield
    wait_for_response(mesh_client, get(DETAILS), status=200)


@pytest.fixture(scope="module")
def arms(rate_limit_window, bound, waypoint, applying, mesh_client, rate_limit_service, monotonic_clock, here):
    """One user's five requests to each Service: before, under a limit and a circuit breaker of ratings, and after."""
    pending = waypoint.read_max_pending_requests(here(CLUSTER))
    found = {"before": send_to_each(mesh_client, waypoint, URLS, 5)}
    with applying("isolation/ratings_limit.yaml"):
        policy_propagation.wait_for_rate_limit(waypoint, here(CLUSTER), there=True, since=monotonic_clock())
        policy_propagation.wait_for_rate_limit_service(mesh_client, rate_limit_service, RATINGS)
        found["limit"] = send_to_each(mesh_client, waypoint, URLS, 5)
    policy_propagation.wait_for_rate_limit(waypoint, here(CLUSTER), there=False, since=monotonic_clock())
    with applying("isolation/ratings_breaker.yaml"):
        policy_propagation.wait_for_circuit_breaker(waypoint, here(CLUSTER), pending=0, since=monotonic_clock())
        found["breaker"] = send_to_each(mesh_client, waypoint, URLS, 5)
    policy_propagation.wait_for_circuit_breaker(waypoint, here(CLUSTER), pending=pending, since=monotonic_clock())
    found["after"] = send_to_each(mesh_client, waypoint, URLS, 5)
    return found


@pytest.mark.parametrize("arm", ["before", "after"])
def test_both_are_served_without_a_policy(arms, arm):
    """In the measurement {arm} the policies on ratings, requests to ratings and details through their common
    waypoint return 200."""
    assert arms[arm] == {"ratings": ([200] * 5, {"-"}), "details": ([200] * 5, {"-"})}


def test_limit_refuses_its_own_service(arms):
    """With a rate limit of 2 requests per hour on ratings at the waypoint, further requests to ratings return 429
    with response flag RL."""
    assert arms["limit"]["ratings"] == (expected_statuses(QUOTA, 5), {"-", "RL"})


def test_breaker_refuses_its_own_service(arms):
    """With a circuit breaker on ratings at the waypoint that allows no pending requests, every request to ratings
    returns 503 with response flag UO."""
    assert arms["breaker"]["ratings"] == ([503] * 5, {"UO"})


@pytest.mark.parametrize("policy", ["limit", "breaker"])
def test_neighbour_is_left_alone(arms, policy):
    """While a rate limit or circuit breaker ({policy}) on ratings rejects requests at the waypoint, requests to
    details through the same waypoint return 200."""
    assert arms[policy]["details"] == ([200] * 5, {"-"})
