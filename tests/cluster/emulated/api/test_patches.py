"""Patches, selectors and field ownership do what the API's own rules say."""

from __future__ import annotations

from typing import Any

import pytest

from harness.cluster.emulated.api import field_managers, selectors
from harness.cluster.emulated.api.errors import ApiError
from harness.objects.patches import merge_patch

SERVICE: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "s", "labels": {"app": "s", "tier": "web"}},
    "spec": {"ports": [{"name": "http-9080", "port": 9080, "protocol": "TCP"}]},
}


def test_merge_patch_removes_with_null_and_replaces_lists() -> None:
    found = merge_patch(SERVICE, {"metadata": {"labels": {"tier": None}}, "spec": {"ports": []}})

    assert found["metadata"]["labels"] == {"app": "s"}
    assert found["spec"]["ports"] == []


@pytest.mark.parametrize(
    ("labels", "matches"), [("app=s", True), ("app=s,tier=web", True), ("app=s,tier=db", False), ("", True)]
)
def test_label_selector(labels: str, matches: bool) -> None:
    assert selectors.matches(labels, "")(SERVICE) is matches


def test_field_selector_and_what_is_none() -> None:
    assert selectors.matches("", "kind=X")({"kind": "X", "metadata": {}})
    assert not selectors.matches("", "kind=X")({"kind": "Y", "metadata": {}})
    with pytest.raises(ApiError, match="not emulated"):
        selectors.matches("a in (b)", "")


def applied(live: dict[str, Any], wanted: dict[str, Any], manager: str, force: bool = False) -> dict[str, Any]:
    wanted = {"apiVersion": "v1", "kind": "X", "metadata": {"name": "x"}} | wanted
    return field_managers.apply(live, wanted, manager, force=force, now="now")


def test_conflict_names_the_field_and_its_manager() -> None:
    base = applied({"apiVersion": "v1", "kind": "X", "metadata": {"name": "x"}}, {"spec": {"a": 1, "b": 1}}, "one")

    with pytest.raises(ApiError) as refused:
        applied(base, {"spec": {"a": 2, "b": 1}}, "two")

    assert refused.value.code == 409
    assert refused.value.message == 'Apply failed with 1 conflict: conflict with "one": .spec.a'
    forced = applied(base, {"spec": {"a": 2}}, "two", force=True)
    assert applied(forced, {"spec": {"b": 1}}, "one")["spec"] == {"a": 2, "b": 1}
