"""Conditions and judgements, on statuses that Envoy Gateway and Istio wrote."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.objects.conditions import ConditionResult, conditions, judge_condition
from tests.recordings import obj, objects
from tests.recordings.shapes import fuzz, json_values, keyed

HOSTILE = keyed(
    *("kind", "metadata", "generation", "namespace", "name", "spec", "status", "conditions", "parents", "listeners"),
    *("ancestors", "parentRefs", "parentRef", "ancestorRef", "type", "reason", "message", "observedGeneration"),
)


def test_conditions_of_a_gateway_are_its_own_and_its_listeners() -> None:
    """A Gateway says Accepted for itself and for each listener."""
    accepted = [c for c in conditions(objects("objects/gateway.yaml")["waypoint"]) if c.type == "Accepted"]

    assert [c.about for c in accepted] == ["", "listener/ratings"]
    assert accepted[0].observed_generation == 2


def test_conditions_of_a_route_and_a_policy_name_the_gateway() -> None:
    """A parentRef without a namespace is in the route's own."""
    route = conditions(objects("objects/httproute.yaml")["ratings"])
    policy = conditions(objects("objects/btp.yaml")["circuit-breaker-btp"])

    assert {c.about for c in (*route, *policy)} == {"Gateway/default/waypoint"}


@pytest.mark.parametrize(
    "empty", [{}, {"status": None}, {"status": {"parents": []}}, obj("negative/btp-neg-missing-target.yaml")]
)
def test_no_status_has_no_conditions_and_is_absent(empty: dict[str, object]) -> None:
    """A policy whose target does not exist gets no status at all: absent, never met."""
    assert conditions(empty) == ()
    assert judge_condition(empty, "Accepted").state == "absent"
    assert judge_condition(empty, "Accepted").condition is None


def test_programmed_gateway_is_met_though_the_mesh_is_broken() -> None:
    """Every condition is True while requests are reset (docs/port-15008.md): met is what the controller reports."""
    gateway = obj("port-15008-clash/gateway-waypoint.yaml")

    assert judge_condition(gateway, "Programmed").met
    assert judge_condition(gateway, "Accepted").met
    assert judge_condition(gateway, "ResolvedRefs").met


def test_unassigned_address_is_unmet_and_quoted() -> None:
    """Without a load balancer the Gateway waits: it can heal, and the line says what Envoy Gateway said."""
    judgement = judge_condition(objects("objects/gateway.yaml")["bookinfo-ingress"], "Programmed")

    assert judgement.state == "unmet"
    assert judgement.text == (
        "Gateway default/bookinfo-ingress: Programmed=False AddressNotAssigned "
        '"No addresses have been assigned to the Gateway" (generation 1, observed 1)'
    )


def test_about_asks_one_place_only() -> None:
    """The Gateway itself has no address, yet its listener is programmed."""
    gateway = objects("objects/gateway.yaml")["bookinfo-ingress"]

    assert judge_condition(gateway, "Programmed", about="listener/ingress").met
    assert judge_condition(gateway, "Programmed", about="").state == "unmet"
    assert judge_condition(gateway, "Programmed", about="listener/nosuch").state == "absent"
    gateway["spec"]["listeners"].append({"name": "second"})
    gateway["status"]["conditions"] = [c | {"status": "True"} for c in gateway["status"]["conditions"]]
    assert judge_condition(gateway, "Programmed").state == "absent"


def test_older_generation_is_stale_whatever_it_says() -> None:
    """A True about an older spec is not met, and a refusal of one is not final."""
    for name in ("objects/btp.yaml", "negative/btp-neg-conflict.yaml"):
        policy = copy.deepcopy(next(iter(objects(name).values())))
        policy["metadata"]["generation"] = 2

        assert judge_condition(policy, "Accepted").state == "stale"
        assert "(generation 2, observed 1)" in judge_condition(policy, "Accepted").text


def test_observed_generation_zero_is_an_answer() -> None:
    """A controller that has seen nothing says 0: stale, not unknown."""
    judgement = judge_condition(
        {
            "metadata": {"generation": 1},
            "status": {"conditions": [{"type": "A", "status": "True", "observedGeneration": 0}]},
        },
        "A",
    )

    assert judgement.state == "stale"


@pytest.mark.parametrize(
    ("name", "type", "state", "reason"),
    [
        ("btp-neg-conflict", "Accepted", "terminal", "Conflicted"),
        ("gateway-neg-unsupported-protocol", "Accepted", "terminal", "UnsupportedProtocol"),
        ("gateway-neg-conflicted", "Accepted", "terminal", "ProtocolConflict"),
        ("gateway-neg-conflicted", "Programmed", "terminal", "Invalid"),
        ("httproute-neg-missing-section", "Accepted", "terminal", "NoMatchingParent"),
        ("httproute-neg-missing-section", "ResolvedRefs", "met", "ResolvedRefs"),
        ("httproute-neg-missing-backend", "Accepted", "met", "Accepted"),
        ("httproute-neg-missing-backend", "ResolvedRefs", "unmet", "BackendNotFound"),
        ("httproute-neg-cross-ns-backend", "ResolvedRefs", "unmet", "RefNotPermitted"),
        ("securitypolicy-neg-jwt-noremote", "Accepted", "met", "Accepted"),
        ("svc-neg-bogus-waypoint", "istio.io/WaypointBound", "unmet", "WaypointIsNotReady"),
        # "failed to find envoyproxy": it may only not have arrived yet.
        ("gatewayclass-neg-class", "Accepted", "unmet", "InvalidParameters"),
    ],
)
def test_refusals_that_do_not_heal_are_terminal(name: str, type: str, state: str, reason: str) -> None:
    """Waiting helps where another object is missing, and nowhere else."""
    judgement = judge_condition(next(iter(objects(f"negative/{name}.yaml").values())), type)

    assert judgement.state == state
    assert judgement.condition is not None
    assert judgement.condition.reason == reason


@pytest.mark.parametrize(
    ("kind", "type", "reason"),
    [
        ("Gateway", "Accepted", "UnsupportedAddress"),
        ("Gateway", "Programmed", "Invalid"),
        ("Gateway", "ResolvedRefs", "InvalidRouteKinds"),
        ("Service", "istio.io/WaypointBound", "AttachmentDenied"),
        ("Service", "istio.io/WaypointBound", "UnsupportedTrafficType"),
    ],
)
def test_reasons_that_end_a_wait_end_it_for_their_own_type(kind: str, type: str, reason: str) -> None:
    """Source: Gateway API v1 condition reasons, Istio's WaypointBound. The same reason of another type may heal."""

    def state_of(reason: str, type: str) -> str:
        condition = {"type": type, "status": "False", "reason": reason, "message": ""}
        one = {"kind": kind, "metadata": {"name": "x", "namespace": "default"}, "status": {"conditions": [condition]}}
        return judge_condition(one, type).state

    assert state_of(reason, type) == "terminal"
    assert state_of("Pending", type) == state_of(reason, "Other") == "unmet"


def test_route_to_a_missing_gateway_is_absent() -> None:
    """`parents: []` is the whole status of such a route; the line names the parent that is silent."""
    judgement = judge_condition(obj("negative/httproute-neg-missing-parent.yaml"), "Accepted")

    assert judgement.state == "absent"
    assert "[Gateway/default/nosuch]: Accepted absent" in judgement.text


def test_one_silent_parent_of_two_is_not_met() -> None:
    """A route is accepted when each parent it names has accepted it, not when one has."""
    route = copy.deepcopy(objects("objects/httproute.yaml")["ratings"])
    route["spec"]["parentRefs"].append({"name": "other"})

    assert judge_condition(route, "Accepted").state == "absent"
    assert judge_condition(route, "Accepted", about="Gateway/default/waypoint").met
    assert judge_condition(route, "Accepted", about="Gateway/default/way").state == "absent"


def test_a_refusal_outweighs_what_is_met() -> None:
    """With two entries the worst one decides, and names its place."""
    policy = copy.deepcopy(obj("negative/btp-neg-conflict.yaml"))
    policy["status"]["ancestors"] += objects("objects/btp.yaml")["productpage-rate-limiting"]["status"]["ancestors"]

    assert judge_condition(policy, "Accepted").state == "terminal"
    assert "[Gateway/default/waypoint]" in judge_condition(policy, "Accepted").text
    assert judge_condition(policy, "Accepted", about="Gateway/default/bookinfo-ingress").met


def test_a_wanted_false_can_be_met() -> None:
    """A negative test waits for the refusal itself."""
    assert judge_condition(obj("negative/btp-neg-conflict.yaml"), "Accepted", status="False").met


def test_service_conditions_have_no_generation() -> None:
    """Istio writes WaypointBound on a Service without one."""
    judgement = judge_condition(obj("port-15008-clash/svc-ratings.yaml"), "istio.io/WaypointBound")

    assert judgement.met
    assert "generation" not in judgement.text


def test_deployment_conditions_use_the_generation_of_the_status() -> None:
    """A Deployment keeps one observed generation for all its conditions."""
    deployment = copy.deepcopy(objects("objects/deploy.yaml")["ratings-v1"])
    assert judge_condition(deployment, "Available").met

    deployment["metadata"]["generation"] += 1

    assert judge_condition(deployment, "Available").state == "stale"


def test_judgement_has_no_truth_value() -> None:
    """`if judge(...)` would hide which of four kinds of no it was."""
    with pytest.raises(TypeError, match="no truth value"):
        bool(judge_condition({}, "Accepted"))


@fuzz
@given(HOSTILE | json_values)
def test_any_json_object_can_be_judged(value: object) -> None:
    """Statuses of any shape are read without an error, and silence is never met."""
    subject = value if isinstance(value, dict) else {"status": value}

    judgement = judge_condition(subject, "Accepted")

    assert isinstance(judgement, ConditionResult)
    assert judgement.met <= any(c.type == "Accepted" and c.status == "True" for c in conditions(subject))


@fuzz
@given(st.lists(st.tuples(st.sampled_from(["True", "False", "Unknown"]), st.integers(0, 3)), max_size=4))
def test_met_is_all_true_and_all_current(entries: list[tuple[str, int]]) -> None:
    """For every mixture of ancestors: met exactly when there are some, all True and none of an older spec."""
    ancestors = [
        {
            "ancestorRef": {"name": f"gw{index}"},
            "conditions": [{"type": "Accepted", "status": status, "observedGeneration": observed}],
        }
        for index, (status, observed) in enumerate(entries)
    ]
    policy = {"metadata": {"generation": 2}, "status": {"ancestors": ancestors}}

    assert judge_condition(policy, "Accepted").met == bool(entries and all(s == "True" and o >= 2 for s, o in entries))
