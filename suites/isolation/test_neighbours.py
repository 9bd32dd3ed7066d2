"""Two Services behind one waypoint: the breaker of one does not touch the other.

Manifest: manifests/isolation/neighbours.yaml (ratings_breaker.yaml: the policy)    Article: none
"""

import pytest

from harness.stack import enforcement, status, topology
from harness.stack.probing import reached
from harness.traffic import get

pytestmark = [pytest.mark.extended("Neighbours"), pytest.mark.timeout(300)]
RATINGS, DETAILS = get("http://ratings:9080/ratings/0"), get("http://details:9080/details/0")
CLUSTER = "httproute/default/ratings/rule/0"


@pytest.fixture(scope="module")
def arms(waypoint, applied, applying, kube, mesh_client, clock, moment):
    """Both Services before, under and after a breaker that refuses every call of ratings."""
    status.condition(kube, "HTTPRoute/default/details", "Accepted")
    topology.routed(waypoint, "httproute/default/details/")
    topology.bind(kube, "details", "waypoint")
    try:
        topology.passes(mesh_client, waypoint, DETAILS.url)
        pending = waypoint.breaker(CLUSTER)

        def both():
            since = moment()
            found = {name: mesh_client.in_turn(r, 5) for name, r in (("ratings", RATINGS), ("details", DETAILS))}
            lines = {name: waypoint.lines_of(answers, since) for name, answers in found.items()}
            return {name: (answers.statuses, {line.flags for line in lines[name]}) for name, answers in found.items()}

        found = {"before": both()}
        with applying("isolation/ratings_breaker.yaml"):
            enforcement.breaker(waypoint, CLUSTER, pending=0, since=clock())
            found["under"] = both()
        enforcement.breaker(waypoint, CLUSTER, pending=pending, since=clock())
        found["after"] = both()
        return found
    finally:
        topology.unbind(kube, "details")
        reached(mesh_client, DETAILS, status=200)


@pytest.mark.parametrize("arm", ["before", "after"])
def test_both_are_served_without_the_policy(arms, arm):
    """Without the breaker both Services are served through the waypoint."""
    assert arms[arm] == {"ratings": ([200] * 5, {"-"}), "details": ([200] * 5, {"-"})}


def test_breaker_refuses_its_own_service(arms):
    """Under the breaker of ratings every call of ratings is refused, for overflow."""
    assert arms["under"]["ratings"] == ([503] * 5, {"UO"})


def test_breaker_leaves_its_neighbour_alone(arms):
    """Meanwhile details, behind the same Envoy, is served as ever."""
    assert arms["under"]["details"] == ([200] * 5, {"-"})
