"""The join facts, held to the recordings: if one of these fails on a new recording, the joins must change."""

from harness.evidence.joins import distance, ip_of, is_open_during, is_open_throughout, is_other_side_of
from harness.logs import envoy_access, ztunnel
from tests.recordings import text


def recorded(proxy: str, mesh: str) -> tuple[tuple[envoy_access.AccessLine, ...], tuple[ztunnel.ZtunnelLine, ...]]:
    """The access lines of a proxy and the lines of the ztunnel beside it."""
    return envoy_access.parse_access_log(text(proxy)).lines, ztunnel.parse_ztunnel_log(text(mesh)).lines


def test_envoys_upstream_port_is_ztunnels_source_port() -> None:
    """Behind the waypoint the port survives, and a kept connection carries two of the three requests."""
    requests, lines = recorded("variants/waypoint2-envoy.log", "variants/ztunnel-two-nodes.log")

    carried = [[z for z in lines if z.src.addr == r.upstream_local_address and is_open_during(z, r)] for r in requests]

    assert [[z.direction for z in found] for found in carried] == [["outbound"]] * 3
    assert carried[1] == carried[2] != carried[0]
    assert all(z.dst.hbone_addr == r.upstream_host for r, (z,) in zip(requests, carried, strict=True))


def test_no_port_survives_in_front_of_the_waypoint() -> None:
    """What Envoy sees as the client's port is ztunnel's own: no connection line has it."""
    for proxy, mesh in (
        ("variants/waypoint2-envoy.log", "variants/ztunnel-two-nodes.log"),
        ("logs/waypoint-envoy.log", "logs/ztunnel.log"),
    ):
        requests, lines = recorded(proxy, mesh)
        ports = {z.src.addr for z in lines}

        assert not ports & {r.downstream_remote_address for r in requests}
        assert {r.client_ip for r in requests} <= {z.src.ip for z in lines}


def test_inbound_lines_share_the_tunnels_port() -> None:
    """Three connections of one caller arrive through one HBONE connection."""
    _, lines = recorded("variants/waypoint2-envoy.log", "variants/ztunnel-two-nodes.log")
    arrived = [z for z in lines if z.direction == "inbound" and z.dst.ip == "10.244.1.30"]

    assert len(arrived) == 3
    assert len({z.src.addr for z in arrived}) == 1


def test_the_closest_connection_is_the_requests_own() -> None:
    """Calls 160 ms apart: several connections fit within the tolerance, the closest is each call's own."""
    requests, lines = recorded("variants/waypoint2-envoy.log", "variants/ztunnel-two-nodes.log")
    tunnels = [z for z in lines if z.direction == "outbound" and z.dst.ip == "10.244.1.30"]

    closest = [min(tunnels, key=lambda z, r=request: distance(z, r)) for request in requests]  # type: ignore[misc]

    assert [z.src.addr for z in closest] == ["10.244.1.19:57308", "10.244.1.19:57318", "10.244.1.19:57328"]


def test_both_sides_of_a_connection_mirror_each_other() -> None:
    """Addresses, bytes and times agree, and nothing else in the log fits."""
    _, lines = recorded("variants/waypoint2-envoy.log", "variants/ztunnel-two-nodes.log")
    tunnelled = [z for z in lines if z.direction == "outbound" and z.is_hbone and "waypoint2" in z.raw]

    assert len(tunnelled) == 5
    assert all(any(is_other_side_of(z, out) for z in lines) for out in tunnelled)
    assert not any(is_other_side_of(out, out) for out in tunnelled)


def test_service_differs_between_the_two_sides() -> None:
    """Outbound names the called Service, inbound the waypoint's own: no join."""
    requests, lines = recorded("variants/waypoint2-envoy.log", "variants/ztunnel-two-nodes.log")
    around = [z for z in lines if z.dst.ip == requests[0].proxy_ip and is_open_throughout(z, requests[0])]

    assert {(z.direction, z.dst.service) for z in around} == {
        ("outbound", "details.default.svc.cluster.local"),
        ("inbound", "waypoint2.default.svc.cluster.local"),
    }


def test_request_id_does_not_survive_the_waypoint() -> None:
    """No id is seen by two proxies, not even where the waypoint's request lies inside the ingress's."""
    inside = envoy_access.parse_access_log(text("logs/access-waypoint-200.json")).lines[0]
    pages = envoy_access.parse_access_log(text("logs/ingress-envoy.log")).lines
    page = next(p for p in pages if p.start_time <= inside.start_time <= p.end_time)

    assert page.path == "/productpage"
    assert page.user_agent == inside.user_agent
    assert page.request_id != inside.request_id


def test_ip_of_an_address() -> None:
    """IPv6 loses its brackets; no address has no IP."""
    assert [ip_of(address) for address in ("10.0.0.1:80", "[fd00::1]:80", None, "")] == ["10.0.0.1", "fd00::1", "", ""]
