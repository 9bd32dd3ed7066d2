"""The waypoint of ratings fails fast when its circuit breaker has no room.

Manifest: manifests/circuit_breaker/ratings.yaml    Article: "Circuit breaking is a great example"

One experiment, judged by several tests: control, treatment, recovery, each a burst from inside the mesh.
Never through productpage: reviews swallows the error, so the counts would not be Envoy's.
"""

import pytest

from harness.experiments.burst import Arm, send_burst
from harness.experiments.bypass import Bypass, send_past_and_through
from harness.http_exchange import get
from harness.objects.addresses import url
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
def experiment(waypoint, delayed_ratings, mesh_client, applying, kube, clock) -> tuple[dict[str, Arm], Bypass]:
    """The same burst three times: before the policy, under it (and then past it), and after it was taken away."""
    before = waypoint.breaker(CLUSTER)
    (pod,) = kube.pods("default", "app=ratings")
    arms = {"control": send_burst(mesh_client, waypoint, REQUEST, BURST, CLUSTER)}
    with applying("circuit_breaker/ratings.yaml"):
        started = clock()
        policy_propagation.wait_for_accepted(kube, POLICY, since=started)
        policy_propagation.wait_for_circuit_breaker(waypoint, CLUSTER, pending=0, since=started)
        arms["treatment"] = send_burst(mesh_client, waypoint, REQUEST, BURST, CLUSTER)
        passed = send_past_and_through(mesh_client, waypoint, get(url(pod_ip(pod), 9080, "/health")), HEALTH)
    policy_propagation.wait_for_circuit_breaker(waypoint, CLUSTER, pending=before, since=clock())
    arms["recovery"] = send_burst(mesh_client, waypoint, REQUEST, BURST, CLUSTER)
    return arms, passed


@pytest.fixture(scope="module")
def arms(experiment):
    """The three bursts by name."""
    return experiment[0]


@pytest.mark.parametrize("arm", ["control", "recovery"])
def test_burst_is_served_slowly_without_the_policy(arms, arm):
    """Without the policy, before and after, the whole burst is served, and as slowly as ratings is."""
    answers = arms[arm].answers

    assert answers.statuses == [200] * BURST
    assert answers.slowest_ms > SLOW_MS, f"the slowest of {answers!r} took {answers.slowest_ms:.0f} ms"


def test_burst_is_refused_fast_with_the_policy(arms):
    """With the policy every request of the burst is refused with 503, long before ratings would answer."""
    answers = arms["treatment"].answers

    assert answers.statuses == [503] * BURST
    assert answers.slowest_ms < FAST_MS, f"the slowest of {answers!r} took {answers.slowest_ms:.0f} ms"


def test_refusals_are_the_breakers_own(arms):
    """Every refusal is Envoy's, for overflow: no request was sent on to ratings."""
    lines = arms["treatment"].lines

    assert len(lines) == BURST
    assert {line.flags for line in lines} == {"UO"}
    assert {line.details for line in lines} == {"upstream_reset_before_response_started{overflow}"}
    assert {line.upstream_local_address for line in lines} == {None}


def test_pod_address_goes_past_the_breaker(experiment):
    """The bypass is open: while the breaker refuses, a call to the pod's own address is answered past the waypoint."""
    _, passed = experiment

    assert passed.through.statuses == [503]
    assert passed.unseen, "the waypoint has a line of the call to the pod's own address"
    assert passed.past.statuses == [200]


@pytest.mark.parametrize(("arm", "refused"), [("control", 0), ("treatment", BURST), ("recovery", 0)])
def test_overflow_counter_moves_by_the_refused(arms, arm, refused):
    """upstream_rq_pending_overflow moves by exactly the number refused, and by none without the policy."""
    assert arms[arm].overflow == refused


def test_control_and_recovery_reach_ratings(arms):
    """Without the policy no request carries a response flag, and each has its upstream."""
    lines = [*arms["control"].lines, *arms["recovery"].lines]

    assert len(lines) == 2 * BURST
    assert {line.flags for line in lines} == {"-"}
    assert None not in {line.upstream_local_address for line in lines}
