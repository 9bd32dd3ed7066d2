"""Formats and parses addresses with ports, IPv4 and IPv6. Pure."""

from __future__ import annotations


def host_port(host: str, port: int | str) -> str:
    """ "10.0.0.1:80", "[fd00::1]:80", "example:80"."""
    return f"[{host}]:{port}" if ":" in host and not host.startswith("[") else f"{host}:{port}"


def url(host: str, port: int | str, path: str = "", *, scheme: str = "http") -> str:
    """ "http://[fd00::1]:80/path"."""
    return f"{scheme}://{host_port(host, port)}{path}"


def split_address(address: str) -> tuple[str, str]:
    """The host without brackets, and the port ("" where there is none), of "10.0.0.1:80", "[::1]:80", "::1", "name".

    Raises:
        ValueError: a bracket is not closed.
    """
    if address.startswith("["):
        host, closed, rest = address[1:].partition("]")
        if not closed or (rest and not rest.startswith(":")):
            raise ValueError(f"{address!r} is not an address")
        return host, rest[1:]
    if address.count(":") > 1:  # an IPv6 address without a port
        return address, ""
    host, _, port = address.partition(":")
    return host, port


def host_of(address: str | None) -> str:
    """The host of an address in a log line; "" where the line has none, or something else there. Never raises."""
    try:
        return split_address(address or "")[0]
    except ValueError:
        return ""
