"""Objects that somebody changed, deleted or made again while the harness relied on them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from harness.causes.changes import change_text
from harness.causes.rules import find_causes
from harness.causes.state import ClusterState, FailureFacts
from harness.objects.kind_namespace_name import parse_ref
from harness.objects.objects_as_applied import ExpectedObjects
from harness.objects.patches import merge_patch
from harness.objects.workloads import RESTARTED_AT
from tests.fakes.api import Object, named

ROUTE = "HTTPRoute/default/ratings"


def route(**spec: Any) -> Object:
    return named(ROUTE, spec=spec)


def why(live: list[Object], wanted: Object | None = None, removed: frozenset[str] = frozenset()) -> list[str]:
    state = ClusterState({"HTTPRoute": live}, wanted={ROUTE: wanted} if wanted else {}, removed=removed)
    return [cause.sentence for cause in find_causes(state, FailureFacts(text="assert 1 == 2"))]


@pytest.mark.parametrize(
    ("wanted", "live", "message"),
    [
        ({"hostnames": ["a"]}, {}, "spec is absent, not {'hostnames': ['a']}"),
        ({"hostnames": ["a", "b"], "n": 1}, {"n": 1}, "spec.hostnames is absent, not a, b"),
        ({"hostnames": ["a"]}, {"hostnames": ["c"]}, "spec.hostnames[0] is c, not a"),
        ({"rules": [{"port": 1}]}, {"rules": [{"port": 2, "weight": 1}]}, "spec.rules[0].port is 2, not 1"),
        ({"rules": [{"port": 1}]}, {"rules": []}, "spec.rules is absent, not [{'port': 1}]"),
    ],
)
def test_field_with_another_value_is_named(wanted: dict[str, Any], live: dict[str, Any], message: str) -> None:
    assert why([route(**live)], route(**wanted)) == [
        f"HTTPRoute default/ratings is not as the harness applied it: {message}"
    ]


def test_what_others_add_is_no_change() -> None:
    """Defaults of the API server, empty values, and statuses."""
    live = route(hostnames=["a"], rules=[{"port": 1, "weight": 1}]) | {"status": {"parents": []}}

    assert why([live], route(hostnames=["a"], rules=[{"port": 1, "group": ""}], timeout=None)) == []


@pytest.mark.parametrize(
    ("live", "message"),
    [
        (
            {"metadata": {"labels": {"istio.io/waypoint-for": "workload"}}},
            "metadata.labels.istio.io/waypoint-for is workload",
        ),
        (
            {"spec": {"template": {"metadata": {"labels": {"istio.io/dataplane-mode": "none"}}}}},
            "spec.template.metadata.labels.istio.io/dataplane-mode is none",
        ),
        ({"spec": {"parametersRef": {"name": "ingress"}}}, "spec.parametersRef is {'name': 'ingress'}"),
    ],
)
def test_addition_that_nothing_makes_by_default_is_named(live: dict[str, Any], message: str) -> None:
    wanted = named(ROUTE, spec={"template": {"metadata": {}}})
    assert why([named(ROUTE, **merge_patch(wanted, live))], wanted) == [
        f"HTTPRoute default/ratings is not as the harness applied it: {message}, and the harness did not set it"
    ]
    assert why([named(ROUTE, **live)], named(ROUTE, **live)) == []


def test_labels_of_a_chart_are_no_addition() -> None:
    """The harness scaled a workload that it did not apply."""
    template = {"metadata": {"labels": {"istio.io/dataplane-mode": "none"}}}

    assert why([route(replicas=0, template=template)], route(replicas=0)) == []


def test_filters_that_others_add_to_a_rule_are_named() -> None:
    """A mirror or a rewrite changes what backends get, and no default adds one."""
    mirror = {"type": "RequestMirror"}

    assert why([route(rules=[{"n": 1, "filters": [mirror]}])], route(rules=[{"n": 1}])) == [
        "HTTPRoute default/ratings is not as the harness applied it: "
        "spec.rules[0].filters is [{'type': 'RequestMirror'}], and the harness did not set it"
    ]


def test_change_of_an_object_that_is_gone_is_named_from_what_was_observed() -> None:
    observed = change_text(route(hostnames=["a"]), route(hostnames=["b"]))
    failure = FailureFacts(text="assert 1 == 2", changes=[observed])

    assert [cause.sentence for cause in find_causes(ClusterState(), failure)] == [
        "HTTPRoute default/ratings was not as the harness applied it: spec.hostnames[0] is b, not a"
    ]
    assert change_text(route(hostnames=["a"]), route(hostnames=["a"])) == ""


def test_deleted_object_is_named() -> None:
    assert why([], route()) == ["HTTPRoute default/ratings, which the harness applied, does not exist"]


def test_object_that_is_back_is_named() -> None:
    assert why([route()], removed=frozenset([ROUTE])) == [
        "HTTPRoute default/ratings, which the harness deleted, exists"
    ]


def test_deployment_of_others_behind_a_service_is_named() -> None:
    """Not one of other pods, nor the harness's own."""
    service = named("Service/default/ratings", spec={"selector": {"app": "ratings"}})
    own, other, apart = (
        named(f"Deployment/default/{name}", spec={"template": {"metadata": {"labels": {"app": app}}}})
        for name, app in (("ratings-v1", "ratings"), ("ratings-v9", "ratings"), ("details", "details"))
    )
    wanted = {"Service/default/ratings": service, "Deployment/default/ratings-v1": own}
    state = ClusterState({"Service": [service], "Deployment": [own, other, apart]}, wanted=wanted)

    assert [cause.sentence for cause in find_causes(state, FailureFacts(text="assert 1 == 2"))] == [
        "Deployment default/ratings-v9, which the harness did not apply, has pods that Service default/ratings selects"
    ]


def test_what_the_harness_wants_follows_what_it_does() -> None:
    """Apply replaces, patch merges, delete forgets; an object that was only patched counts too."""
    wanted = ExpectedObjects()
    wanted.applied(route(hostnames=["a"], n=1))
    wanted.patched(parse_ref(ROUTE), {"spec": {"n": None, "hostnames": ["b"]}})
    wanted.patched(parse_ref("Service/default/ratings"), {"metadata": {"labels": {"x": "y"}}})

    assert wanted.documents[ROUTE]["spec"] == {"hostnames": ["b"]}
    assert wanted.documents["Service/default/ratings"]["metadata"]["labels"] == {"x": "y"}

    wanted.deleted(parse_ref(ROUTE))

    assert (set(wanted.documents), wanted.removed) == ({"Service/default/ratings"}, {ROUTE})


LOST = "assert (1,) == (): mesh client: 90 sent (200 x 78), 12 lost, longest outage 600 ms"
BEGAN = datetime(2026, 11, 28, 10, 0, 0, tzinfo=UTC)
BEFORE, AFTER = "2026-11-28T09:50:00Z", "2026-11-28T10:00:05Z"


def waypoint_pod(created: str, name: str = "new", **annotations: str) -> Object:
    owners = [{"kind": "ReplicaSet", "name": "waypoint-7f"}]
    metadata = {"creationTimestamp": created, "ownerReferences": owners, "annotations": annotations}
    return named(f"Pod/default/waypoint-7f-{name}", metadata=metadata)


def why_lost(*pods: Object, deployed: str = BEFORE, text: str = LOST, removed: tuple[str, ...] = ()) -> list[str]:
    deployment = named("Deployment/default/waypoint", metadata={"creationTimestamp": deployed})
    objects = {"Pod": pods, "Deployment": [deployment]}
    state = ClusterState(objects, since=BEGAN, removed=frozenset(removed))
    return [cause.sentence for cause in find_causes(state, FailureFacts(text=text))]


def test_pods_replaced_under_load_are_named() -> None:
    """Of requests that a load lost: the workload of which a pod is younger than the load, or more of them than the
    harness deleted."""
    replaced = ["Pods of Deployment default/waypoint were replaced during the load, and not by the harness"]

    assert why_lost(waypoint_pod(AFTER)) == replaced
    assert why_lost(waypoint_pod(AFTER), waypoint_pod(AFTER, "b"), removed=("Pod/default/waypoint-7f-old",)) == replaced


def test_pods_that_the_harness_replaces_are_not_named() -> None:
    """Those that it deleted or restarted, pods of a new workload, older pods; and failures that lost no request."""
    assert why_lost(waypoint_pod(AFTER), removed=("Pod/default/waypoint-7f-old",)) == []
    assert why_lost(waypoint_pod(AFTER, **{RESTARTED_AT: "2026-11-28T10:00:03+00:00"})) == []
    assert why_lost(waypoint_pod(AFTER), deployed=AFTER) == []
    assert why_lost(waypoint_pod(BEFORE)) == []
    assert why_lost(waypoint_pod(AFTER), text="assert 1 == 2") == []
