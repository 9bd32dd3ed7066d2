"""The picture and the row: what a reader sees of a timeline."""

from dataclasses import replace

from harness.load.timeline import Event, Sample, Timeline
from harness.load.timeline_text import event_rows, flags_line, headline, timeline_as_text

START = 1_795_251_600.0


def killed(*, recovers: bool = True) -> Timeline:
    """8 s at 20 qps, lost from 2.0 s to 3.0 s (or for good) while ztunnel is killed."""
    ends = 3.0 if recovers else 99.0
    samples = [
        Sample(START + n / 20, 2.0, None if 2.0 <= n / 20 < ends else 200, flags="" if 2.0 <= n / 20 < ends else "-")
        for n in range(160)
    ]
    event = Event("ztunnel killed", START + 1.95, START + 3.5, "at most 10 s")
    return replace(Timeline.of("mesh client", samples, [event]), proxy="waypoint")


def test_picture_shows_the_outage_where_it_was() -> None:
    lines = timeline_as_text(killed()).splitlines()

    assert lines[2] == "     0.0s |" + "." * 20 + "x" * 10 + "." * 20 + "|"
    assert lines[3] == "     5.0s |" + "." * 30 + " " * 20 + "|"


def test_picture_names_what_was_done_and_what_coincides() -> None:
    text = timeline_as_text(killed())

    assert "done      1.95s to   3.50s  ztunnel killed" in text
    assert "outage    2.00s for   1000 ms, 20 lost, with: ztunnel killed" in text


def test_gap_is_blank() -> None:
    """Where nothing was begun nothing is claimed."""
    timeline = Timeline.of("c", [Sample(START, 1, 200), Sample(START + 1.05, 1, 200)])

    assert "|.         .   " in timeline_as_text(timeline)


def test_slow_and_partly_lost_have_marks_of_their_own() -> None:
    samples = [Sample(START, 1500, 200), Sample(START + 0.11, 1, 200), Sample(START + 0.15, 1, None)]

    assert "|s~   " in timeline_as_text(Timeline.of("c", samples))


def test_row_has_the_figures() -> None:
    """Of the requests from the event on: what was before it is not its doing."""
    assert event_rows(killed()) == [
        {
            "event": "ztunnel killed",
            "client": "mesh client",
            "outage ms": "1000",
            "lost of sent": "20 of 121",
            "slowest ms": "2",
            "flags": "-",
            "promise": "at most 10 s",
        }
    ]


def test_each_event_has_its_row() -> None:
    """An outage is reported with the event that it began in, and with no later one that it was over by."""
    timeline = killed()
    later = replace(timeline, events=(*timeline.events, Event("ztunnel rolled", START + 5, START + 6)))

    assert [(row["event"], row["lost of sent"]) for row in event_rows(later)] == [
        ("ztunnel killed", "20 of 61"),
        ("ztunnel rolled", "0 of 60"),
    ]


def test_row_says_when_it_is_not_over() -> None:
    assert event_rows(killed(recovers=False))[0]["outage ms"].endswith("not over")


def test_flags_say_how_many_left_no_line() -> None:
    assert flags_line(killed()) == "of 160 requests of mesh client: {'-': 140, 'no line': 20}"


def test_headline_says_that_the_lost_left_no_line() -> None:
    """Lost before the proxy: its log knows nothing of them."""
    assert "flags of the lost: {'no line': 20}" in headline(killed())
