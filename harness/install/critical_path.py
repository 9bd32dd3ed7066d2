"""The critical path of an installation, and of a run to its first response: what their seconds were spent on. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

TITLE = "critical path of the installation"
INSTALLATION, FIRST_RESPONSE = "stack", "first 200 through the ingress"  # how the names of these stages begin
SHORT = 0.5  # seconds: a shorter time between two steps is not listed


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


def rows(path: Sequence[Ran], first: str = "the API server") -> list[Mapping[str, str]]:
    """The path as rows of a table: each step with its own seconds, and what it waited for: the first for `first`."""
    found: list[Mapping[str, str]] = []
    for before, step in zip([None, *path], path, strict=False):
        waited = before.name if before else first
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


def path_to_first_response(stages: Sequence[Ran], installation: Sequence[Ran]) -> list[Ran]:
    """From the start of a run to its first response: its stages one after the other, and in place of the installation
    the path of its own steps. A stage within another is part of that one, and what is no stage has its seconds too.
    Empty for a run that had no response."""
    path: list[Ran] = []
    covered = 0.0
    for stage in sorted(stages, key=lambda one: one.began):
        if stage.began < covered:
            continue
        covered = stage.ended
        ended = path[-1].ended if path else 0.0
        if stage.began - ended >= SHORT:
            path.append(Ran("between steps" if path else "before the first step", ended, stage.began))
        inner = installation if stage.name == INSTALLATION else ()
        path += [replace(one, began=stage.began + one.began, ended=stage.began + one.ended) for one in inner] or [stage]
        if stage.name.startswith(FIRST_RESPONSE):
            return path
    return []
