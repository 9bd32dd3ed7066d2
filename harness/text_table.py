"""Formats rows of text as aligned columns. Pure."""

from __future__ import annotations

from collections.abc import Sequence


def align(rows: Sequence[Sequence[str]], *, to_right: bool = False) -> list[str]:
    """A line for each row, of equally many cells: each as wide as the widest of its column, two spaces apart."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    side = ">" if to_right else "<"
    return [
        "  ".join(f"{cell:{side}{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
