"""The critical path of an installation: the chain of steps that determines its duration. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

TITLE = "critical path of the installation"


@dataclass(frozen=True, slots=True)
class Ran:
    """A step that has run: seconds since the installation began, and the steps that it waited for."""

    name: str
    began: float
    ended: float
    after: tuple[str, ...] = ()


def critical_path(ran: Sequence[Ran]) -> list[Ran]:
    """From the first step to the one that ended last: each waited for the one before it, the last of all that it waited
    for to end. Empty for no steps."""
    by_name = {one.name: one for one in ran}
    path: list[Ran] = []
    step = max(ran, key=lambda one: one.ended, default=None)
    while step is not None:
        path.append(step)
        step = max((by_name[name] for name in step.after), key=lambda one: one.ended, default=None)
    return path[::-1]


def rows(path: Sequence[Ran]) -> list[Mapping[str, str]]:
    """The path as rows of a table: each step with its own seconds, and what it waited for."""
    found: list[Mapping[str, str]] = []
    for before, step in zip([None, *path], path, strict=False):
        waited = before.name if before else "the API server"
        found.append(
            {
                "step": step.name,
                "from": f"{step.began:.1f}",
                "to": f"{step.ended:.1f}",
                "seconds": f"{step.ended - step.began:.1f}",
                "waited for": waited,
            }
        )
    return found
