"""Objects that refer to something that does not exist are named, with what was probably meant."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.causes.rules import find_causes
from harness.causes.state import ClusterState, FailureFacts, object_key
from tests.fakes.api import Object, named
from tests.recordings import obj, objects

GATEWAY = objects("objects/gateway.yaml")["bookinfo-ingress"]
GATEWAYS = ("bookinfo-ingress", "waypoint")
RATINGS = named("Service/default/ratings", spec={"ports": [{"port": 9080}]})


def state(*others: Object, **kinds: list[Object]) -> ClusterState:
    """All kinds were read; these are there."""
    found: dict[str, list[Object]] = {k: [] for k in ("GatewayClass", "Gateway", "HTTPRoute", "Service", "EnvoyProxy")}
    for one in others:
        found.setdefault(one["kind"], []).append(one)
    return ClusterState(found | kinds)


def why(awaited: Object, *others: Object) -> str:
    """The sentences about an awaited object, one a line."""
    return "\n".join(
        cause.sentence for cause in find_causes(state(awaited, *others), FailureFacts(object=object_key(awaited)))
    )


def backend(name: str, port: int) -> Object:
    """A route of the recorded Gateway to that Service."""
    refs = [{"group": "", "kind": "Service", "name": name, "port": port}]
    return named(
        "HTTPRoute/default/r", spec={"parentRefs": [{"name": "bookinfo-ingress"}], "rules": [{"backendRefs": refs}]}
    )


@pytest.mark.parametrize(
    ("awaited", "others", "expected"),
    [
        (
            named("Gateway/default/g", spec={"gatewayClassName": "eg-ingres"}),
            [named("GatewayClass/eg-ingress"), named("GatewayClass/eg-waypoint")],
            "GatewayClass eg-ingres, which does not exist (did you mean eg-ingress?)",
        ),
        (
            obj("negative/httproute-neg-missing-parent.yaml"),
            [RATINGS],
            "parentRef to Gateway default/nosuch, which does",
        ),
        (
            obj("negative/httproute-neg-missing-section.yaml"),
            [GATEWAY, RATINGS],
            "refers to listener nosuch of Gateway default/bookinfo-ingress, which has no such listener",
        ),
        (
            obj("negative/httproute-neg-missing-backend.yaml"),
            [GATEWAY, RATINGS],
            "backendRef to Service default/nosuch, which does not exist (there is ratings)",
        ),
        (
            backend("ratings", 9081),
            [GATEWAY, RATINGS],
            "port 9081 of Service default/ratings, which has only port 9080",
        ),
        (
            obj("negative/btp-neg-missing-target.yaml"),
            [],
            "targetRef to HTTPRoute default/nosuch, which does not exist",
        ),
        (obj("negative/gatewayclass-neg-class.yaml"), [], "parametersRef to EnvoyProxy default/nosuch, which does not"),
        (
            named(
                "Gateway/team/g",
                spec={
                    "gatewayClassName": "eg",
                    "infrastructure": {"parametersRef": {"kind": "EnvoyProxy", "name": "nosuch"}},
                },
            ),
            [named("GatewayClass/eg")],
            "parametersRef to EnvoyProxy team/nosuch, which does not",
        ),
        (
            obj("negative/svc-neg-bogus-waypoint.yaml"),
            [],
            "use-waypoint=nosuch for Gateway default/nosuch, which does not",
        ),
    ],
)
def test_what_does_not_exist_is_named(awaited: Object, others: list[Object], expected: str) -> None:
    assert expected in why(awaited, *others)


def test_target_of_a_later_test_is_no_cause() -> None:
    """A policy that the harness applied may cover Gateways that other tests make; one that was applied and is gone, or
    that the live policy alone names, is a cause."""
    policy = obj("negative/btp-neg-missing-target.yaml")
    key, target = object_key(policy), "HTTPRoute/default/nosuch"
    others = {"metadata": {"name": "p", "namespace": "default"}, "spec": {"targetRefs": []}}
    wanted = [{key: policy}, {key: policy, target: {}}, {key: others}]

    found = [find_causes(replace(state(policy), wanted=one), FailureFacts(object=key)) for one in wanted]

    assert [any("does not exist" in cause.sentence for cause in causes) for causes in found] == [False, True, True]


def test_parent_that_no_test_of_the_run_needs_is_no_cause() -> None:
    """A route that the harness applied for two Gateways, of which the run needs one. A parent that only the live route
    names is a cause, and so is one of a route without any other parent."""
    both, one, live = ([{"name": name} for name in names] for names in (GATEWAYS, GATEWAYS[1:], (GATEWAYS[0], "typo")))
    cases = [(both, both), (one, one), (live, both)]

    found = []
    for parents, wanted in cases:
        route, applied = (named("HTTPRoute/default/r", spec={"parentRefs": refs}) for refs in (parents, wanted))
        known = replace(state(route, GATEWAY), wanted={object_key(route): applied})
        causes = find_causes(known, FailureFacts(object=object_key(route)))
        found.append([cause.sentence for cause in causes if "does not exist" in cause.sentence])

    assert [len(causes) for causes in found] == [0, 1, 1]
    assert "Gateway default/typo" in found[2][0]


def test_nothing_is_reported_of_what_exists() -> None:
    """A route whose Gateway, Service and port are there has no cause of this kind."""
    assert why(backend("ratings", 9080), GATEWAY, RATINGS) == ""


def test_nothing_is_reported_of_what_was_not_read() -> None:
    """A kind that may not be read, or a namespace that was not, is no proof that an object is missing."""
    route = obj("negative/httproute-neg-missing-backend.yaml")
    unread = ClusterState({"HTTPRoute": [route]})
    elsewhere = ClusterState({"HTTPRoute": [route], "Service": [], "Gateway": []}, frozenset({"other"}))

    assert find_causes(unread, FailureFacts(object=object_key(route))) == []
    assert find_causes(elsewhere, FailureFacts(object=object_key(route))) == []


def test_claim_about_a_status_names_what_its_object_refers_to() -> None:
    """The message of a claim names the object."""
    route = obj("negative/httproute-neg-missing-backend.yaml")
    message = 'HTTPRoute default/neg-missing-backend [Gateway/default/x]: ResolvedRefs=False BackendNotFound "..."'

    (cause,) = find_causes(state(route, GATEWAY), FailureFacts(text=message))

    assert "Service default/nosuch" in cause.sentence
    assert cause.final


def test_service_without_the_label_is_named() -> None:
    facts = FailureFacts(text="Service default/ratings: istio.io/WaypointBound absent, status has no conditions")

    (cause,) = find_causes(state(RATINGS), facts)

    assert cause.sentence.startswith("Service default/ratings lacks the label istio.io/use-waypoint")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (
            "workload",
            "Gateway default/waypoint has the label istio.io/waypoint-for=workload: it is a waypoint of no Service, "
            "and Service default/ratings refers to it",
        ),
        ("all", ""),
    ],
)
def test_waypoint_of_other_traffic_than_services_is_named(value: str, expected: str) -> None:
    service = named("Service/default/ratings", metadata={"labels": {"istio.io/use-waypoint": "waypoint"}})
    gateway = named("Gateway/default/waypoint", metadata={"labels": {"istio.io/waypoint-for": value}})
    failure = FailureFacts(object=object_key(service), condition="istio.io/WaypointBound")

    assert "\n".join(one.sentence for one in find_causes(state(service, gateway), failure)) == expected


def test_class_that_is_not_accepted_is_named() -> None:
    gateway = named("Gateway/default/g", spec={"gatewayClassName": "neg-class"})

    assert "GatewayClass neg-class of Gateway default/g is not accepted: InvalidParameters" in why(
        gateway, obj("negative/gatewayclass-neg-class.yaml")
    )
