"""Loopback and cluster addresses go past any proxy; what the user set stays."""

import urllib.request
from collections.abc import Callable

import pytest
import requests
from websocket._http import get_proxy_info

from harness import no_proxy
from harness.command import run

HERE = "http://127.7.0.1:6443/version"


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"])
def test_proxy_of_any_name_is_kept_from_loopback(name: str) -> None:
    """Each of the six variables counts; both spellings of NO_PROXY are set, with what was there first."""
    environ = {name: "http://proxy.example:3128", "NO_PROXY": "corp.example, 10.0.0.0/8"}

    no_proxy.extend_no_proxy(["172.18.0.3"], environ)

    assert environ["NO_PROXY"] == environ["no_proxy"]
    assert environ["NO_PROXY"].split(",")[:2] == ["corp.example", "10.0.0.0/8"]
    assert {"localhost", "127.0.0.1", "127.0.0.0/8", "::1", "172.18.0.3"} <= set(environ["NO_PROXY"].split(","))


def test_twice_is_once() -> None:
    """A harness inside a harness adds nothing."""
    environ = {"http_proxy": "http://p:1"}
    no_proxy.extend_no_proxy((), environ)
    once = dict(environ)

    no_proxy.extend_no_proxy((), environ)

    assert environ == once


def test_without_a_proxy_nothing_is_set() -> None:
    """An environment without a proxy stays as it is."""
    environ = {"http_proxy": "", "PATH": "/bin"}

    no_proxy.extend_no_proxy(["10.0.0.1"], environ)

    assert environ == {"http_proxy": "", "PATH": "/bin"}


@pytest.mark.parametrize(
    ("host", "here"),
    [
        *((host, True) for host in ("127.0.0.1", "127.7.0.1", "::1", "localhost")),
        *((host, False) for host in ("", None, "10.0.0.1", "fd00::1", "api.example", "notlocalhost")),
    ],
)
def test_loopback(host: str | None, here: bool) -> None:
    """Both families and the name; nothing else."""
    assert no_proxy.is_loopback(host) == here


def _requests_bypasses(url: str) -> bool:
    return requests.utils.should_bypass_proxies(url, no_proxy=None)


def _websocket_bypasses(url: str) -> bool:
    return get_proxy_info(url.split("/")[2].partition(":")[0], False)[0] is None


@pytest.mark.parametrize("bypasses", [_requests_bypasses, _websocket_bypasses], ids=["requests", "websocket"])
def test_libraries_agree(monkeypatch: pytest.MonkeyPatch, bypasses: Callable[[str], bool]) -> None:
    """The docker SDK's requests and the exec's websocket go past the proxy to loopback; registries go through it."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert not bypasses(HERE)

    no_proxy.extend_no_proxy()

    assert bypasses(HERE)
    assert not bypasses("http://registry-1.docker.io/v2/")


def test_programs_inherit_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """kubectl, helm and kind are started with the extended list, and with the proxy itself for what they pull."""
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    no_proxy.extend_no_proxy()

    output = run(["sh", "-c", 'echo "$NO_PROXY $HTTPS_PROXY"']).stdout

    assert "127.0.0.0/8" in output
    assert output.strip().endswith("http://127.0.0.1:9")


def test_urllib_finds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The standard library reads no networks, so loopback's usual names stand beside them."""
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    no_proxy.extend_no_proxy()

    assert urllib.request.proxy_bypass_environment("127.0.0.1:6443")
    assert urllib.request.proxy_bypass_environment("localhost")
