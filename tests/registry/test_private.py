"""One private registry: what REGISTRY= may say, and where each public reference is then."""

from pathlib import Path

import pytest

from harness import settings, version_sets
from harness.errors import BadInput
from harness.registry.private import PrivateRegistry, parse_registry
from harness.registry.reference import parse_reference


@pytest.mark.parametrize(
    ("text", "host", "prefix", "url"),
    [
        ("registry.example.com", "registry.example.com", "", "https://registry.example.com"),
        ("registry.example.com/a/b/", "registry.example.com", "a/b", "https://registry.example.com"),
        ("https://r.example.com:8443/a", "r.example.com:8443", "a", "https://r.example.com:8443"),
        ("http://10.0.0.5:5000", "10.0.0.5:5000", "", "http://10.0.0.5:5000"),
        ("oci://registry.example.com/a", "registry.example.com", "a", "https://registry.example.com"),
        ("localhost:5001", "localhost:5001", "", "http://localhost:5001"),
        ("127.0.0.1:5001/x", "127.0.0.1:5001", "x", "http://127.0.0.1:5001"),
        ("[::1]:5001", "[::1]:5001", "", "http://[::1]:5001"),
        ("https://localhost:5001", "localhost:5001", "", "https://localhost:5001"),
    ],
)
def test_registry_as_it_is_named(text: str, host: str, prefix: str, url: str) -> None:
    """Host, prefix and protocol; on this machine's loopback address plain HTTP, as Docker takes it."""
    found = parse_registry(text)

    assert (found.host, found.prefix, found.url) == (host, prefix, url)


@pytest.mark.parametrize(
    "text",
    ["registry", "registry/a", "http://", "ftp://r.example.com", "r.example.com/A", "r.example.com:x",
     "r.example.com/a:1", "user:geheim@r.example.com", "https://user:geheim@r.example.com/a", "r.example.com//a",
     "-.example.com"],
)  # fmt: skip
def test_what_is_no_registry(text: str) -> None:
    """Refused with the form that is wanted; a password in it is not repeated."""
    with pytest.raises(BadInput) as caught:
        parse_registry(text)

    assert "REGISTRY=" in str(caught.value)
    assert caught.value.remedy
    assert "geheim" not in str(caught.value)


def test_plain_http_and_tls_contradict() -> None:
    """Neither is guessed."""
    for text, words in (("https://r.io", {"plain_http": True}), ("r.io", {"plain_http": True, "ca": Path("ca.pem")})):
        with pytest.raises(BadInput, match="both requested"):
            parse_registry(text, **words)  # type: ignore[arg-type]  # as the settings have them


@pytest.mark.parametrize(
    ("public", "there"),
    [
        ("docker.io/istio/pilot:1.29.1-distroless", "r.io/m/istio/pilot:1.29.1-distroless"),
        ("redis:6.0.6", "r.io/m/library/redis:6.0.6"),
        ("oci://ghcr.io/istio/release/charts/base", "oci://r.io/m/istio/release/charts/base"),
        (f"kindest/node:v1.34.3@sha256:{'0' * 64}", f"r.io/m/kindest/node:v1.34.3@sha256:{'0' * 64}"),
    ],
)
def test_reference_in_a_private_registry(public: str, there: str) -> None:
    """Its own path without the public host, below the prefix; tag and digest stay."""
    assert PrivateRegistry("r.io", "m").rewrite(public) == there


@pytest.mark.parametrize("name", version_sets.load().sets)
def test_every_reference_of_a_set_is_rewritten(name: str) -> None:
    """No image, chart or node image of any set is taken from elsewhere, and no two share a place."""
    public, row = version_sets.load().pick(name), version_sets.load().pick(name, PrivateRegistry("r.io:5000", "m"))

    found = [row.node, *row.images.values(), *(chart.reference for chart in row.charts.values())]
    assert {parse_reference(one).registry for one in found} == {"r.io:5000"}
    assert all(parse_reference(one).repository.startswith("m/") for one in found)
    assert len(set(found)) == len(found)
    assert row.istio_hub == "r.io:5000/m/istio"
    assert row.images["pilot"].startswith(f"{row.istio_hub}/pilot:")
    assert row.taken_from(None).images == public.images
    assert public.registry is None


def test_settings_name_the_registry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """E2E_REGISTRY and its three companions; an empty one is none."""
    (tmp_path / "ca.pem").touch()
    for name, value in {"": "r.io/m", "_CA": str(tmp_path / "ca.pem"), "_SECRET": "pull"}.items():
        monkeypatch.setenv(f"E2E_REGISTRY{name}", value)

    assert settings.read_settings().private == PrivateRegistry("r.io", "m", ca=tmp_path / "ca.pem", secret="pull")
    assert settings.read_settings(registry=" ").private is None
    with pytest.raises(BadInput, match=r"REGISTRY_CA=.*absent is not a file"):
        _ = settings.read_settings(registry_ca=tmp_path / "absent").private
    with pytest.raises(BadInput, match="not a valid name of a Secret"):
        _ = settings.read_settings(registry_secret="No Name").private
