"""What a merge patch makes of a value, its inverse makes undone."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.objects.patches import inverse_patch, merge_patch
from tests.recordings.shapes import fuzz

SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=3)
KEYS = st.sampled_from("abc")
# As live objects are: nothing in them is null, which a merge patch could not say.
VALUES = st.recursive(
    SCALARS.filter(lambda one: one is not None),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(KEYS, VALUES, max_size=3)
PATCHES = st.recursive(SCALARS, lambda inner: st.lists(SCALARS, max_size=2) | st.dictionaries(KEYS, inner, max_size=3))


@fuzz
@given(value=OBJECTS, patch=st.dictionaries(KEYS, PATCHES, max_size=3))
def test_inverse_takes_what_is_patched_back(value: dict[str, Any], patch: dict[str, Any]) -> None:
    """Whatever the object and the patch."""
    back = merge_patch(merge_patch(value, patch), inverse_patch(value, patch))

    assert back == value


@fuzz
@given(value=OBJECTS, patch=st.dictionaries(KEYS, PATCHES, max_size=3))
def test_patch_twice_is_once(value: dict[str, Any], patch: dict[str, Any]) -> None:
    """RFC 7386 patches are idempotent; and what was patched is left as it was."""
    before = copy.deepcopy(value)

    once = merge_patch(value, patch)

    assert merge_patch(once, patch) == once
    assert value == before


@pytest.mark.parametrize(
    ("value", "patch"),
    [
        ({"a": 1}, {"a": 2}),
        ({"a": 1}, {"a": None}),
        ({"a": 1}, {"b": {"c": 1}}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": None}}),
        ({"a": [1, 2]}, {"a": [3]}),
        ({"a": {"b": 1}}, {"a": None}),
        ({"a": 1}, {"a": {"b": 1}}),
    ],
)
def test_inverse_takes_any_merge_patch_back(value: dict[str, Any], patch: dict[str, Any]) -> None:
    """A value patched, then patched with the inverse, is the value."""
    assert merge_patch(merge_patch(value, patch), inverse_patch(value, patch)) == value
