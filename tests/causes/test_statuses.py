"""Statuses against a claim, policies that are accepted and not enforced, counters, quotas."""

from __future__ import annotations

from typing import Any

import pytest

from harness.causes.rules import find_causes
from harness.causes.state import AccessRecord, ClientRequest, ClusterState, FailureFacts
from harness.logs.envoy_access import parse_access_line
from harness.objects.workloads import OWNING_GATEWAY
from tests.fakes.api import Object, named
from tests.recordings import text

LIMITED, OVERFLOW = (
    line for n in ("429", "503") if (line := parse_access_line(text(f"logs/access-{n}.json"))) is not None
)
HOLDS = (
    "harness.errors.NotReady: Envoy waypoint holds max_pending_requests {} for httproute/default/ratings/rule/0: not"
)
BREAKER = "BackendTrafficPolicy/default/breaker"
GATEWAY = "Gateway/default/g"


def condition(type: str, status: str, reason: str = "R", message: str = "m", observed: int = 1) -> Object:
    return {"type": type, "status": status, "reason": reason, "message": message, "observedGeneration": observed}


def having(name: str, *conditions: Object, labels: dict[str, str] | None = None, **spec: Any) -> Object:
    metadata = {"generation": 1, "labels": labels or {}}
    return named(name, metadata=metadata, spec=spec, status={"conditions": list(conditions)})


def why(
    failure: FailureFacts, *objects: Object, wanted: tuple[str, ...] = (), access: tuple[AccessRecord, ...] = ()
) -> list[str]:
    by_kind: dict[str, list[Object]] = {"BackendTrafficPolicy": [], "HTTPRoute": []}
    for one in objects:
        by_kind.setdefault(one["kind"], []).append(one)
    state = ClusterState(by_kind, wanted={name: named(name) for name in wanted}, ours=frozenset(wanted), access=access)
    return [cause.sentence for cause in find_causes(state, failure)]


def policy(accepted: str = "True", **spec: Any) -> Object:
    target = {"kind": "HTTPRoute", "name": "ratings"}
    return having(BREAKER, condition("Accepted", accepted), targetRefs=[target], **spec)


def test_condition_of_an_older_generation_is_named() -> None:
    old = having(GATEWAY, condition("Accepted", "True", observed=0))

    assert why(FailureFacts(text="assert 'stale' == 'met'", read=[GATEWAY]), old) == [
        "Gateway default/g has Accepted=True R for generation 0, and its spec is of 1: its "
        "controller has not judged it "
        "since"
    ]


@pytest.mark.parametrize("message", ["assert 'NoResources' == 'Programmed'", "assert 'unmet' == 'met'"])
def test_false_condition_that_the_test_read_is_named(message: str) -> None:
    """And no other object's: it may be False on purpose."""
    off = having(GATEWAY, condition("Programmed", "False", "NoResources", "no pod"))

    assert why(FailureFacts(text=message, read=[GATEWAY]), off) == [
        "Gateway default/g has Programmed=False NoResources: no pod"
    ]
    assert why(FailureFacts(text=message), off) == []


def test_waypoint_that_the_label_does_not_name() -> None:
    service = having(
        "Service/default/ratings",
        condition("istio.io/WaypointBound", "True", message="Successfully attached to waypoint shared/proxy"),
        labels={"istio.io/use-waypoint": "waypoint"},
    )

    assert why(FailureFacts(text="assert 1 == 2", read=["Service/default/ratings"]), service) == [
        "istiod has bound Service default/ratings to waypoint shared/proxy, and its label names default/waypoint"
    ]


def test_accepted_policy_that_envoy_lacks_is_named() -> None:
    """Not one that is not accepted, nor somebody else's."""
    failure = FailureFacts(text=HOLDS.format(0))
    message = (
        "BackendTrafficPolicy default/breaker is Accepted, and Envoy of Gateway waypoint does not have "
        "its circuitBreaker"
    )

    assert why(failure, policy(circuitBreaker={"maxPendingRequests": 0}), wanted=(BREAKER,)) == [message]
    assert why(failure, policy("False", circuitBreaker={"maxPendingRequests": 0}), wanted=(BREAKER,)) == []
    assert why(failure, policy(circuitBreaker={"maxPendingRequests": 0})) == []


def test_configuration_that_outlives_its_policy_is_named() -> None:
    failure = FailureFacts(text=HOLDS.format(None))

    assert why(failure) == ["Envoy of Gateway waypoint still has circuitBreaker, and no object sets it any more"]
    assert why(failure, policy(circuitBreaker={"maxPendingRequests": 0}))[0].endswith(
        "BackendTrafficPolicy default/breaker still sets it"
    )


def test_what_is_in_force_too_early_has_its_policy_named() -> None:
    early = FailureFacts(
        text="circuit breaker is in force at waypoint before enforcement/circuit_breaker.yaml was applied"
    )

    assert why(early, policy(circuitBreaker={"maxPendingRequests": 0})) == [
        "BackendTrafficPolicy default/breaker, which the harness did not apply, sets circuitBreaker"
    ]


def test_policy_that_ztunnel_does_not_enforce_is_named() -> None:
    pod = named("Pod/default/ratings-1", metadata={"labels": {"app": "ratings"}}, status={"podIP": "10.0.0.9"})
    closing = having("AuthorizationPolicy/default/closing", selector={"matchLabels": {"app": "ratings"}})
    failure = FailureFacts(
        text="http://10.0.0.9:9080/ratings/0 answers nothing: not within 4.5s (3 tries); last seen: 200"
    )

    assert why(failure, pod, closing, wanted=("AuthorizationPolicy/default/closing",)) == [
        "AuthorizationPolicy default/closing selects pod default/ratings-1, and ztunnel accepts connections to it still"
    ]
    assert why(failure, pod, closing) == []


def test_service_without_a_load_balancer_address_is_named() -> None:
    failure = FailureFacts(text='Programmed=False AddressNotAssigned "No addresses have been assigned to the Gateway"')
    owned = {OWNING_GATEWAY: "g"}
    waiting = having("Service/default/g", labels=owned, type="LoadBalancer")
    assigned = waiting | {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}}

    assert why(failure, waiting) == [
        "Service default/g is of type LoadBalancer and has no address: the cluster's load balancer assigned none"
    ]
    assert why(failure, assigned) == why(failure, having("Service/default/g", labels=owned, type="NodePort")) == []


def test_gateway_without_an_address_is_named() -> None:
    lying = having(GATEWAY, condition("Programmed", "True"))

    assert why(FailureFacts(text="assert 1 == 2", read=[GATEWAY]), lying) == [
        "Gateway default/g has Programmed=True, and its status has no address"
    ]


def test_slow_controller_is_named() -> None:
    failure = FailureFacts(text="assert ['Accepted took 5.38s, its budget is 5s'] == []", read=[BREAKER])

    assert why(failure) == [
        "BackendTrafficPolicy default/breaker was Accepted only 5.38s after it was applied: its controller is slow"
    ]


@pytest.mark.parametrize(("message", "named_"), [("assert 0 == 200", True), ("assert 3 == 4", False)])
def test_counters_that_stand_are_named(message: str, named_: bool) -> None:
    """Where the claim found none; a counter may stand in another arm of an experiment."""
    failure = FailureFacts(text=message, counters=["waypoint counters: upstream_rq_pending_overflow moved by 0"])

    assert (
        why(failure, access=(AccessRecord("waypoint", OVERFLOW),))
        == ["waypoint counters: upstream_rq_pending_overflow moved by 0, and access logs have 1 requests with flag UO"]
        * named_
    )


@pytest.mark.parametrize(
    ("statuses", "message"),
    [
        ([200, 200, 200, 200, 429], "let 4 of one client pass: did its window end, or is its limit another?"),
        ([200, 200, 429], "rejected request 3 of one: is its bucket shared, or was it used before?"),
        ([200, 200, 200, 429], ""),
    ],
)
def test_quota_that_is_not_kept_is_named(statuses: list[int], message: str) -> None:
    limit = {"limit": {"requests": 3, "unit": "Hour"}}
    target = {"kind": "HTTPRoute", "name": (LIMITED.route_name or "").split("/")[2]}
    own = having(BREAKER, targetRefs=[target], rateLimit={"global": {"rules": [limit]}})
    failure = FailureFacts(text=f"assert {statuses} == [200]", calls=[ClientRequest("", status) for status in statuses])

    found = why(failure, own, wanted=(BREAKER,), access=(AccessRecord("g", LIMITED),))

    assert any(message and one.endswith(f"the rate limit service {message}") for one in found) == bool(message)


def test_quota_that_no_policy_gives_is_named() -> None:
    failure = FailureFacts(text="assert {'100'} == {None}", calls=[ClientRequest("", 200, quota="100")])

    assert why(failure) == [
        "No BackendTrafficPolicy has a rate limit, and responses have x-ratelimit-limit: 100: the backend's own, or "
        "Envoy's of before"
    ]
