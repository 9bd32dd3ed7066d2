"""The waypoint of ratings returns 503 at once when its circuit breaker allows no pending request.

Manifest: manifests/circuit_breaker/ratings.yaml    Article: "Circuit breaking is a great example"

One experiment, judged by several tests: control, treatment and recovery, each a burst from inside the mesh. The burst
does not go through productpage, because reviews hides errors of ratings and the counts would not be Envoy's.
"""

import pytest

from harness.experiments.burst import Arm, send_burst
from harness.experiments.bypass import Bypass, send_past_and_through
from harness.http_exchange import get
from harness.objects.address_with_port import url
from harness.objects.workloads import pod_ip
from harness.waits import policy_propagation

BURST = 200
SLOW_MS = 6_500  # v-delayed answers half its requests after 7 s
FAST_MS = 2_000  # a burst refused on two cores takes 0.4 s
REQUEST = get("http://ratings:9080/ratings/0")
HEALTH = get("http://ratings:9080/health")  # of the same route, and v-delayed answers it at once
POLICY = "BackendTrafficPolicy/default/circuit-breaker-btp"
CLUSTER = "httproute/default/ratings/rule/0"


@pytest.fixture(scope="module")
def experiment(
    waypoint, delayed_ratings, mesh_client, applying, kube, monotonic_clock, here
) -> tuple[dict[str, Arm], Bypass]:
    """The same burst before the policy, under it (then also a request that bypasses it), and after its removal."""
    before = waypoint.read_max_pending_requests(here(CLUSTER))
    (pod,) = kube.list_pods(kube.namespace, "app=ratings")
    arms = {"control": send_burst(mesh_client, waypoint, REQUEST, BURST, here(CLUSTER))}
    with applying("circuit_breaker/ratings.yaml"):
        started = monotonic_clock()
        policy_propagation.wait_for_accepted(kube, here(POLICY), since=started)
        policy_propagation.wait_for_circuit_breaker(waypoint, here(CLUSTER), pending=0, since=started)
        arms["treatment"] = send_burst(mesh_client, waypoint, REQUEST, BURST, here(CLUSTER))
        passed = send_past_and_through(mesh_client, waypoint, get(url(pod_ip(pod), 9080, "/health")), HEALTH)
    policy_propagation.wait_for_circuit_breaker(waypoint, here(CLUSTER), pending=before, since=monotonic_clock())
    arms["recovery"] = send_burst(mesh_client, waypoint, REQUEST, BURST, here(CLUSTER))
    return arms, passed


@pytest.fixture(scope="module")
def arms(experiment):
    """The three bursts by name."""
    return experiment[0]


@pytest.mark.parametrize("arm", ["control", "recovery"])
def test_burst_is_served_slowly_without_the_policy(arms, arm):
    """In the {arm} burst, without a circuit breaker, all 200 requests to ratings, which delays half of them by 7 s,
    return 200."""
    answers = arms[arm].answers

    assert answers.statuses == [200] * BURST
    assert answers.slowest_ms > SLOW_MS, f"the slowest of {answers!r} took {answers.slowest_ms:.0f} ms"


def test_burst_is_refused_fast_with_the_policy(arms):
    """With maxPendingRequests 0 at the waypoint, all 200 requests of a burst to ratings return 503 in less than 2 s
    each."""
    # By the waypoint's log. The client may take longer by the machine's share: twice what it takes besides the waypoint
    # without the policy, when half as many responses come at once.
    burst = arms["treatment"]
    share = 2 * max(arms["control"].slowest_besides_proxy_ms, arms["recovery"].slowest_besides_proxy_ms)

    assert burst.answers.statuses == [503] * BURST
    assert burst.slowest_in_proxy_ms < FAST_MS, (
        f"the slowest of {burst.answers!r} took {burst.slowest_in_proxy_ms} ms in the waypoint"
    )
    assert burst.answers.slowest_ms < FAST_MS + share, (
        f"the slowest of {burst.answers!r} took {burst.answers.slowest_ms:.0f} ms, the machine's share is {share:.0f}"
    )


def test_refusals_are_the_breakers_own(arms):
    """The waypoint logs each 503 of the circuit breaker with response flag UO, overflow as response code details,
    and no upstream address."""
    lines = arms["treatment"].lines

    assert {line.upstream_local_address for line in lines} == {None}
    assert {(line.flags, line.details) for line in lines} == {
        ("UO", "upstream_reset_before_response_started{overflow}")
    }


def test_pod_address_goes_past_the_breaker(experiment):
    """While the circuit breaker at the waypoint returns 503, a request to the ratings pod IP bypasses the waypoint
    and returns 200."""
    _, passed = experiment

    assert passed.through.statuses == [503]
    assert passed.unseen, "the waypoint has a line of the call to the pod's own address"
    assert passed.past.statuses == [200]


@pytest.mark.parametrize(("arm", "refused"), [("control", 0), ("treatment", BURST), ("recovery", 0)])
def test_overflow_counter_moves_by_the_refused(arms, arm, refused):
    """In the {arm} burst of 200 requests, the waypoint's counter upstream_rq_pending_overflow rises by {refused};
    only the treatment has the circuit breaker."""
    assert arms[arm].overflow == refused


def test_control_and_recovery_reach_ratings(arms):
    """Without the circuit breaker, the waypoint logs each request of a burst to ratings with an upstream address
    and without response flag."""
    lines = [*arms["control"].lines, *arms["recovery"].lines]

    assert {(line.flags, line.upstream_local_address is not None) for line in lines} == {("-", True)}
