"""Records all calls to a cluster with their results, and replays them in place of a cluster.

A function marked `recorded` passes through unless a tape is in use. The tape of a run writes each call with its answer;
the tape of `mesh-e2e judge` returns the recorded answer, and calls nothing.
"""

from __future__ import annotations

import functools
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import Field, fields, is_dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from types import MappingProxyType
from typing import Any, ParamSpec, Protocol, TypeVar

from harness.errors import NotRecorded

ADDED = MappingProxyType({"added": True})
"""Metadata of a dataclass field that older records lack: at its default, it is no part of what is asked."""

ISSUED = "mesh-e2e/common-name"
"""An annotation of objects whose data are certificates that are created for each run (clients/certificates.py)."""

SHORT = 200

P = ParamSpec("P")
T = TypeVar("T")


class Tape(Protocol):
    """Records calls, or replays them."""

    replays: bool

    def call(self, name: str, arguments: dict[str, Any], act: Callable[[], Any]) -> Any:
        """The answer as JSON or text: `act`'s, or the recorded one.

        Raises:
            NotRecorded: there is no record of this call.
            HarnessError: as the call did.
        """

    def not_recorded(self, what: str) -> None:
        """Something that is not recorded is about to happen: claims that rest on it cannot be judged again.

        Raises:
            NotRecorded: there is no cluster to do it with.
        """


_tape: Tape | None = None


@contextmanager
def use_tape(tape: Tape | None) -> Iterator[None]:
    """All recorded calls of the block go by this tape; with None, they are neither recorded nor replayed."""
    global _tape  # a process runs one run
    before, _tape = _tape, tape
    try:
        yield
    finally:
        _tape = before


def is_replaying() -> bool:
    """Whether answers are recorded ones: nothing is sent, nothing is waited for."""
    return _tape is not None and _tape.replays


_thread = threading.local()


def act_for_recorded_call(act: Callable[[], T]) -> T:
    """`act()` in a thread whose result is part of a call that is recorded: what it asks has no record of its own."""
    _thread.has_tape = False
    try:
        return act()
    finally:
        _thread.has_tape = True


def not_recorded(what: str) -> None:
    """As Tape.not_recorded; nothing without a tape."""
    if _tape is not None and getattr(_thread, "has_tape", True):
        _tape.not_recorded(what)


def refuse_when_replaying(what: str) -> None:
    """Called by what reaches another process or machine and is not recorded as such.

    Raises:
        NotRecorded: answers are recorded ones, and this is none.
    """
    if is_replaying():
        not_recorded(what)
        raise NotRecorded(what)


def recorded(
    name: str, *, pack: Callable[[Any], Any] = lambda value: value, unpack: Callable[[Any], Any] = lambda value: value
) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Marks a function or method as part of the boundary. `pack` makes JSON or text of its value, `unpack` the value
    of that. Arguments that are callables or objects of ours do not count; iterators are read first."""

    def mark(function: Callable[P, T]) -> Callable[P, T]:
        names = function.__code__.co_varnames

        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> T:
            if _tape is None or not getattr(_thread, "has_tape", True):
                return function(*args, **kwargs)
            positional: tuple[Any, ...] = args
            given = [list(one) if hasattr(one, "__next__") else one for one in positional]
            asked = {key: value for key, value in zip(names, given, strict=False) if key != "self"} | kwargs
            answer = _tape.call(name, asked, lambda: pack(function(*given, **kwargs)))  # type: ignore[arg-type]  # as given
            return unpack(answer)  # type: ignore[no-any-return]  # what `pack` was given

        return call

    return mark


def key(arguments: Mapping[str, Any]) -> str:
    """A hash of what was asked: the same arguments have the same in any process."""
    return sha256(json.dumps(_plain(arguments), sort_keys=True).encode()).hexdigest()[:12]


def _plain(value: Any) -> Any:
    """JSON of an argument. Functions, time limits, events and the data of issued certificates do not say what is asked
    for."""
    if isinstance(value, Mapping):
        left_out = ("within", "stop", *(("data",) if _is_issued(value) else ()))
        return {str(k): _plain(v) for k, v in value.items() if not callable(v) and k not in left_out}
    if is_dataclass(value):
        parts = ((field, getattr(value, field.name)) for field in fields(value))
        return {field.name: _plain(part) for field, part in parts if not (_was_added(field) and part == field.default)}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _is_issued(document: Mapping[str, Any]) -> bool:
    metadata = document.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, Mapping) else None
    return isinstance(annotations, Mapping) and ISSUED in annotations


def _was_added(field: Field[Any]) -> bool:
    return field.metadata.items() >= ADDED.items()


def as_json(arguments: Mapping[str, Any]) -> str:
    """All of what was asked, as JSON by the arguments' names."""
    return json.dumps(_plain(arguments))


def shorten(arguments: Mapping[str, Any]) -> str:
    """What was asked, to be read: at most SHORT characters."""
    plain = _plain(arguments)
    text = " ".join(one if isinstance(one, str) else json.dumps(one) for one in plain.values())
    return text if len(text) <= SHORT else f"{text[: SHORT - 1]}…"


_nodes_ahead = timedelta()


def set_nodes_ahead(seconds: float) -> None:
    """How far the clocks of the cluster's nodes are at least ahead of this machine's; below 0 one of them is behind."""
    global _nodes_ahead  # a process runs one run
    _nodes_ahead = timedelta(seconds=seconds)


def node_time() -> datetime:
    """The present moment by the clock of the node that is the furthest behind, in UTC: times in logs are compared with
    it, so that no line of what begins now is taken for an older one."""
    return datetime.now(UTC) + _nodes_ahead


@recorded("time now", pack=datetime.isoformat, unpack=datetime.fromisoformat)
def now() -> datetime:
    """The same; a moment that a record has."""
    return node_time()


@recorded("monotonic clock")
def monotonic(of: str = "") -> float:  # noqa: ARG001  # it names the call
    """Seconds that only go forward, for decisions about time; `of` keeps those of one kind from another's."""
    return time.monotonic()


@recorded("end of wait")
def is_out_of_time(what: str, tries: int, out_of_time: Callable[[], bool]) -> bool:  # noqa: ARG001  # they name the call
    """Whether a wait gives up after so many tries."""
    return out_of_time()
