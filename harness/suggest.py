"""Suggests the nearest match for a misspelt name."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

_CUTOFF = 0.75  # of difflib's ratio: one letter wrong in four


def nearest_name(word: str, known: Iterable[str]) -> str:
    """The known name that is most like it; empty when none is near."""
    found = get_close_matches(word, list(known), n=1, cutoff=_CUTOFF)
    return found[0] if found else ""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """ ", did you mean 'kind'?", or nothing: to be put behind what is wrong."""
    near = nearest_name(word, known)
    return f", did you mean {near!r}?" if near else ""
