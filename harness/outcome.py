"""The outcome of a claim: the one list of outcomes, which of them fail a run, and how several become one. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class Outcome(StrEnum):
    """What became of one claim. Files hold the values.

    held: seen to be true. broken: seen to be false. error: the cluster, the stack or the harness failed, which says
    nothing of the claim. inconclusive: a witness is missing or ambiguous. skipped: this cluster cannot judge it.
    """

    HELD = "held"
    BROKEN = "broken"
    ERROR = "error"
    INCONCLUSIVE = "inconclusive"
    SKIPPED = "skipped"
    NOT_RUN = "not run"


VERDICTS = frozenset({Outcome.HELD, Outcome.BROKEN})  # those that say whether a claim is true
FAILURES = frozenset({Outcome.BROKEN, Outcome.ERROR, Outcome.INCONCLUSIVE})  # those that fail a run
NOT_TRIED = frozenset({Outcome.SKIPPED, Outcome.NOT_RUN})
WORST_FIRST = (Outcome.BROKEN, Outcome.ERROR, Outcome.INCONCLUSIVE, Outcome.HELD)


def worst(outcomes: Iterable[str]) -> Outcome | None:
    """The one outcome of several claims; None where none of them was tried."""
    found = set(outcomes)
    return next((one for one in WORST_FIRST if one in found), None)
