"""The three verdicts: held, broken, inconclusive.

held = seen to be true; broken = seen to be false; inconclusive = not seen well enough to say (a line is missing, two
witnesses disagree, a checker failed). A test that needs a pass asks for held and for nothing else.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NoReturn

from harness.outcome import WORST_FIRST, Outcome


@dataclass(frozen=True, slots=True)
class Verdict:
    """One verdict and why, in one line of words."""

    outcome: Outcome
    reason: str

    @property
    def held(self) -> bool:
        """Whether the claim was seen to be true."""
        return self.outcome == Outcome.HELD

    def __bool__(self) -> NoReturn:
        """Refuse: "not held" may be false and may be unseen."""
        raise TypeError(f"a Verdict has no truth value, ask .held or .outcome: {self}")

    def __str__(self) -> str:
        return f"{self.outcome}: {self.reason}"


def held(reason: str) -> Verdict:
    """Seen to be true."""
    return Verdict(Outcome.HELD, reason)


def broken(reason: str) -> Verdict:
    """Seen to be false."""
    return Verdict(Outcome.BROKEN, reason)


def inconclusive(reason: str) -> Verdict:
    """Not seen well enough to say."""
    return Verdict(Outcome.INCONCLUSIVE, reason)


def combine(verdicts: Iterable[Verdict]) -> Verdict:
    """One verdict for many: nothing judged is inconclusive; one broken breaks all; else one inconclusive clouds all.

    The reason is that of every verdict with the resulting outcome, in order.
    """
    given = tuple(verdicts)
    for outcome in WORST_FIRST:
        reasons = [verdict.reason for verdict in given if verdict.outcome == outcome]
        if reasons:
            return Verdict(outcome, "; ".join(dict.fromkeys(reasons)))
    return inconclusive("nothing was judged")
