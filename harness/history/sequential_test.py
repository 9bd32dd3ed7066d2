"""Wald's sequential probability ratio test: whether a test's failures are rare or it is flaky. Pure.

Source: A. Wald, Sequential Tests of Statistical Hypotheses, Annals of Mathematical Statistics 16 (1945).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Decision = Literal["stable", "flaky", "undecided"]


@dataclass(frozen=True, slots=True)
class SequentialTest:
    """Decides between "fails with a probability of at most `rare`" and "of at least `often`".

    `alpha` is the probability that a test as rare is called flaky, `beta` that one as often is called stable. With the
    default rates 20 runs without a failure make a test stable, and two failures in its first runs make it flaky.
    """

    rare: float = 0.01
    often: float = 0.15
    alpha: float = 0.05
    beta: float = 0.05

    def decide(self, outcomes: Iterable[bool]) -> tuple[Decision, int]:
        """The decision over outcomes in their order (True: the claim held), and after how many it was reached. What
        comes after a decision does not change it."""
        ratio, count = 0.0, 0
        for count, held in enumerate(outcomes, 1):
            ratio += self._passed if held else self._failed
            if ratio <= math.log(self.beta / (1 - self.alpha)):
                return "stable", count
            if ratio >= math.log((1 - self.beta) / self.alpha):
                return "flaky", count
        return "undecided", count

    @property
    def runs_needed(self) -> int:
        """Runs without a failure until a test is stable."""
        return math.ceil(math.log(self.beta / (1 - self.alpha)) / self._passed)

    @property
    def rates(self) -> str:
        """The hypotheses and error rates, for a report."""
        return (
            f"stable: fails in at most {self.rare:.0%} of runs (wrong in {self.beta:.0%}); "
            f"flaky: in at least {self.often:.0%} (wrong in {self.alpha:.0%})"
        )

    @property
    def _passed(self) -> float:
        return math.log((1 - self.often) / (1 - self.rare))

    @property
    def _failed(self) -> float:
        return math.log(self.often / self.rare)
