"""The file records.jsonl of a run: every call to the cluster with its result, as JSON lines.

The first line has `schema` and what the run was asked to do; one line describes the cluster; all others are calls:

    in     who asked: a fixture's set-up or a test's call      n     number of the line, to refer to
    call   the function                                        key   hash of its arguments
    asked  its arguments in short                              gave  the answer as JSON, or
    full   of apply, patch and delete: all arguments, as JSON without secrets
    text   the answer as lines, each distinct one of the run written once: {lines: those new here, by number;
           new: first and last of these numbers; order: first and last number of each stretch of lines}
    raised {type, text, remedy} of the error                   cut   why the answer was not kept

A line {in, n, lost} says that something of `in` was not recorded.
"""

from __future__ import annotations

import gzip
import json
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from io import RawIOBase
from pathlib import Path
from typing import Any, NamedTuple

from harness.atomic_append import append_line
from harness.errors import BadInput, HarnessError, NotRecorded
from harness.record_replay import as_json, key, shorten

SCHEMA = "mesh-e2e/records/v1"
FILE = "records.jsonl"
LIMIT = 4_000_000  # characters of one answer
TOTAL = 64_000_000  # of all lines
CHANGES = ("apply", "patch", "delete")  # calls that change the cluster
# Errors in runs that were recorded before these classes had their present names.
FORMER_NAMES = {"Missing": "ObjectMissing", "Refused": "RequestRejected"}
Json = dict[str, Any]


class Recorder:
    """Writes a run's records. Calls outside a scope, or inside a recorded call, are not recorded; those from other
    threads make their scope one that cannot be judged again.

    `file` is unbuffered. If a line cannot be written, the disk being full, the file keeps the whole lines before it,
    `note` gets the reason once, and the run goes on without records: no verdict rests on them.
    """

    replays = False

    def __init__(self, file: RawIOBase, redact: Callable[[str], str], note: Callable[[str], object]) -> None:
        self._file, self._redact, self._note = file, redact, note
        self._full = False
        self._scope, self._inside = "", False
        self._size, self._n = 0, 0
        self._lost: set[str] = set()
        self._known: dict[str, int] = {}  # every line of a text, with its number
        self._lock = threading.Lock()

    @contextmanager
    def scope(self, name: str, *, former: str = "") -> Iterator[None]:  # noqa: ARG002  # `former` is for replays
        """What is asked in the block is asked for `name`; empty: it is not recorded."""
        before, self._scope = self._scope, name
        try:
            yield
        finally:
            self._scope = before

    def head(self, line: Json) -> None:
        """Writes a line that is no call."""
        self._write(line)

    def call(self, name: str, arguments: Json, act: Callable[[], Any]) -> Any:
        if threading.current_thread() is not threading.main_thread():
            if not self._inside:  # else it is a part of a recorded call
                self.not_recorded(f"{name} in a thread")
            return act()
        if not self._scope or self._inside:
            return act()
        self._inside = True
        line: Json = {"in": self._scope, "call": name, "key": key(arguments)}
        line["asked"] = self._redact(shorten(arguments))
        if name in CHANGES:
            with suppress(ValueError):  # without its secrets it is no JSON
                line["full"] = json.loads(self._redact(as_json(arguments)))
        try:
            answer = act()
        except HarnessError as error:
            line["raised"] = {
                "type": type(error).__name__,
                "text": self._redact(str(error.args[0] if error.args else "")),
                "remedy": self._redact(error.remedy),
            }
            self._write(line)
            raise
        except BaseException:
            self._write(line | {"cut": "the call was interrupted"})
            raise
        finally:
            self._inside = False
        self._write(line | self._answer(answer))
        return answer

    def not_recorded(self, what: str) -> None:
        with self._lock:
            if self._inside or not self._scope or self._scope in self._lost:
                return
            self._lost.add(self._scope)
        self._write({"in": self._scope, "lost": what})

    def _answer(self, answer: Any) -> Json:
        if not isinstance(answer, str) or "\n" not in answer:
            try:
                text = self._redact(json.dumps(answer, indent=0))
                return {"gave": json.loads(text)} if len(text) <= LIMIT else {"cut": f"{len(text)} characters"}
            except ValueError:
                return {"cut": "without its secrets the answer is no JSON"}
        if len(answer) > LIMIT:
            return {"cut": f"{len(answer)} characters"}
        lines, begun = self._redact(answer).split("\n"), len(self._known)
        numbers = [self._known.setdefault(one, len(self._known)) for one in lines]
        new = {number: one for number, one in zip(numbers, lines, strict=True) if number >= begun}
        return {"text": {"new": [begun, len(self._known) - 1], "lines": new, "order": _stretches(numbers)}}

    def _write(self, line: Json) -> None:
        with self._lock:
            if self._full:
                return
            self._n += 1
            text = json.dumps({"n": self._n} | line)
            if self._size + len(text) > TOTAL:
                kept = {name: line[name] for name in ("in", "call", "key", "asked") if name in line}
                text = json.dumps({"n": self._n} | kept | {"cut": f"the run's records are full ({TOTAL} characters)"})
            self._size += len(text)
            self._append(text)

    def _append(self, line: str) -> None:
        try:
            append_line(self._file, line.encode())
        except OSError as error:
            self._full = True
            self._note(f"cannot write {FILE}: {error.strerror or error}; `mesh-e2e judge` has no records from there on")


class RecordedCall(NamedTuple):
    """A recorded call: its answer, or `missing`: why there is none."""

    answer: Any = None
    raised: Mapping[str, str] | None = None
    missing: str = ""


class Records:
    """The records of a run, replayed: each scope's calls in the order they were made, by function and arguments."""

    replays = True

    def __init__(self, run: Path) -> None:
        """Reads records.jsonl, or records.jsonl.gz, of a run folder.

        Raises:
            BadInput: there is none, it cannot be read, or a newer mesh-e2e wrote it.
        """
        self.asked: Json = {}
        self.cluster: Json = {}
        self.lost: dict[str, str] = {}
        self.scopes: set[str] = set()  # all that something was recorded of
        self._scope = ""
        self._clock = 0.0
        self._missing: dict[str, str] = {}  # by scope: what was asked for and does not exist
        self._calls: dict[tuple[str, str, str], deque[RecordedCall]] = defaultdict(deque)
        known: dict[int, str | None] = {}
        for number, line in _lines(run):
            if number == 1:
                self.asked = _checked(run, line)
                continue
            if "cluster" in line:
                self.cluster |= line["cluster"]
                continue
            self.scopes.add(line["in"])
            if "lost" in line:
                self.lost[line["in"]] = line["lost"]
            else:
                self._calls[line["in"], line["call"], line["key"]].append(_call(line, known))

    @contextmanager
    def scope(self, name: str, *, former: str = "") -> Iterator[None]:
        """As Recorder.scope; a run that has nothing of `name` has it under its `former` name, if at all. Where code
        took a missing record for an answer, the end of the block says so.

        Raises:
            NotRecorded: something that was asked for in the block has no record.
        """
        if name and former and name not in self.scopes:
            name = former
        before, self._scope = self._scope, name
        try:
            if name in self.lost:
                raise NotRecorded(self.lost[name], never=True)
            yield
            if name in self._missing:
                raise NotRecorded(self._missing.pop(name))
        finally:
            self._missing.pop(name, None)
            self._scope = before

    def call(self, name: str, arguments: Json, act: Callable[[], Any]) -> Any:  # noqa: ARG002  # nothing is called
        if name in WRITES and not self._calls[self._scope, name, key(arguments)]:
            return {}  # no claim rests on it, only on what was seen afterwards
        if name == CLOCK and not self._calls[self._scope, name, key(arguments)]:
            return self._clock  # a reading more than there was: no time has passed since the last one
        if not self._scope:  # what is undone after a test: nothing is there to undo
            raise NotRecorded(f"{name} {shorten(arguments)}")
        found = self._calls[self._scope, name, key(arguments)]
        if not found or found[0].missing:
            asked = f"{name} {shorten(arguments)}" + (f" ({found[0].missing})" if found else "")
            self._missing.setdefault(self._scope, asked)
            raise NotRecorded(asked)
        call = found.popleft()
        if call.raised is not None:
            raise _error(call.raised)
        if name == CLOCK:
            self._clock = float(call.answer)
        return call.answer

    def not_recorded(self, what: str) -> None:
        raise NotRecorded(what, never=True)


CLOCK = "monotonic clock"
WRITES = ("apply", "patch", "delete", "evict")


def _stretches(numbers: Sequence[int]) -> list[list[int]]:
    """The numbers as first and last of each stretch that counts up: [4, 5, 6, 2] is [[4, 6], [2, 2]]."""
    found: list[list[int]] = []
    for number in numbers:
        if found and found[-1][1] == number - 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return found


def _lines(run: Path) -> Iterator[tuple[int, Json]]:
    plain, packed = run / FILE, run / f"{FILE}.gz"
    again = "run the suites again with this mesh-e2e"
    if not run.is_dir():
        raise BadInput(f"{run} is not a run folder", remedy="name one of runs/, for instance runs/latest")
    if not plain.exists() and not packed.exists():
        raise BadInput(f"{run} has no {FILE}: it was made by an older mesh-e2e, or is not a run folder", remedy=again)
    number = 0  # of lines read
    try:
        with plain.open() if plain.exists() else gzip.open(packed, "rt") as file:
            for text in file:
                line = dict(json.loads(text))
                number += 1
                yield number, line
    except (OSError, ValueError, TypeError, EOFError) as error:
        half = "the run was killed, or the file was cut"
        raise BadInput(f"{run}/{FILE}, line {number + 1}, cannot be read ({half}): {error}", remedy=again) from None
    if not number:
        raise BadInput(f"{run}/{FILE} is empty", remedy=again)


def read_settings(run: Path) -> Json:
    """What a recorded run was asked to do.

    Raises:
        BadInput: there are no records, they cannot be read, or a newer mesh-e2e wrote them.
    """
    return next(_checked(run, line) for _, line in _lines(run))


def read_calls(run: Path) -> Iterator[tuple[str, str, Any]]:
    """Each recorded call that was answered, in order: its function, its arguments in short, its answer.

    Raises:
        BadInput: as `read_settings`.
    """
    known: dict[int, str | None] = {}
    for number, line in _lines(run):
        if number == 1:
            _checked(run, line)
        elif "call" in line:
            call = _call(line, known)
            if not call.missing and call.raised is None:
                yield line["call"], line["asked"], call.answer


def _checked(run: Path, line: Json) -> Json:
    if line.get("schema") != SCHEMA:
        raise BadInput(
            f"{run}/{FILE} has the format {line.get('schema')!r}, this mesh-e2e reads {SCHEMA!r}",
            remedy="judge it with the mesh-e2e that wrote it",
        )
    return dict(line["settings"])


def _call(line: Json, known: dict[int, str | None]) -> RecordedCall:
    """The call of a line. `known` are all lines of texts so far; None: one was taken out of the file by hand."""
    if "text" in line:
        first, last = line["text"]["new"]
        known |= {number: line["text"]["lines"].get(str(number)) for number in range(first, last + 1)}
    if "cut" in line:
        return RecordedCall(missing=str(line["cut"]))
    if "raised" in line:
        return RecordedCall(raised=line["raised"])
    if "text" not in line:
        return RecordedCall(line["gave"])
    numbers = [number for first, last in line["text"]["order"] for number in range(first, last + 1)]
    if any(number not in known for number in numbers):
        return RecordedCall(missing="an earlier call, whose lines it repeats, is not in the file")
    return RecordedCall("\n".join(one for one in map(known.get, numbers) if one is not None))


def _error(raised: Mapping[str, str]) -> HarnessError:
    name = FORMER_NAMES.get(raised["type"], raised["type"])
    kind = _kinds(HarnessError).get(name, HarnessError)
    error = kind.__new__(kind)
    HarnessError.__init__(error, raised["text"], remedy=raised["remedy"])
    return error


def _kinds(base: type[HarnessError]) -> dict[str, type[HarnessError]]:
    found = {base.__name__: base}
    for kind in base.__subclasses__():
        found |= _kinds(kind)
    return found
