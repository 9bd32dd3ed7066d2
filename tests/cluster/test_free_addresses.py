"""The addresses that a load balancer on kind may assign."""

import ipaddress
import json

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from harness.cluster.free_addresses import EACH, pools
from harness.errors import SetupFailed


def networks(address: str, prefix: int, **more: object) -> str:
    """Docker's report of a container with that address."""
    return json.dumps({"kind": {"IPAddress": address, "IPPrefixLen": prefix} | more})


def test_each_family_has_a_range() -> None:
    """On a network of both families there is one for each."""
    both = networks("172.18.0.3", 16, GlobalIPv6Address="fc00:f853:ccd:e793::3", GlobalIPv6PrefixLen=64)

    assert pools(both) == [
        "172.18.255.224-172.18.255.231",
        "fc00:f853:ccd:e793:ffff:ffff:ffff:ffe0-fc00:f853:ccd:e793:ffff:ffff:ffff:ffe7",
    ]


@given(st.integers(16, 24), st.integers(2, 250), st.integers(2, 250))
def test_ranges_of_two_clusters_never_meet(prefix: int, one: int, other: int) -> None:
    """They lie in the upper half of the network, hold no broadcast address, and differ where the nodes do."""
    assume(one != other and max(one, other) < 2 ** (32 - prefix) // EACH // 2)
    network = ipaddress.ip_network(f"10.0.0.0/{prefix}")

    found = []
    for number in (one, other):
        (range_,) = pools(networks(str(network[number]), prefix))
        first, last = map(ipaddress.ip_address, range_.split("-"))
        found.append({int(first) + n for n in range(EACH)})
        assert int(last) == max(found[-1]) < int(network.broadcast_address)
        assert int(first) - int(network.network_address) >= network.num_addresses // 2

    assert found[0].isdisjoint(found[1])


@pytest.mark.parametrize(
    ("report", "why"),
    [
        ("", "Docker reports"),
        ("null", "Docker reports"),
        ("[]", "Docker reports"),
        ("{}", "Docker reports"),
        ('{"kind": null}', "Docker reports"),
        (networks("", 0), "Docker reports"),
        (networks("somewhere", 16), "Docker reports"),
        (networks("10.0.0.9", 28), "10.0.0.0/28 is too small"),
        (networks("10.0.0.200", 24), "10.0.0.0/24 is too small"),
    ],
)
def test_no_room_is_one_sentence(report: str, why: str) -> None:
    """Docker's report is quoted, or the network is named; the remedy is a run without LB=1."""
    with pytest.raises(SetupFailed, match=why) as caught:
        pools(report)

    assert "run without LB=1" in str(caught.value)
