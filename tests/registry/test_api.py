"""A registry's own API: read, written, and copied from one to another with every digest kept."""

import httpx
import pytest

from harness.errors import BadInput, SetupFailed
from harness.registry.api import RegistryApi, copy_manifest
from harness.registry.credentials import Login
from tests.fakes.registry import FakeRegistry

ME = Login("me", "geheim")


def api(registry: FakeRegistry, login: Login | None = None) -> RegistryApi:
    return RegistryApi("r.test", login=login, transport=registry.transport)


def test_copy_keeps_every_digest() -> None:
    """An index goes over with all its platforms, so that its digest is the same in both."""
    source, target = FakeRegistry(), FakeRegistry()
    digest = source.put_index("istio/pilot", "1", "amd64", "arm64")

    assert copy_manifest(api(source), "istio/pilot", "1", api(target), "m/istio/pilot", "1") == (digest, True)
    assert {version for _, version in target.manifests} == {version for _, version in source.manifests}
    assert target.manifests["m/istio/pilot", "1"] == source.manifests["istio/pilot", "1"]
    assert sorted(target.blobs.values()) == sorted(source.blobs.values())


def test_what_is_there_is_not_copied() -> None:
    """The same digest under the same tag: nothing is read or written. Another one under it is replaced."""
    source, target = FakeRegistry(), FakeRegistry()
    digest = source.put_index("a", "1", "amd64")
    target.put_index("a", "1", "amd64")

    assert copy_manifest(api(source), "a", "1", api(target), "a", "1") == (digest, False)
    assert {word.split()[0] for word in source.asked + target.asked} == {"HEAD"}
    target.put_image("a", "1", "s390x")
    assert copy_manifest(api(source), "a", "1", api(target), "a", "1") == (digest, True)
    assert not [word for word in target.asked if word.startswith("POST")]  # its blobs were there


@pytest.mark.parametrize("wants", ["basic", "bearer"])
def test_login_is_used_where_one_is_wanted(wants: str) -> None:
    """Basic, or for a token; a repository's next request has it from the start."""
    source, target = FakeRegistry(wants), FakeRegistry(wants)
    source.put_image("a", "1")

    assert copy_manifest(api(source, ME), "a", "1", api(target, ME), "b", "1")[1]
    assert len([word for word in target.asked if word.endswith("/token")]) <= 1
    assert ("b", "1") in target.manifests


@pytest.mark.parametrize("wants", ["basic", "bearer"])
def test_no_login_says_which_is_wanted(wants: str) -> None:
    """The registry by name, and Docker's command."""
    with pytest.raises(BadInput, match=r"r\.test rejects HEAD a/manifests/1: status 401") as caught:
        api(FakeRegistry(wants)).digest("a", "1")

    assert "docker login r.test" in caught.value.remedy


@pytest.mark.parametrize(("status", "words"), [(429, "too many pulls"), (500, "status 500"), (503, "status 503")])
def test_refusals_name_the_registry(status: int, words: str) -> None:
    """A limit that was met says so, with what can be done."""
    registry = FakeRegistry()
    registry.status = status

    with pytest.raises(SetupFailed, match=rf"r\.test.*{words}"):
        api(registry).manifest("a", "1")


def test_registry_out_of_reach() -> None:
    """The registry by name, and what the network said."""

    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("Connection refused", request=request)

    with pytest.raises(SetupFailed, match=r"registry r\.test \(a/manifests/1\): Connection refused"):
        RegistryApi("r.test", transport=httpx.MockTransport(refuse)).digest("a", "1")


def test_manifest_of_another_digest_is_refused() -> None:
    """What comes is held to the digest that was asked for."""
    registry = FakeRegistry()
    digest = registry.put_image("a", "1")
    registry.manifests["a", digest] = (b"{}", "x")

    with pytest.raises(SetupFailed, match="the received manifest has"):
        api(registry).manifest("a", digest)


def test_what_is_not_there_is_not_copied() -> None:
    """By name, before anything is written."""
    target = FakeRegistry()

    with pytest.raises(SetupFailed, match="a:1 does not exist"):
        copy_manifest(api(FakeRegistry()), "a", "1", api(target), "a", "1")

    assert target.asked == []
