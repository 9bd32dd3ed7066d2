"""Finds free addresses of the Docker network for a kind cluster's load balancer."""

from __future__ import annotations

import ipaddress
import json

from harness.cluster.protocol import Capability
from harness.command import run
from harness.errors import SetupFailed
from harness.objects.unstructured import Json, maybe_number, text

EACH = 8  # addresses for one cluster


def why_not_judged(lb: bool, otherwise: str) -> dict[Capability, str]:
    """The capability that a cluster lacks: with LB=1 it has a load balancer; without, it has none, for the reason
    `otherwise`."""
    if lb:
        return {"no load balancer": "LB=1: this cluster has a load balancer"}
    return {"load balancer": otherwise}


def find_free_pools(container: str) -> list[str]:
    """The ranges for the cluster of this control plane's container.

    Raises:
        SetupFailed: as `pools`.
    """
    argv = ["docker", "container", "inspect", "--format", "{{json .NetworkSettings.Networks}}", container]
    return pools(run(argv).stdout)


def pools(networks: str) -> list[str]:
    """A range such as "172.18.255.232-172.18.255.239" for each IP family of a container.

    `networks` is the output of `docker container inspect --format '{{json .NetworkSettings.Networks}}'`.
    Docker assigns from the bottom of a subnet, one address for each container. The ranges are counted down from its top
    by the container's own number there: no two clusters on one network share a range.

    Raises:
        SetupFailed: the answer is not of that form, or the subnet is too small for a range in its upper half.
    """
    try:
        found: list[Json] = [network for network in json.loads(networks).values() if isinstance(network, dict)]
        ranges = [one for network in found[:1] for one in _ranges(network)]
    except (ValueError, AttributeError):
        ranges = []
    if not ranges:
        raise SetupFailed(
            f"no addresses for a load balancer: Docker reports these networks of the node: {networks.strip()[:200]!r}",
            remedy="run without LB=1",
        )
    return ranges


def _ranges(network: Json) -> list[str]:
    pairs = (("IPAddress", "IPPrefixLen"), ("GlobalIPv6Address", "GlobalIPv6PrefixLen"))
    return [
        _range(ipaddress.ip_interface(f"{text(network, address)}/{maybe_number(network, prefix)}"))
        for address, prefix in pairs
        if text(network, address) and maybe_number(network, prefix)
    ]


def _range(container: ipaddress.IPv4Interface | ipaddress.IPv6Interface) -> str:
    subnet = container.network
    number = int(container.ip) - int(subnet.network_address)
    first = int(subnet.broadcast_address) + 1 - EACH * (number + 1)
    if first < int(subnet.network_address) + subnet.num_addresses // 2:
        raise SetupFailed(
            f"Docker's network {subnet} is too small for a load balancer's addresses: node {container.ip} is in it",
            remedy="a larger network, at least a /24 (`docker network inspect kind`), or run without LB=1",
        )
    made = type(container.ip)
    return f"{made(first)}-{made(first + EACH - 1)}"
