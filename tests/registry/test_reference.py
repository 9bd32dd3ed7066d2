"""References to images and charts are read by the distribution project's grammar."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import BadInput
from harness.registry.reference import Reference, parse_reference
from tests.recordings.shapes import fuzz

DIGEST = "sha256:" + "0a" * 32


@pytest.mark.parametrize(
    ("text", "registry", "repository", "tag", "digest"),
    [
        ("redis", "docker.io", "library/redis", "", ""),
        ("redis:6.0.6", "docker.io", "library/redis", "6.0.6", ""),
        ("kindest/node:v1.34.3", "docker.io", "kindest/node", "v1.34.3", ""),
        (f"kindest/node:v1.34.3@{DIGEST}", "docker.io", "kindest/node", "v1.34.3", DIGEST),
        (f"ghcr.io/a/b/c@{DIGEST}", "ghcr.io", "a/b/c", "", DIGEST),
        ("index.docker.io/library/redis", "docker.io", "library/redis", "", ""),
        ("oci://ghcr.io/istio/release/charts/base", "ghcr.io", "istio/release/charts/base", "", ""),
        ("localhost/app:1", "localhost", "app", "1", ""),
        ("127.0.0.1:5000/app", "127.0.0.1:5000", "app", "", ""),
        ("[::1]:5000/app:1", "[::1]:5000", "app", "1", ""),
        ("host:5000/a__b/c-d:1_2.3", "host:5000", "a__b/c-d", "1_2.3", ""),
    ],
)
def test_reference_is_read(text: str, registry: str, repository: str, tag: str, digest: str) -> None:
    """A name without a registry is Docker Hub's, one without a folder there one of its library."""
    assert parse_reference(text) == Reference(registry, repository, tag, digest)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("", "repository"),
        ("docker.io/", "repository"),
        ("docker.io/Redis:6", "repository 'Redis'"),
        ("docker.io/a b:1", "repository"),
        ("docker.io/redis:", "tag ''"),
        ("docker.io/redis:-1", "tag '-1'"),
        ("docker.io/redis:" + "1" * 129, "tag"),
        ("docker.io/redis@sha256:0a", "digest"),
        ("docker.io/redis@md5:0a", "digest"),
        ("docker.io/redis@", "digest ''"),
        ("https://docker.io/redis", "repository|registry"),
        ("host:port/redis", "registry 'host:port'"),
        ("docker.io//redis", "repository"),
        ("docker.io/redis:6\n", "tag"),
    ],
)
def test_what_is_no_reference_is_refused(text: str, wrong: str) -> None:
    """The part that is wrong is named."""
    with pytest.raises(BadInput, match=f"is not a reference: .*({wrong})"):
        parse_reference(text)


def test_reference_moves_to_another_registry() -> None:
    """A private registry has the same repositories, below its prefix, with tag and digest unchanged."""
    moved = parse_reference(f"redis:6@{DIGEST}").moved_to("registry.corp:5000", "/mirror/")

    assert str(moved) == f"registry.corp:5000/mirror/library/redis:6@{DIGEST}"
    assert str(parse_reference("ghcr.io/a/b:1").moved_to("localhost:5000")) == "localhost:5000/a/b:1"


NAMES = st.from_regex(r"[a-z0-9]{1,8}(/[a-z0-9]{1,8}){0,3}", fullmatch=True)
TAGS = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}", fullmatch=True)


@fuzz
@given(NAMES, st.one_of(st.just(""), TAGS), st.sampled_from(["", DIGEST]))
def test_what_is_written_is_read_again(name: str, tag: str, digest: str) -> None:
    """The full form of a reference is the reference."""
    reference = Reference("registry.example:5000", name, tag, digest)

    assert parse_reference(str(reference)) == reference


@fuzz
@given(st.text())
def test_any_text_is_a_reference_or_bad_input(text: str) -> None:
    """No text ends in another error, and what is read is written so that it is read as the same."""
    try:
        read = parse_reference(text)
    except BadInput:
        return
    assert parse_reference(str(read)) == read
