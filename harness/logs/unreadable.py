"""Counts log lines that a parser cannot read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

SAMPLE = 200  # characters of a line


@dataclass(frozen=True, slots=True)
class UnreadableLines:
    """How many such lines a log has, and the first of them, cut. False when there is none.

    A log cut in the middle of a line has one; many mean that the format is another one than the parser's. Either way
    nothing that the log does not say can be taken for something that did not happen.
    """

    count: int = 0
    sample: str = ""

    @classmethod
    def of(cls, lines: Iterable[str]) -> UnreadableLines:
        found = list(lines)
        return cls(len(found), " ".join(found[0].split())[:SAMPLE]) if found else cls()

    def __bool__(self) -> bool:
        return self.count > 0

    def __add__(self, other: UnreadableLines) -> UnreadableLines:
        return UnreadableLines(self.count + other.count, self.sample or other.sample)

    def __str__(self) -> str:
        lines = "1 line" if self.count == 1 else f"{self.count} lines"
        return f"{lines} of this log could not be read: has its format changed? For example: {self.sample}"


NONE_UNREADABLE = UnreadableLines()
