"""One request's way, joined from recorded lines.

Clients of the recordings did not send our user-agent, so it is put on the values after parsing. No recording has the
ingress's access log and ztunnel's log of the same time: where both are needed, the two access lines are made to fit
the recorded connections of 2026-11-21 01:06:34.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.evidence.hops import Hop, Journey, Pod
from harness.evidence.journey import ingress_pod_ip, join_journey, journey_as_text, pods_by_ip, workloads_passed
from harness.logs import envoy_access, ztunnel
from tests.recordings import objects, text
from tests.recordings.shapes import fuzz, keyed

LINES = ztunnel.parse_ztunnel_log(text("variants/ztunnel-two-nodes.log")).lines
PODS = {
    "10.244.1.17": Pod("default/bookinfo-ingress-54fb7fc49b-wds68", "worker"),
    "10.244.1.9": Pod("default/productpage-v1-bb87ff47b-tkdwg", "worker"),
    "10.244.1.6": Pod("default/reviews-v3-d587fc9d7-55t8g", "worker"),
    "10.244.1.27": Pod("default/waypoint-77fcb84cbd-c7lzr", "worker"),
    "10.244.1.4": Pod("default/ratings-v1-8589f64b4c-2kd7d", "worker"),
    "10.244.1.19": Pod("default/hey", "worker"),
    "10.244.1.30": Pod("default/waypoint2-6b7cd6895d-bjz7t", "worker"),
}
HBONE_PAIR = ["ztunnel-out", "ztunnel-in"]


def mine(name: str, which: int = 0) -> envoy_access.AccessLine:
    """A recorded request, as if our client number 7 had sent it."""
    return replace(envoy_access.parse_access_log(text(name)).lines[which], user_agent="e2e/7")


def made(at: str, took: int, client: str, proxy: str, own: str | None, upstream: str | None) -> envoy_access.AccessLine:
    """A request that was not recorded, made to fit recorded connections."""
    return replace(
        mine("logs/access-waypoint-200.json"),
        start_time=datetime.fromisoformat(f"2026-11-21T{at}+00:00"),
        duration_ms=took,
        request_id=f"by {proxy}",
        downstream_remote_address=client,
        downstream_local_address=proxy,
        upstream_local_address=own,
        upstream_host=upstream,
    )


PAGE = made("01:06:34.312", 17, "172.18.0.1:40000", "10.244.1.17:10080", "10.244.1.17:39830", "10.244.1.9:9080")
RATING = made("01:06:34.324", 2, "10.244.1.6:40001", "10.244.1.27:9080", "10.244.1.27:60964", "10.244.1.4:9080")


def kinds(journey: Journey) -> list[str]:
    """The hops by kind."""
    return [hop.kind for hop in journey.hops]


def test_call_through_a_waypoint_is_held() -> None:
    """Client, tunnel, waypoint, tunnel, backend: all seen, all over HBONE, with the identities of each leg."""
    journey = join_journey("7", (), [mine("variants/waypoint2-envoy.log")], LINES, PODS, via=("waypoint",))

    assert kinds(journey) == ["client", *HBONE_PAIR, "waypoint", *HBONE_PAIR, "backend"]
    assert journey.verdict.held, journey_as_text(journey)
    assert {hop.protocol for hop in journey.hops if "ztunnel" in hop.kind} == {"HBONE"}
    assert [hop.identity.rpartition("/")[2] for hop in journey.hops] == [
        *("", "default", "default", "", "waypoint2", "waypoint2", "bookinfo-details")
    ]
    assert [hop.who for hop in journey.hops][:4] == ["default/hey"] * 2 + ["default/waypoint2-6b7cd6895d-bjz7t"] * 2


def test_requests_that_share_a_connection_are_not_ambiguous() -> None:
    """The second and third call used one upstream connection."""
    second, third = (
        join_journey("7", (), [mine("variants/waypoint2-envoy.log", which)], LINES, PODS, via=("waypoint",))
        for which in (1, 2)
    )

    assert second.verdict.held
    assert third.verdict.held
    assert second.hops[4:] == third.hops[4:]


def test_page_is_followed_to_the_ratings() -> None:
    """From outside through the ingress, productpage, reviews and the waypoint: eleven hops and four tunnels."""
    journey = join_journey("7", [PAGE], [RATING], LINES, PODS)

    assert kinds(journey) == [
        *("client", "ingress", *HBONE_PAIR, "backend"),
        *HBONE_PAIR,
        *("client", *HBONE_PAIR, "waypoint", *HBONE_PAIR, "backend"),
    ]
    assert journey.missing == ()
    assert journey.verdict.held, journey_as_text(journey)
    between = journey.hops[5]
    assert between.who == "default/productpage-v1-bb87ff47b-tkdwg"
    assert between.address == "10.244.1.6:9080"


def test_request_id_of_the_ingress_finds_a_proxy_that_keeps_it() -> None:
    """A waypoint told to preserve x-request-id is found although the user-agent was lost on the way."""
    kept = replace(RATING, user_agent=None, request_id=PAGE.request_id)

    assert "waypoint" in kinds(join_journey("7", [PAGE], [kept], LINES, PODS))
    assert "waypoint" not in kinds(join_journey("7", [PAGE], [replace(kept, request_id=None)], LINES, PODS))


def test_workloads_that_a_request_passed() -> None:
    """The client before the ingress is left out; a pod that is called and then calls is one station."""
    page = join_journey("7", [PAGE], [RATING], LINES, PODS)
    call = join_journey("7", [], [RATING], LINES, PODS, via=("waypoint",))

    assert workloads_passed(page) == ["bookinfo-ingress", "productpage-v1", "reviews-v3", "waypoint", "ratings-v1"]
    assert workloads_passed(call) == ["reviews-v3", "waypoint", "ratings-v1"]


def test_missing_hops_make_it_unknown() -> None:
    """A connection that is still open has no line: unseen, not held."""
    without = [z for z in LINES if z.src.addr != "10.244.1.30:41344"]

    journey = join_journey("7", (), [mine("variants/waypoint2-envoy.log")], without, PODS, via=("waypoint",))

    assert journey.verdict.outcome == "inconclusive"
    assert journey.missing == (
        "ztunnel outbound line of waypoint 10.244.1.30:41344 -> 10.244.1.3 (written when the connection closes)",
    )
    assert kinds(journey)[-1] == "backend"


def test_one_side_of_a_tunnel_is_not_enough() -> None:
    """Without the destination's line nobody has seen it arrive."""
    outbound = [z for z in LINES if z.direction == "outbound"]

    journey = join_journey("7", (), [mine("variants/waypoint2-envoy.log")], outbound, PODS, via=("waypoint",))

    assert len(journey.missing) == 2
    assert journey.verdict.outcome == "inconclusive"


@pytest.mark.parametrize("via", [("ingress", "waypoint"), ("ingress",), ("waypoint",), ()])
def test_nothing_seen_is_unknown(via: tuple[str, ...]) -> None:
    """No line of ours anywhere: every proxy that was to be passed is missing, and nothing is held."""
    others = envoy_access.parse_access_log(text("logs/ingress-envoy.log")).lines

    journey = join_journey("7", others, others, LINES, PODS, via=via)  # type: ignore[arg-type]

    assert journey.hops == ()
    assert len(journey.missing) == len(via)
    assert journey.verdict.outcome == "inconclusive"


def test_refused_request_ends_at_the_proxy_that_refused() -> None:
    """A 429 never left the ingress; x-forwarded-for tells which pod it was behind the port-forward."""
    limited = mine("logs/access-429.json")

    journey = join_journey("7", [limited], (), (), {"10.244.0.20": Pod("default/ingress", "n")}, via=("ingress",))

    assert [(hop.kind, hop.who, hop.status, hop.flags) for hop in journey.hops] == [
        ("client", "127.0.0.1", "-", "-"),
        ("ingress", "default/ingress", "429", "RL"),
    ]
    assert journey.verdict.held


def test_overflow_is_seen_between_the_tunnel_and_the_backend() -> None:
    """A 503 of the breaker came in over HBONE and went no further. 200 callers at once are alike: not ambiguous."""
    refused = [
        line for line in envoy_access.parse_access_log(text("logs/waypoint-envoy.log")).lines if line.flags == "UO"
    ]
    lines = ztunnel.parse_ztunnel_log(text("logs/ztunnel.log")).lines

    journey = join_journey("7", (), [replace(refused[0], user_agent="e2e/7")], lines, {}, via=("waypoint",))

    assert kinds(journey) == ["client", *HBONE_PAIR, "waypoint"]
    assert (journey.hops[-1].status, journey.hops[-1].flags) == ("503", "UO")
    assert journey.ambiguous == ()
    assert journey.verdict.held


def test_plaintext_leg_is_broken() -> None:
    """A connection past the mesh is a fact, and outweighs what is missing."""
    bare = [
        replace(z, dst=replace(z.dst, hbone_addr=None, identity=None), src=replace(z.src, identity=None))
        if z.src.addr == "10.244.1.30:41344"
        else z
        for z in LINES
    ]

    journey = join_journey("7", (), [mine("variants/waypoint2-envoy.log")], bare, PODS, via=("waypoint",))

    assert journey.verdict.outcome == "broken"
    assert "plaintext to 10.244.1.3:15008, not HBONE" in journey.verdict.reason
    assert journey.missing == ()


def test_failed_tunnel_is_broken() -> None:
    """ztunnel's own error is the verdict's reason."""
    failed = [replace(z, error="io error", level="error") if z.src.addr == "10.244.1.30:41344" else z for z in LINES]

    journey = join_journey("7", (), [mine("variants/waypoint2-envoy.log")], failed, PODS, via=("waypoint",))

    assert journey.verdict.outcome == "broken"
    assert "io error" in journey.verdict.reason
    assert journey.nearby == ()  # The failed connection is a hop of its own, not a hint.


def test_lines_that_differ_are_ambiguous() -> None:
    """Two connections of different identities around one request: whose it was, nobody can say."""
    twin = next(z for z in LINES if z.dst.ip == "10.244.1.30" and z.direction == "outbound")
    other = replace(twin, src=replace(twin.src, identity="spiffe://cluster.local/ns/default/sa/other"))

    journey = join_journey("7", (), [mine("variants/waypoint2-envoy.log")], [*LINES, other], PODS, via=("waypoint",))

    assert journey.ambiguous == (
        "2 unlike ztunnel outbound lines fit default/hey -> default/waypoint2-6b7cd6895d-bjz7t",
    )
    assert journey.verdict.outcome == "inconclusive"


def test_two_pages_with_one_id_are_ambiguous() -> None:
    """An id is for one request; a client that sent it twice proved nothing about either."""
    assert join_journey("7", [PAGE, PAGE], [RATING], LINES, PODS).verdict.outcome == "inconclusive"


def test_port_clash_leaves_hints() -> None:
    """The page answered 200 while ratings was reset: the waypoint is missing, and ztunnel's errors stand nearby."""
    clash = ztunnel.parse_ztunnel_log(text("port-15008-clash/ztunnel.log")).lines
    first = next(z for z in clash if not z.is_ok)
    page = replace(PAGE, start_time=first.time - timedelta(milliseconds=10), duration_ms=20)

    journey = join_journey("7", [page], (), clash, PODS)

    assert journey.verdict.outcome == "inconclusive"
    assert "waypoint access line with user-agent e2e/7" in journey.missing
    assert any("reviews-v3" in hint and "Connection reset by peer" in hint for hint in journey.nearby)


def test_picture_names_hops_gaps_and_verdict() -> None:
    """One line a hop; what is missing and the verdict below."""
    whole = journey_as_text(
        join_journey("7", (), [mine("variants/waypoint2-envoy.log")], LINES, PODS, via=("waypoint",))
    )
    empty = journey_as_text(join_journey("7", (), (), (), {}))

    assert len(whole.splitlines()) == 9
    assert "| waypoint       default/waypoint2-6b7cd6895d-bjz7t  200  5 ms  10.244.1.30:9080  @worker" in whole
    assert "|   ztunnel out  default/hey" in whole
    assert whole.splitlines()[-1].startswith("  = held: ")
    assert "  ? missing: ingress access line with user-agent e2e/7" in empty.splitlines()
    assert empty.splitlines()[-1].startswith("  = inconclusive: ")


def test_pods_are_found_by_their_ip() -> None:
    """Each pod's own IP; a pod in the host's network would claim the whole node."""
    pods = objects("objects/pods.yaml")

    assert pods_by_ip(pods.values())["10.244.0.31"] == Pod("default/waypoint-8f65994b4-llg5k", "rig-control-plane")
    assert pods_by_ip([]) == {}
    assert pods_by_ip([{"spec": {"hostNetwork": True}, "status": {"podIPs": [{"ip": "172.18.0.2"}]}}]) == {}


def test_ingress_behind_a_port_forward_tells_its_ip() -> None:
    """By its upstream side, else by what it wrote into x-forwarded-for."""
    assert ingress_pod_ip(envoy_access.parse_access_log(text("logs/access-429.json")).lines[0]) == "10.244.0.20"
    assert {ingress_pod_ip(line) for line in envoy_access.parse_access_log(text("logs/ingress-envoy.log")).lines} == {
        "10.244.0.20"
    }
    assert ingress_pod_ip(PAGE) == "10.244.1.17"


@fuzz
@given(keyed("metadata", "namespace", "name", "spec", "nodeName", "status", "podIPs", "ip"))
def test_any_pod_can_be_read(value: object) -> None:
    """Pods of any shape are read without an error."""
    assert "" not in pods_by_ip([value] if isinstance(value, dict) else [{"status": value}])


addresses = st.sampled_from(["10.0.0.1:1", "10.0.0.1:2", "10.0.0.2:1", "10.0.0.3:9", "", "x"])
moments = st.integers(0, 300).map(lambda ms: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms))
requests = st.builds(
    lambda at, client, proxy, own, up, agent: replace(
        RATING,
        start_time=at,
        downstream_remote_address=client,
        downstream_local_address=proxy,
        upstream_local_address=own,
        upstream_host=up,
        user_agent=agent,
    ),
    *(moments, addresses, addresses, st.none() | addresses, st.none() | addresses, st.sampled_from(["e2e/7", "e2e/8"])),
)
connections = st.builds(
    lambda at, src, dst, hbone, way, error: replace(
        LINES[0],
        time=at,
        src=replace(LINES[0].src, addr=src),
        dst=replace(LINES[0].dst, addr=dst, hbone_addr=hbone),
        direction=way,
        error=error,
    ),
    *(moments, addresses, addresses, st.none() | addresses),
    *(st.sampled_from(["inbound", "outbound"]), st.none() | st.just("reset")),
)


@fuzz
@given(st.lists(requests, max_size=3), st.lists(requests, max_size=3), st.lists(connections, max_size=8))
def test_held_never_hides_anything(
    entered: list[envoy_access.AccessLine], passed: list[envoy_access.AccessLine], lines: list[ztunnel.ZtunnelLine]
) -> None:
    """For any lines: held means both proxies were seen, nothing is missing or doubtful, and every leg is HBONE."""
    journey = join_journey("7", entered, passed, lines, {})

    assert journey_as_text(journey)
    if journey.verdict.held:
        assert {"ingress", "waypoint"} <= set(kinds(journey))
        assert journey.missing == journey.ambiguous == ()
        assert all(isinstance(hop, Hop) and hop.protocol in ("HBONE", "-") for hop in journey.hops)
        assert all(hop.status == "ok" for hop in journey.hops if "ztunnel" in hop.kind)
