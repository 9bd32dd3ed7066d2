"""Builds the text of a failure: claim, finding, witnesses, versions, evidence, rerun command."""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from harness.observations import Figure, Sighting

SHOWN = 40  # sightings on a screen; all of them are in witnesses.txt
WIDTH = 240
CAUSE = "cause: "


class Block(NamedTuple):
    """A titled part of the text; the first has no title."""

    title: str
    lines: list[str]


@dataclass(frozen=True, slots=True)
class FailureReport:
    """All that is known of one failure.

    `found` is the exception as pytest words it. `traceback` is only set where the exception is no known kind: then the
    code is to blame, and its reader needs it. `asked` are the run's make variables (NAME=value). `repeats` is the id of
    the test that this very error struck first. `causes` are sentences that say why, the most specific first.
    """

    id: str
    claim: str
    found: str
    where: str
    asked: Sequence[str]
    versions: str
    evidence: str
    sightings: Sequence[Sighting] = ()
    figures: Sequence[Figure] = ()
    notes: Sequence[str] = ()
    traceback: str = ""
    repeats: str = ""
    causes: Sequence[str] = ()


def with_causes(found: str, causes: Sequence[str]) -> str:
    """The text of an error with a line "cause: ..." for each cause after its first line, if it has none already."""
    first, line_break, rest = found.partition("\n")
    if any(line.strip().startswith(CAUSE) for line in rest.splitlines()):
        return found
    return "\n".join([first, *(f"  {CAUSE}{cause}" for cause in causes)]) + line_break + rest


def rerun_command(id: str, asked: Sequence[str]) -> str:
    """The command that runs this test alone and leaves everything standing. Oracles ("suites/ingress::oracles") judge
    what their area's tests did, and no file has them: the command runs the area."""
    path = id.partition("::")[0]
    selected = id if path.endswith(".py") else path
    return " ".join(["make e2e", f"T={shlex.quote(selected)}", *asked, "KEEP=always"])


def blocks(failure: FailureReport) -> list[Block]:
    """The text in parts, in reading order. A repeated error is named, not printed again."""
    if failure.repeats:
        first = failure.found.splitlines()[0] if failure.found else ""
        return [Block("", [failure.claim, f"the same error as {failure.repeats}: {first}"])]
    found = _found(with_causes(failure.found, failure.causes))
    causes = [line.strip() for line in found if line.strip().startswith(CAUSE)]
    found = [line for line in found if not line.strip().startswith(CAUSE)]
    parts = [Block("", [failure.claim, *causes, *found, f"at {failure.where}"])]
    if failure.traceback:
        parts.append(Block("traceback", failure.traceback.splitlines()))
    parts.append(Block("witnesses", _witnesses(failure.sightings)))
    if failure.figures:
        times = [f"{f.name}: {f.seconds:.2f}s{f' ({f.of})' if f.of else ''}" for f in failure.figures]
        parts.append(Block("times", times))
    parts.append(Block("versions", [failure.versions]))
    parts.append(Block("evidence", [failure.evidence, *failure.notes]))
    parts.append(Block("again", [rerun_command(failure.id, failure.asked)]))
    return parts


def text(failure: FailureReport) -> str:
    """The whole as plain text."""
    lines: list[str] = []
    for block in blocks(failure):
        if block.title:
            lines.append(f"---- {block.title} ----")
        lines += [f"  {line}".rstrip() for line in block.lines]
    return "\n".join(lines)


def witness_lines(sightings: Sequence[Sighting], *, width: int | None = None) -> list[str]:
    """One line a sighting: UTC time of day, who, what."""
    column = max((len(s.who) for s in sightings), default=0)
    lines = []
    for s in sightings:
        at = time.strftime("%H:%M:%S", time.gmtime(s.at)) + f".{int(s.at % 1 * 1000):03d}"
        what = " ".join(s.what.split()) if width else s.what
        if width and len(what) > width:
            what = what[: width - 1] + "…"
        lines.append(f"{at}  {s.who:<{column}}  {what}")
    return lines


def _found(text: str) -> list[str]:
    """Without empty lines and without pytest's advice about its own options."""
    return [line for line in text.splitlines() if line.strip() and not line.strip().startswith("Use -v to get")]


def _witnesses(sightings: Sequence[Sighting]) -> list[str]:
    if not sightings:
        return ["(no observation yet)"]
    lines = witness_lines(sightings[-SHOWN:], width=WIDTH)
    hidden = len(sightings) - len(lines)
    return [f"… {hidden} earlier ones are in witnesses.txt", *lines] if hidden else lines
