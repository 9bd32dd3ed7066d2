"""Two listings of a cluster compared: nothing is overlooked but what Kubernetes itself changes."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.objects.listing_diff import KINDS_THAT_CHURN, STATUS_THAT_CHURNS, differences, listing

NAMES = st.sampled_from(["a", "b", "c"])
OBJECTS = st.lists(
    st.builds(
        lambda kind, name, replicas: obj(kind, name, spec={"replicas": replicas}),
        st.sampled_from(["Deployment", "Gateway", "ConfigMap"]),
        NAMES,
        st.integers(0, 2),
    ),
    unique_by=lambda one: (one["kind"], one["metadata"]["name"]),
)


def obj(kind: str = "Gateway", name: str = "x", **rest: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "team-b", "uid": "1", "resourceVersion": "7", "annotations": {"a": "b"}}
    return {"apiVersion": "example.org/v1", "kind": kind, "metadata": metadata, **rest}


def compared(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    return differences(listing([before]), listing([after]))


@given(before=OBJECTS, after=OBJECTS)
def test_every_difference_has_its_object(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> None:
    """Of any two sets of objects exactly those that are in one of them, or differ, are named."""
    by = [{f"example.org/{o['kind']}/team-b/{o['metadata']['name']}": o for o in some} for some in (before, after)]
    wanted = {name for name in {*by[0], *by[1]} if by[0].get(name) != by[1].get(name)}

    found = differences(listing(before), listing(after))

    assert {line.split(" ")[1] for line in found} == wanted
    assert differences(listing(before), listing(copy.deepcopy(before))) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("metadata", "resourceVersion"), "8"),
        (("metadata", "managedFields"), [{"manager": "x", "time": "later"}]),
        (("metadata", "annotations", "control-plane.alpha.kubernetes.io/leader"), "{}"),
        (("status", "conditions"), [{"type": "Ready", "status": "True", "lastTransitionTime": "later"}]),
        (("status", "lastUpdateTime"), "later"),
    ],
)
def test_what_kubernetes_changes_is_no_difference(path: tuple[str, ...], value: Any) -> None:
    """Versions, owners of fields, elections, times."""
    before = obj(status={"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "earlier"}]})

    assert compared(before, changed(before, path, value)) == []


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("metadata", "labels"), {"a": "b"}, '.metadata.labels: null -> {"a": "b"}'),
        (("metadata", "annotations", "a"), "c", '.metadata.annotations.a: "b" -> "c"'),
        (("metadata", "uid"), "2", '.metadata.uid: "1" -> "2"'),
        (("metadata", "generation"), 2, ".metadata.generation: null -> 2"),
        (("metadata", "finalizers"), ["f"], '.metadata.finalizers: null -> ["f"]'),
        (("spec", "replicas"), 0, ".spec.replicas: 1 -> 0"),
        (("status", "conditions"), [], '.status.conditions: [{"type": "Ready", "status": "True"}] -> []'),
    ],
)
def test_what_somebody_changes_is_one(path: tuple[str, ...], value: Any, message: str) -> None:
    """Labels, finalizers, specs, conditions; also what was deleted and made again, or changed and changed back."""
    before = obj(spec={"replicas": 1}, status={"conditions": [{"type": "Ready", "status": "True"}]})

    assert compared(before, changed(before, path, value)) == [f"changed: example.org/Gateway/team-b/x {message}"]


@pytest.mark.parametrize("kind", sorted(STATUS_THAT_CHURNS))
def test_workloads_are_compared_by_what_was_asked_of_them(kind: str) -> None:
    """A crash loop changes its status for ever, not its spec."""
    before = obj(kind, spec={"a": 1}, status={"restartCount": 1})

    assert compared(before, changed(before, ("status", "restartCount"), 2)) == []
    assert len(compared(before, changed(before, ("spec", "a"), 2))) == 1


@pytest.mark.parametrize("kind", sorted(KINDS_THAT_CHURN))
def test_what_always_changes_is_not_listed(kind: str) -> None:
    """Leases, events, endpoints."""
    assert listing([obj(kind)]) == {}


def test_a_secret_is_compared_and_not_kept() -> None:
    """Its values are hashes in a listing, which is written to a file."""
    before = obj("Secret", data={"password": "aHVudGVyMg=="})

    assert "aHVudGVyMg" not in str(listing([before]))
    assert len(compared(before, changed(before, ("data", "password"), "other"))) == 1


def test_an_object_is_named_by_group_kind_namespace_and_name() -> None:
    """Objects of one name in two groups are two objects."""
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "worker"}}
    twice = [obj(), {**obj(), "apiVersion": "other.org/v1"}, node]

    assert list(listing(twice)) == ["example.org/Gateway/team-b/x", "other.org/Gateway/team-b/x", "Node/worker"]


def changed(before: dict[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    after = copy.deepcopy(before)
    inner = after
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = value
    return after
