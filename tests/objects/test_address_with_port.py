"""Hosts with ports, of both families."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.logs.ztunnel import Endpoint
from harness.objects.address_with_port import host_of, host_port, split_address, url
from tests.recordings.shapes import fuzz


def test_ipv6_has_brackets() -> None:
    """An IPv6 address before a port stands in brackets, nothing else does, and never in two pairs."""
    assert url("fd00:10:244::5", 9080, "/ratings/0") == "http://[fd00:10:244::5]:9080/ratings/0"
    assert url("10.0.0.1", 80) == "http://10.0.0.1:80"
    assert url("lb.example", 80, "/") == "http://lb.example:80/"
    assert host_port("[fd00::1]", 80) == "[fd00::1]:80"


@pytest.mark.parametrize(
    ("address", "parts"),
    [
        ("10.0.0.1:80", ("10.0.0.1", "80")),
        ("[::1]:80", ("::1", "80")),
        ("[fd00::1]", ("fd00::1", "")),
        ("fd00::1", ("fd00::1", "")),
        ("example:8080", ("example", "8080")),
        ("10.0.0.1", ("10.0.0.1", "")),
        ("", ("", "")),
    ],
)
def test_split(address: str, parts: tuple[str, str]) -> None:
    """Host and port, with or without either bracket or port."""
    assert split_address(address) == parts


@pytest.mark.parametrize("address", ["[::1", "[::1]80", "["])
def test_broken_brackets_are_no_address(address: str) -> None:
    """What is not an address is refused, and in a log line it is nobody's."""
    with pytest.raises(ValueError, match="is not an address"):
        split_address(address)
    assert host_of(address) == ""


@fuzz
@given(st.ip_addresses().map(str), st.integers(0, 65535))
def test_split_takes_back_what_was_joined(host: str, port: int) -> None:
    """Every address of both families comes back as it was."""
    assert split_address(host_port(host, port)) == (host, str(port))
    assert host_of(host_port(host, port)) == host
    assert Endpoint(host_port(host, port)).ip == host
