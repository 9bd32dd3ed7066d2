"""The record of what was seen, test by test."""

import time

from harness import observations


def test_each_test_has_its_own_page() -> None:
    """What is seen is written to the test that runs now, and to no other."""
    observations.record_sighting("setup", "cluster up")
    observations.open_page("test_a")
    observations.record_sighting("client", "<3 answers>")
    observations.record_seconds("enforced", 15.0, of="ratings")
    observations.open_page("test_b")
    observations.attach("x.yaml", "kind: Pod")

    assert [s.what for s in observations.page().sightings] == ["cluster up"]
    assert [s.what for s in observations.page("test_a").sightings] == ["<3 answers>"]
    assert [(f.name, f.seconds, f.of) for f in observations.page("test_a").figures] == [("enforced", 15.0, "ratings")]
    assert observations.page("test_a").attachments == []
    assert observations.page("test_b").attachments == [observations.Attachment("x.yaml", "kind: Pod")]
    assert [page.test for page in observations.pages()] == ["", "test_a", "test_b"]


def test_a_page_may_be_turned_back_to() -> None:
    """A page once opened is kept."""
    observations.open_page("test_a")
    observations.record_sighting("client", "first")
    observations.open_page("")
    assert observations.open_page("test_a").sightings[0].what == "first"


def test_witnesses_are_named_once_in_order() -> None:
    """Who saw anything is reported once, in the order of first words; an empty page has none."""
    for who in ("client", "ztunnel log", "client", "limiter counters"):
        observations.record_sighting(who, "x")

    assert observations.page().witnesses == ["client", "ztunnel log", "limiter counters"]
    assert observations.page("nobody").witnesses == []


def test_sightings_bear_the_time() -> None:
    """When something was seen is seconds since the epoch."""
    before = time.time()
    observations.record_sighting("client", "x")

    assert before <= observations.page().sightings[0].at <= time.time()


def test_rows_of_all_pages_make_one_table() -> None:
    """In the order they came, whatever test they are of."""
    observations.open_page("a")
    observations.add_row("outage windows", {"event": "one"})
    observations.open_page("b")
    observations.add_row("outage windows", {"event": "two"})

    assert observations.tables() == {"outage windows": [{"event": "one"}, {"event": "two"}]}


def test_what_several_saw_stands_once_in_the_order_of_time() -> None:
    """Shared again, it is not told twice; what was seen later comes after it."""
    observations.open_page("a")
    observations.record_sighting("client", "shared")
    shared = list(observations.current().sightings)
    observations.open_page("b")
    observations.record_sighting("log", "own")

    for _ in range(2):
        observations.current().share(shared)

    assert [s.what for s in observations.page("b").sightings] == ["shared", "own"]
    assert [s.what for s in observations.page("a").sightings] == ["shared"]


def test_claim_about_traffic_has_two_witnesses_of_each_request() -> None:
    """Of these very requests: what was read beside them is no witness of theirs, nor is a probe one of the requests."""
    page = observations.open_page("a")
    with observations.probing():
        observations.record_sighting("client", "are you there?", of=["probe"])
    assert (page.kind, page.missing_witnesses, page.witnesses) == ("status", "", [])

    with observations.collecting_request_ids() as ids:
        observations.record_sighting("client", "<2 answers>", of=["1", "2"])
    observations.record_sighting("config_dump", "there is a limit")
    observations.record_sighting("access log", "1 line", of=["1"])
    assert (page.kind, page.witnesses) == ("traffic", ["client", "access log"])
    assert page.missing_witnesses.startswith("1 of 2 requests have one witness (client)")

    observations.record_sighting("counters", "moved by 2", of=ids)
    assert (page.missing_witnesses, page.requests) == ("", {"1", "2"})
