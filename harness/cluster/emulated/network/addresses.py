"""Loopback addresses of one emulated cluster: 127.<octet>.x.y. Linux answers on all of 127.0.0.0/8."""

from __future__ import annotations

import ipaddress
import sys

from harness.errors import BadInput

_PODS, _SERVICES, _NODES = range(0, 64), range(96, 128), range(250, 251)
_HIDDEN = 128  # added to a pod's third octet
_PRIVILEGED, _MOVED = 1024, 60_000  # ports that an ordinary user may not listen on; where they lie instead


class Addresses:
    """Hands out pod, Service and node addresses in turn. A freed pod address is not used again soon.

    Raises:
        BadInput: not Linux, whose loopback answers on 127.0.0.0/8; or an octet that is not 1..254.
    """

    def __init__(self, octet: int) -> None:
        if sys.platform != "linux":
            raise BadInput("the emulated cluster needs Linux: 127.0.0.0/8 must be bindable", remedy="use CLUSTER=kind")
        if not 1 <= octet <= 254:
            raise BadInput(f"octet {octet} is not in 1..254")
        self.octet = octet
        self._next = {"pod": 0, "service": 0, "node": 0}

    def pod(self) -> str:
        """The next pod's address, 127.<octet>.0-63.y."""
        return self._allocate("pod", _PODS)

    def service(self) -> str:
        """The next Service's VIP, 127.<octet>.96-127.y."""
        return self._allocate("service", _SERVICES)

    def node(self) -> str:
        """The next node's address, 127.<octet>.250.y."""
        return self._allocate("node", _NODES)

    def _allocate(self, kind: str, blocks: range) -> str:
        n = self._next[kind]
        if n >= len(blocks) * 253:
            raise BadInput(f"no {kind} address left in 127.{self.octet}.0.0/16")
        self._next[kind] = n + 1
        return f"127.{self.octet}.{blocks[n // 253]}.{n % 253 + 2}"


def hidden(ip: str) -> str:
    """The twin of a pod address: its third octet plus 128. Pure.

    Raises:
        ValueError: not an address of a pod.
    """
    packed = bytearray(ipaddress.IPv4Address(ip).packed)
    if packed[2] not in _PODS:
        raise ValueError(f"{ip} is not a pod address")
    packed[2] += _HIDDEN
    return str(ipaddress.IPv4Address(bytes(packed)))


def door(port: int) -> int:
    """The port that is really listened on and dialled for a Service's port: those below 1024 are root's. Pure."""
    return port + _MOVED if port < _PRIVILEGED else port


def meant(port: int) -> int:
    """The port that was meant by whoever came through that door. Pure."""
    return port - _MOVED if _MOVED <= port < _MOVED + _PRIVILEGED else port
