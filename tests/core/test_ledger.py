"""The record of what was seen, test by test."""

import time

from harness import ledger


def test_each_test_has_its_own_page() -> None:
    """What is seen is written to the test that runs now, and to no other."""
    ledger.saw("setup", "cluster up")
    ledger.turn_to("test_a")
    ledger.saw("client", "<3 answers>")
    ledger.measured("enforced", 15.0, of="ratings")
    ledger.turn_to("test_b")
    ledger.attach("x.yaml", "kind: Pod")

    assert [s.what for s in ledger.page().sightings] == ["cluster up"]
    assert [s.what for s in ledger.page("test_a").sightings] == ["<3 answers>"]
    assert [(f.name, f.seconds, f.of) for f in ledger.page("test_a").figures] == [("enforced", 15.0, "ratings")]
    assert ledger.page("test_a").attachments == []
    assert ledger.page("test_b").attachments == [ledger.Attachment("x.yaml", "kind: Pod")]
    assert [page.test for page in ledger.pages()] == ["", "test_a", "test_b"]


def test_a_page_may_be_turned_back_to() -> None:
    """A page once opened is kept."""
    ledger.turn_to("test_a")
    ledger.saw("client", "first")
    ledger.turn_to("")
    assert ledger.turn_to("test_a").sightings[0].what == "first"


def test_witnesses_are_named_once_in_order() -> None:
    """Who saw anything is told once, in the order of first words; an empty page has none."""
    for who in ("client", "ztunnel log", "client", "limiter counters"):
        ledger.saw(who, "x")

    assert ledger.page().witnesses == ["client", "ztunnel log", "limiter counters"]
    assert ledger.page("nobody").witnesses == []


def test_sightings_bear_the_time() -> None:
    """When something was seen is seconds since the epoch."""
    before = time.time()
    ledger.saw("client", "x")

    assert before <= ledger.page().sightings[0].at <= time.time()


def test_rows_of_all_pages_make_one_table() -> None:
    """In the order they came, whatever test they are of."""
    ledger.turn_to("a")
    ledger.tabulate("outage windows", {"event": "one"})
    ledger.turn_to("b")
    ledger.tabulate("outage windows", {"event": "two"})

    assert ledger.tables() == {"outage windows": [{"event": "one"}, {"event": "two"}]}


def test_what_several_saw_stands_once_in_the_order_of_time() -> None:
    """Shared again, it is not told twice; what was seen later comes after it."""
    ledger.turn_to("a")
    ledger.saw("client", "shared")
    shared = list(ledger.current().sightings)
    ledger.turn_to("b")
    ledger.saw("log", "own")

    for _ in range(2):
        ledger.current().share(shared)

    assert [s.what for s in ledger.page("b").sightings] == ["shared", "own"]
    assert [s.what for s in ledger.page("a").sightings] == ["shared"]
