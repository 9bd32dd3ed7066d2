"""Routing, windows and addresses, without a network."""

import pytest

from harness.cluster.emulated.network import rate_limit_matching
from harness.cluster.emulated.network.addresses import Addresses, door, hidden, meant
from harness.cluster.emulated.network.connection_target import MeshState, NoRoute
from harness.cluster.emulated.network.model import MeshWorkload, ServiceEntry, Waypoint
from harness.errors import BadInput


def pod(name: str, ip: str, **more: object) -> MeshWorkload:
    return MeshWorkload(f"uid-{name}", name, "default", ip, "one", enrolled=True, **more)  # type: ignore[arg-type]  # tests name fields


NOTHING: set[str] = set()
RATINGS = ServiceEntry("ratings", "default", "10.0.0.1", {80: 9080}, ("10.1.0.1",), Waypoint("10.0.0.2"))


def state(waypoint: MeshWorkload, ports: dict[int, int]) -> MeshState:
    service = ServiceEntry("waypoint", "default", "10.0.0.2", ports, (waypoint.ip,))
    pods = (pod("ratings", "10.1.0.1"), waypoint)
    return MeshState({w.ip: w for w in pods}, {s.vip: s for s in (RATINGS, service)})


def test_waypoint_is_reached_on_the_service_port() -> None:
    """ztunnel does not map it to the target port."""
    route = state(pod("waypoint", "10.1.0.2"), {15008: 15008}).captured("10.0.0.1", 80, plaintext=set(), bypass=set())

    assert (route.to.name, route.port, route.hbone) == ("waypoint", 80, "10.0.0.1:80")


def test_waypoint_without_port_15008_is_unknown_unless_it_has_a_binding() -> None:
    """Without port 15008 on its Service a waypoint is unknown, unless its pods have an inbound binding."""
    with pytest.raises(NoRoute, match="unknown waypoint"):
        state(pod("waypoint", "10.1.0.2"), {80: 80}).captured("10.0.0.1", 80, plaintext=NOTHING, bypass=NOTHING)

    bound = state(pod("waypoint", "10.1.0.2", app_tunnel=10080), {80: 80})
    assert bound.captured("10.0.0.1", 80, plaintext=NOTHING, bypass=NOTHING).port == 10080


def test_tunnel_to_a_pod_that_is_not_the_services_waypoint_is_refused() -> None:
    """ip mismatch."""
    known = state(pod("waypoint", "10.1.0.2"), {15008: 15008})

    assert known.accepts(known.workloads["10.1.0.2"], "10.0.0.1:80")
    assert not known.accepts(known.workloads["10.1.0.1"], "10.0.0.1:80")


def test_kube_proxy_takes_the_target_port_and_knows_no_waypoint() -> None:
    route = state(pod("waypoint", "10.1.0.2"), {15008: 15008}).direct("10.0.0.1", 80)

    assert (route.to.name, route.port) == ("ratings", 9080)


def test_window_ends_at_the_full_hour() -> None:
    """Windows are aligned to the epoch."""
    assert rate_limit_matching.window("HOUR", 7200.9) == (7200, 3600)
    assert rate_limit_matching.window("HOUR", 10799.2) == (7200, 1)


def test_tally_gives_the_recorded_numbers() -> None:
    """Five hits on a limit of three: 3 within, 1 near, 2 over (admin/ratelimit-metrics.prom)."""
    counted = [rate_limit_matching.tally(3, after, 1) for after in range(1, 6)]

    assert [sum(getattr(c, name) for c in counted) for name in ("within", "near", "over")] == [3, 1, 2]


@pytest.mark.parametrize(("limit", "after", "hits", "want"), [
    (10, 12, 5, rate_limit_matching.Tally(over=2, near=2, within=3)),
    (10, 9, 3, rate_limit_matching.Tally(over=0, near=1, within=3)),
    (0, 1, 1, rate_limit_matching.Tally(over=1, near=0, within=0)),
])  # fmt: skip
def test_tally_of_several_hits(limit: int, after: int, hits: int, want: rate_limit_matching.Tally) -> None:
    assert rate_limit_matching.tally(limit, after, hits) == want


def test_addresses_are_all_different_and_their_twins_too() -> None:
    given = Addresses(9)
    ips = [given.pod() for _ in range(300)] + [given.service() for _ in range(300)] + [given.node()]

    assert len({*ips, *(hidden(ip) for ip in ips[:300])}) == 901


@pytest.mark.parametrize("octet", [0, 255])
def test_octet_out_of_range_is_refused(octet: int) -> None:
    with pytest.raises(BadInput):
        Addresses(octet)


def test_only_pods_have_a_twin() -> None:
    with pytest.raises(ValueError, match="not a pod"):
        hidden("127.9.250.2")


@pytest.mark.parametrize(("port", "lies_at"), [(80, 60080), (443, 60443), (1023, 61023), (1024, 1024), (9080, 9080)])
def test_no_port_is_roots(port: int, lies_at: int) -> None:
    """An ordinary user can listen on every Service's port: those below 1024 lie elsewhere, and are known again."""
    assert (door(port), meant(lies_at)) == (lies_at, port)
    assert lies_at >= 1024
