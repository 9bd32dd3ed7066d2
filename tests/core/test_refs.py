"""Names of objects: written and read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.objects.kind_namespace_name import KINDS, Ref, parse_ref, ref_of
from tests.recordings.shapes import fuzz

NAME = st.from_regex(r"[a-z0-9]([-a-z0-9.]{0,20}[a-z0-9])?", fullmatch=True)


@fuzz
@given(st.sampled_from(sorted(KINDS)), NAME, NAME)
def test_names_are_read_as_they_are_written(kind: str, namespace: str, name: str) -> None:
    """Every ref's text is read back as that ref."""
    version, namespaced = KINDS[kind]
    made = Ref(kind, name, namespace if namespaced else "", version)

    assert parse_ref(str(made)) == made


@fuzz
@given(st.text(alphabet="PodNamespace/x-1", max_size=20) | st.text(max_size=20))
def test_text_is_a_ref_or_refused(text: str) -> None:
    """Any text is either a name that reads back the same, or a ValueError."""
    try:
        found = parse_ref(text)
    except ValueError:
        return
    assert str(found) == text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("Pod/x", "Pod is named Kind/namespace/name"),
        ("Namespace/a/b", "Namespace is named Kind/name"),
        ("Pod/default/", "Pod is named"),
        ("Pod//x", "Pod is named"),
        ("Pod/a/b/c", "Pod is named"),
        ("Gateway", "Gateway is named"),
        ("Gatway/default/x", "kind Gatway is unknown"),
        ("", "kind  is unknown"),
    ],
)
def test_wrong_names_say_what_is_right(text: str, why: str) -> None:
    """A namespace too many or missing, and a misspelt kind, are reported."""
    with pytest.raises(ValueError, match=why):
        parse_ref(text)


def test_ref_of_a_document() -> None:
    """A document's name is its kind, namespace and name, with the apiVersion it asks for."""
    document = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "ratings", "namespace": "default"}}

    assert ref_of(document) == Ref("Service", "ratings", "default", "v1")
    assert str(ref_of({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "x", "namespace": None}})) == (
        "Namespace/x"
    )
