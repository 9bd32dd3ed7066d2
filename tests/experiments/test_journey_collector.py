"""Many journeys from one scene: each request finds its own lines, and none finds another's."""

from dataclasses import replace
from datetime import timedelta

from harness.evidence.journey import journey_as_text
from harness.experiments.journey_collector import HopRecords, join_journeys, required_hops
from harness.http_exchange import Answer, Answers
from harness.logs import envoy_access, ztunnel
from tests.recordings import text

LINES = sorted(ztunnel.parse_ztunnel_log(text("variants/ztunnel-two-nodes.log")).lines, key=lambda line: line.opened)
PASSED = envoy_access.parse_access_log(text("variants/waypoint2-envoy.log")).lines


def answer(id: str, body: str = "") -> Answer:
    """An answer of that id."""
    return Answer(id, 200, {}, 1.0, body=body)


def scene(*lines: envoy_access.AccessLine, connections: list = LINES) -> HopRecords:
    """Nothing at the ingress, these lines at the waypoint."""
    return HopRecords((), lines, tuple(connections), ())


def test_each_request_finds_its_own_lines() -> None:
    """Three requests of one client, in the order asked for."""
    lines = [replace(line, user_agent=f"e2e/{n}") for n, line in enumerate(PASSED[:3])]

    found = join_journeys(scene(*lines), Answers(tuple(answer(str(n)) for n in (2, 0, 1))), lambda _: ("waypoint",))

    assert [journey.id for journey in found] == ["2", "0", "1"]
    assert {journey.verdict.outcome for journey in found} == {"held"}, journey_as_text(found[0])


def test_request_without_lines_is_unknown() -> None:
    """Also when others' are there; and when all of its connections are of another hour."""
    mine = replace(PASSED[0], user_agent="e2e/0")
    late = replace(mine, start_time=mine.start_time + timedelta(hours=1))

    for lines in ((), (PASSED[0],), (late,)):
        (journey,) = join_journeys(scene(*lines), Answers((answer("0"),)), lambda _: ("waypoint",))
        assert journey.verdict.outcome == "inconclusive"


def test_page_of_reviews_v1_need_not_pass_the_waypoint() -> None:
    """By the pod that the page names; a page that names none must have passed it."""
    assert required_hops(answer("0", "<u>reviews-v1-abc</u>")) == ("ingress",)
    assert required_hops(answer("0", "<u>reviews-v2-abc</u>")) == ("ingress", "waypoint")
    assert required_hops(answer("0")) == ("ingress", "waypoint")
