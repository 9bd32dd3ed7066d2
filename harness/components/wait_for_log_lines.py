"""Waits for lines of a proxy's log. A missing line makes the claim inconclusive."""

from __future__ import annotations

from collections.abc import Callable, Sized
from typing import TypeVar

from harness import timeouts
from harness.errors import Inconclusive, NotReady
from harness.kube import ApiUnavailable
from harness.logs.unreadable import UnreadableLines
from harness.wait import until

S = TypeVar("S", bound=Sized)


def wait_for_lines(
    look: Callable[[], S],
    is_enough: Callable[[S], bool],
    *,
    what: str,
    silence: str,
    unreadable: Callable[[], UnreadableLines] = UnreadableLines,
) -> S:
    """Returns what `look` reads of a log, once `is_enough` accepts it. The error otherwise begins with `silence`, and
    counts the lines that could not be read.

    Raises:
        Inconclusive: nothing was accepted in time.
    """
    try:
        return until(
            look,
            is_enough,
            what=what,
            within=timeouts.LOG_LINE,
            every=0.15,
            transient=(ApiUnavailable,),
            show=lambda found: f"lines of {len(found)}",
        )
    except NotReady as error:
        lost = unreadable()
        raise Inconclusive(f"{silence}: {error}" + (f"; {lost}" if lost else "")) from error


def check_all_lines_readable(unreadable: UnreadableLines, what: str) -> None:
    """Refuses to take what a log does not say for something that did not happen.

    Raises:
        Inconclusive: lines of it could not be read; `what` names the log.
    """
    if unreadable:
        raise Inconclusive(f"{what}: {unreadable}")
