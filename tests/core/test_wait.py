"""Waiting: bounded, ended early by what cannot heal, loud about what was last seen."""

from collections.abc import Callable
from typing import Any

import pytest

from harness import progress
from harness.errors import Absent, Inconclusive, NotObserved, NotReady, SetupFailed, Terminal
from harness.wait import pause, scaled_bound, scaled_dwell, set_patience, until
from tests.fakes.clock import Clock


class Flaky(Exception):
    """What an observation raises."""


def sequence(*items: Any) -> Callable[[], Any]:
    """Gives the items one after another, and the last one for ever; exceptions are raised."""
    left = list(items)

    def observe() -> Any:
        item = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(item, Exception):
            raise item
        return item

    return observe


def test_first_wanted_observation_is_returned(clock: Clock) -> None:
    """What was wanted comes back at once, without a sleep."""
    assert until(lambda: 7, lambda seen: seen == 7, what="seven", within=10) == 7
    assert clock.sleeps == []


def test_observations_follow_each_other_every_so_often(clock: Clock) -> None:
    """Between two looks lies `every` in the end, less at first; no look is left out."""
    assert until(sequence(*range(7)), lambda seen: seen == 6, what="six", within=10, every=0.8) == 6
    assert clock.sleeps == pytest.approx([0.1, 0.2, 0.4, 0.8, 0.8, 0.8])


def test_error_says_what_how_long_how_often_and_what_was_last_seen(clock: Clock) -> None:
    """A wait that runs out tells all that a reader asks for."""
    with pytest.raises(NotReady) as caught:
        until(lambda: [200, 404], lambda _: False, what="page is up", within=3, every=1)

    assert str(caught.value) == "page is up: not within 3s (7 tries); last seen: [200, 404]"
    assert (caught.value.what, caught.value.within, caught.value.tries) == ("page is up", 3, 7)


def test_remedy_is_in_the_error(clock: Clock) -> None:
    """A remedy given to the wait is what its error says."""
    with pytest.raises(NotReady, match="remedy: start it"):
        until(lambda: 0, bool, what="x", within=1, remedy="start it")


def test_show_puts_what_was_seen_into_words(clock: Clock) -> None:
    """`show` is how an observation reads, on one line and cut to a bearable length."""
    with pytest.raises(NotReady) as caught:
        until(lambda: "x" * 5000, lambda _: False, what="x", within=1, show=lambda seen: f"two\n  lines {seen}")

    assert caught.value.last_seen.startswith("two lines xxx")
    assert len(caught.value.last_seen) <= 600


@pytest.mark.parametrize(("within", "every"), [(10, 0.5), (10, 3), (1, 5), (0, 0.5), (0.2, 0.25)])
def test_deadline_is_overslept_by_less_than_one_interval(clock: Clock, within: float, every: float) -> None:
    """The wait looks at least once, and never sleeps past its deadline by more than `every`."""
    looks: list[float] = []
    clock.be_exact()

    with pytest.raises(NotReady):
        until(lambda: looks.append(clock.now), lambda _: False, what="x", within=within, every=every)

    assert len(looks) >= 1
    assert clock.slept <= within + every


def test_hopeless_ends_the_wait_at_once(clock: Clock) -> None:
    """A reason that does not heal ends the wait early, and is what the error says."""
    with pytest.raises(Terminal) as caught:
        until(
            sequence("Creating", "Creating", "ImagePullBackOff"),
            lambda seen: seen == "Running",
            what="pod runs",
            within=600,
            every=1,
            hopeless=lambda seen: "no such image" if seen == "ImagePullBackOff" else None,
        )

    assert clock.slept < 2
    assert str(caught.value) == "pod runs: cannot become true (seen after 0.4s): no such image"


def test_wanted_comes_before_hopeless(clock: Clock) -> None:
    """An observation that is wanted is returned, whatever `hopeless` thinks of it."""
    assert until(lambda: 1, bool, what="x", within=1, hopeless=lambda _: "never") == 1


def test_hopeless_is_final_though_everything_is_transient(clock: Clock) -> None:
    """The end of a wait is never taken for one more passing fault."""
    with pytest.raises(Terminal):
        until(lambda: 1, lambda _: False, what="x", within=5, hopeless=lambda _: "no", transient=(SetupFailed,))

    assert clock.sleeps == []


def test_transient_exceptions_are_not_yet(clock: Clock) -> None:
    """Only what is named transient is taken for "not yet"."""
    assert until(sequence(Flaky("503"), Flaky("503"), 1), bool, what="x", within=9, transient=(Flaky,)) == 1
    assert len(clock.sleeps) == 2


def test_transient_exception_is_what_was_last_seen(clock: Clock) -> None:
    """If nothing else was seen, the error quotes the exception."""
    with pytest.raises(NotReady, match=r"last seen: Flaky: connection refused \(no look was an observation\)"):
        until(sequence(Flaky("connection\nrefused")), bool, what="x", within=2, transient=(Flaky,))


@pytest.mark.parametrize(
    ("looks", "known"),
    [
        ([Flaky("503")], False),
        ([False, Flaky("503")], False),
        ([Flaky("503"), False], True),
        ([False, Flaky("503"), False], True),
        ([Absent("no such cluster")], True),
        ([False, Inconclusive("no answer")], False),
    ],
)
def test_last_look_decides_whether_the_end_is_known(clock: Clock, looks: list[Any], known: bool) -> None:
    """A bound whose last look nobody answered says nothing of what was awaited, whatever was seen before; that
    something does not exist, said by who was asked, is an observation."""
    with pytest.raises(NotReady) as caught:
        until(sequence(*looks), bool, what="x", within=5, transient=(Flaky, Inconclusive))

    assert isinstance(caught.value, NotObserved) is not known
    assert ("(before that: False)" in str(caught.value)) is (not known and looks[0] is False)


def test_other_exceptions_end_the_wait(clock: Clock) -> None:
    """An exception that nobody named transient propagates from the first look."""
    with pytest.raises(ZeroDivisionError):
        until(lambda: 1 / 0, bool, what="x", within=9, transient=(Flaky,))

    assert clock.sleeps == []


@pytest.mark.parametrize("where", ["want", "hopeless", "show"])
def test_exceptions_of_our_own_judgement_propagate(clock: Clock, where: str) -> None:
    """What `want`, `hopeless` or `show` raises is no observation: it propagates though it be of a transient type."""

    def judge(_: object) -> Any:
        raise Flaky(where)

    given: dict[str, Any] = {"want": lambda _: False, where: judge}
    with pytest.raises(Flaky, match=where):
        until(lambda: 1, what="x", within=5, transient=(Flaky,), **given)

    assert clock.sleeps == []


def test_interrupt_ends_the_wait(clock: Clock) -> None:
    """Ctrl-C is never swallowed."""

    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        until(interrupted, bool, what="x", within=5, transient=(Exception,))


def test_wait_tells_what_it_awaits(clock: Clock, notes: list[tuple[str, str]]) -> None:
    """Each change of what was seen is reported to the running stage, once."""
    with progress.stage("cluster"):
        until(sequence("a", "a", "b", "c"), lambda seen: seen == "c", what="c", within=9)

    assert [text for event, text in notes if event == "awaiting"] == ["c ('a')", "c ('b')"]


@pytest.mark.parametrize(("factor", "bound"), [(0.5, 5), (3, 30)])
def test_patience_stretches_every_bound(clock: Clock, factor: float, bound: float) -> None:
    """A slow machine has more time, a planted fault less; the error tells the bound as it was."""
    set_patience(factor)

    with pytest.raises(NotReady, match=f"not within {bound:g}s"):
        until(lambda: 0, bool, what="x", within=10)

    assert bound <= clock.slept <= bound + 0.5
    assert scaled_bound(2) == 2 * factor


@pytest.mark.parametrize(
    ("patience", "delays", "seconds"), [(1, 1, 2), (3, 1, 6), (0.1, 1, 2), (1, 20, 0.1), (0.1, 20, 0.1)]
)
def test_dwell_is_as_long_as_the_cluster_takes_to_tell(
    clock: Clock, patience: float, delays: float, seconds: float
) -> None:
    """A slow machine makes it longer, a cluster of short delays shorter; impatience does not touch it."""
    set_patience(patience, delays=delays)

    assert scaled_dwell(2) == pytest.approx(seconds)


def test_pause_passes_the_time(clock: Clock) -> None:
    """A pause is as long as said."""
    pause(12.5, why="the window ends")

    assert clock.sleeps == [12.5]
