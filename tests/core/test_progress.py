"""Stages: timed, told to every listener, readable in a pipe and on a terminal."""

import io
import threading

import pytest
from rich.console import Console

from harness import progress
from harness.progress import PROGRESS, live, plain
from tests.fakes.clock import Clock
from tests.patience import SOON


def lines(listener_of: object) -> tuple[io.StringIO, Console]:
    """A console and what is written to it."""
    written = io.StringIO()
    return written, Console(file=written, width=200, force_terminal=listener_of is live)


def test_stage_is_timed_and_told(notes: list[tuple[str, str]]) -> None:
    """A stage is reported at its start and its end, with its seconds."""
    with progress.stage("istio base") as stage:
        assert stage.seconds is None

    assert notes == [("started", "istio base"), ("done", "istio base")]
    assert stage.seconds is not None
    assert PROGRESS.stages == [stage]


def test_failed_stage_says_why(notes: list[tuple[str, str]]) -> None:
    """A stage that raises is failed, with the first line of the error, which goes on."""
    with pytest.raises(ValueError, match="no chart"), progress.stage("istio base"):
        raise ValueError("no chart\nand more")

    assert PROGRESS.stages[0].failed == "no chart"
    assert notes[-1] == ("failed", "istio base")


def test_interrupted_stage_is_failed() -> None:
    """An error without words, like Ctrl-C, is named by its type."""
    with pytest.raises(KeyboardInterrupt), progress.stage("x"):
        raise KeyboardInterrupt

    assert PROGRESS.stages[0].failed == "KeyboardInterrupt"


def test_awaiting_belongs_to_the_stage_of_its_thread(notes: list[tuple[str, str]]) -> None:
    """Of stages side by side each tells its own waits; a wait outside any stage is not told."""
    both = threading.Barrier(2)

    def work(name: str) -> None:
        with progress.stage(name):
            both.wait(SOON)
            progress.awaiting(f"what {name} needs", "")

    threads = [threading.Thread(target=work, args=(name,)) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    progress.awaiting("nobody's", "")

    assert {(s.name, s.awaited) for s in PROGRESS.stages} == {("a", "what a needs"), ("b", "what b needs")}
    assert "nobody's" not in [text for _, text in notes]


def test_outer_stage_goes_on_after_the_inner() -> None:
    """Stages nest: after the inner one, waits are the outer one's again."""
    with progress.stage("outer"):
        with progress.stage("inner"):
            progress.awaiting("i", "")
        progress.awaiting("o", "")

    assert [(s.name, s.awaited) for s in PROGRESS.stages] == [("outer", "o"), ("inner", "i")]


def test_plain_lines(clock: Clock) -> None:
    """In a pipe each event is a line with its time; markup in a name is text."""
    written, console = lines(plain)
    PROGRESS.listeners = [plain(console)]

    def load() -> None:
        with progress.stage("load [red]images[/]"):
            progress.awaiting("pods", "2/3 ready")
            progress.note("reused")
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        load()

    parts = [line.split("] ", 1)[1] for line in written.getvalue().splitlines()]
    assert parts == [
        "load [red]images[/] ...",
        "load [red]images[/]: awaiting pods (2/3 ready)",
        "reused",
        "load [red]images[/]: FAILED after 0.0s: broken",
    ]


def test_live_lines_stay_when_stages_end() -> None:
    """On a terminal a finished stage leaves a line with its seconds; a failed one says so."""
    written, console = lines(live)
    PROGRESS.listeners = [live(console)]
    with progress.stage("one"):
        progress.awaiting("pods", "")
    with pytest.raises(ValueError, match="x"), progress.stage("two"):
        raise ValueError("x")

    assert "one" in written.getvalue()
    assert "failed" in written.getvalue()


def test_live_names_are_text() -> None:
    """What a wait last saw may hold brackets: they are shown, not taken for markup."""
    written, console = lines(live)
    PROGRESS.listeners = [live(console)]
    with progress.stage("burst"):
        progress.awaiting("statuses", "[/200, 503]")

    assert "burst" in written.getvalue()


@pytest.mark.parametrize(("terminal", "expected"), [(True, "live"), (False, "plain")])
def test_show_fits_the_stream(terminal: bool, expected: str) -> None:
    """A terminal gets moving lines, a pipe plain ones."""
    progress.show(terminal)

    assert PROGRESS.listeners[0].__qualname__.startswith(f"{expected}.")
