"""Patches, selectors and field ownership do what the API's own rules say."""

from __future__ import annotations

from typing import Any

import pytest

from harness.cluster.emulated.api import field_managers, patches, selectors
from harness.cluster.emulated.api.errors import ApiError
from harness.objects.patches import merge_patch

SERVICE: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "s", "labels": {"app": "s", "tier": "web"}},
    "spec": {"ports": [{"name": "http-9080", "port": 9080, "protocol": "TCP"}]},
}


def test_strategic_merge_goes_by_the_port_and_puts_new_items_first() -> None:
    patch = {"spec": {"ports": [{"name": "hbone", "port": 15008}, {"port": 9080, "protocol": "TCP", "name": "web"}]}}

    ports = patches.strategic(SERVICE, patch)["spec"]["ports"]

    assert [(one["name"], one["port"]) for one in ports] == [("hbone", 15008), ("web", 9080)]


def test_strategic_merge_refuses_directives_it_does_not_know() -> None:
    with pytest.raises(ApiError, match="not emulated"):
        patches.strategic(SERVICE, {"spec": {"$retainKeys": ["ports"]}})


def test_merge_patch_removes_with_null_and_replaces_lists() -> None:
    found = merge_patch(SERVICE, {"metadata": {"labels": {"tier": None}}, "spec": {"ports": []}})

    assert found["metadata"]["labels"] == {"app": "s"}
    assert found["spec"]["ports"] == []


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        ({"op": "replace", "path": "/spec/ports/0/port", "value": 1}, [1]),
        ({"op": "add", "path": "/spec/ports/-", "value": {"port": 2}}, [9080, 2]),
        ({"op": "remove", "path": "/spec/ports/0"}, []),
        ({"op": "test", "path": "/metadata/name", "value": "s"}, [9080]),
    ],
)
def test_json_patch_does_each_operation(operation: dict[str, Any], expected: list[int]) -> None:
    assert [one["port"] for one in patches.json_patch(SERVICE, [operation])["spec"]["ports"]] == expected


def test_json_patch_refuses_a_path_that_is_not_there() -> None:
    with pytest.raises(ApiError, match="cannot be done"):
        patches.json_patch(SERVICE, [{"op": "replace", "path": "/spec/nothing", "value": 1}])


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("app=s", True),
        ("app=s,tier!=db", True),
        ("tier in (web, db),app", True),
        ("tier notin (web)", False),
        ("!app", False),
        ("other", False),
        ("", True),
    ],
)
def test_label_selector(text: str, matches: bool) -> None:
    assert selectors.labels(text)(SERVICE) is matches


def test_field_selector_and_what_is_none() -> None:
    assert selectors.fields("metadata.name=s,metadata.namespace!=x")(SERVICE)
    assert not selectors.fields("metadata.name!=s")(SERVICE)
    with pytest.raises(ApiError):
        selectors.labels("a in b")


def applied(live: dict[str, Any], wanted: dict[str, Any], manager: str, force: bool = False) -> dict[str, Any]:
    wanted = {"apiVersion": "v1", "kind": "X", "metadata": {"name": "x"}} | wanted
    return field_managers.apply(live, wanted, manager, force=force, now="now")


def test_items_of_keyed_lists_have_owners_of_their_own() -> None:
    first = applied(
        {"apiVersion": "v1", "kind": "X", "metadata": {"name": "x"}},
        {"spec": {"listeners": [{"name": "a", "port": 1}]}},
        "one",
    )
    both = applied(first, {"spec": {"listeners": [{"name": "b", "port": 2}]}}, "two")
    only_second = applied(both, {}, "one")

    assert [one["name"] for one in both["spec"]["listeners"]] == ["a", "b"]
    assert only_second["spec"]["listeners"] == [{"name": "b", "port": 2}]


def test_conflict_names_the_field_and_its_manager() -> None:
    base = applied({"apiVersion": "v1", "kind": "X", "metadata": {"name": "x"}}, {"spec": {"a": 1, "b": 1}}, "one")

    with pytest.raises(ApiError) as refused:
        applied(base, {"spec": {"a": 2, "b": 1}}, "two")

    assert (refused.value.code, refused.value.fields) == (409, {".spec.a": 'conflict with "one"'})
    forced = applied(base, {"spec": {"a": 2}}, "two", force=True)
    assert applied(forced, {"spec": {"b": 1}}, "one")["spec"] == {"a": 2, "b": 1}


def test_update_takes_fields_over_from_who_applied_them() -> None:
    base = applied({"apiVersion": "v1", "kind": "X", "metadata": {"name": "x"}}, {"spec": {"a": 1}}, "one")
    after = base | {"spec": {"a": 5}}
    field_managers.updated(base, after, "kubectl", "now")

    assert field_managers.owned(after) == {("kubectl", "Update"): {("f:spec", "f:a")}}
