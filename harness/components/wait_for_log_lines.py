"""A proxy's log as a witness: awaited, and where it stays silent the claim is inconclusive, not broken."""

from __future__ import annotations

from collections.abc import Callable, Sized
from typing import TypeVar

from harness import timeouts
from harness.errors import Inconclusive, NotReady
from harness.kube import ApiUnavailable
from harness.wait import until

S = TypeVar("S", bound=Sized)


def logged(look: Callable[[], S], told: Callable[[S], bool], *, what: str, silence: str) -> S:
    """What `look` reads of a log, once `told` says that it tells enough; `silence` begins the error otherwise.

    Raises:
        Inconclusive: it does not tell in time.
    """
    try:
        return until(
            look,
            told,
            what=what,
            within=timeouts.LOG_LINE,
            every=0.15,
            transient=(ApiUnavailable,),
            show=lambda found: f"lines of {len(found)}",
        )
    except NotReady as error:
        raise Inconclusive(f"{silence}: {error}") from error
