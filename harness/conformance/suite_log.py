"""Parses the log of the Gateway API conformance suite (`-test.v`). Pure.

A test of the suite is the second part of a Go test's name ("TestConformance/UDPRoute/Simple_UDP_request…"). Most
messages begin with a time (conformance/utils/tlog). A request or DNS query whose answer is not the wanted one is sent
again, for up to 30 or 60 seconds; such lines say "not ready yet" and how long that has lasted, and the test passes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Literal

Result = Literal["passed", "failed", "skipped", "unfinished"]

_RESULTS: dict[str, Result] = {"PASS": "passed", "FAIL": "failed", "SKIP": "skipped"}
_SWITCH = re.compile(r"^=== (?:RUN|CONT|NAME) +(\S+)$")
_END = re.compile(r"^ *--- (PASS|FAIL|SKIP): (\S+) \(([\d.]+)s\)$")
_MESSAGE = re.compile(r"^    [\w.-]+\.go:\d+: ?(.*)$")
_TIME = re.compile(r"^(\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)): (.*)$", re.DOTALL)
_AGAIN = re.compile(r"not ready yet|failed to perform a UDP query")
_AFTER = re.compile(r"\(after ([\w.µ]+)\)\s*$")
_REASON = re.compile(r"^.*not ready yet: ", re.DOTALL)  # before it is the whole request
_PASSED = re.compile(r"Request passed|Expectation for failing Request are met|got DNS response")
_GAVE_UP = re.compile(r"timeout while waiting")  # the part has failed, whatever became of the rest
_RESPONSE = "Got resp "
_ANSWER = "got DNS response: "
_SKIPPED = re.compile(r"Skipping \S+: (.*)", re.DOTALL)
_ROUTES = re.compile(r"Making \w+ request to host|Sending RPC|performing DNS query|Got resp ")
_PARTS = re.compile(r"([\d.]+)(h|ms|m|s|µs|us|ns)")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "µs": 1e-6, "us": 1e-6, "ns": 1e-9}
SHORT = 300  # characters of a message that a verdict quotes


@dataclass(frozen=True, slots=True)
class SuiteTest:
    """A test of the suite.

    `retries` counts the tries that did not answer as wanted; `waited` is how many seconds the slowest part of the test
    tried before it passed, or gave up; `seen` is what the last such try saw; `relapses` are wrong answers that came
    after a right one to the same request, where the log has right ones too (tests of a mesh). `why`: the suite's reason
    for a skip or a failure. `answers` are the DNS responses that it accepted. `began` and `ended` are the times of its
    first and last message; None if it has none with a time.
    """

    name: str
    result: Result
    seconds: float = 0.0
    why: str = ""
    retries: int = 0
    waited: float = 0.0
    seen: str = ""
    relapses: int = 0
    answers: tuple[str, ...] = ()
    sends_traffic: bool = False
    began: datetime | None = None
    ended: datetime | None = None


@dataclass(slots=True)
class _Part:
    """One Go test, or a subtest at any depth, while it is read."""

    messages: list[tuple[datetime | None, str]] = field(default_factory=list)
    result: Result = "unfinished"
    seconds: float = 0.0


def parse(text: str) -> tuple[SuiteTest, ...]:
    """The tests in the order in which they began. One without a result ("unfinished") was running when the log ended.
    Never raises."""
    parts: dict[str, _Part] = {}
    for path, message in _events(text, parts):
        when, words = _timed(message)
        parts[path].messages.append((when, words))
    grouped: dict[str, dict[str, _Part]] = {}
    for path, part in parts.items():
        names = path.split("/")
        if len(names) > 1:
            grouped.setdefault(names[1], {})[path] = part
    return tuple(_test(name, own) for name, own in grouped.items())


def set_up_failure(text: str) -> str:
    """What the suite says of a failure that belongs to no test: its set-up. Empty if there is none."""
    parts: dict[str, _Part] = {}
    messages = [message for path, message in _events(text, parts) if "/" not in path]
    own = [part for path, part in parts.items() if "/" not in path]
    if parse(text) or not any(part.result == "failed" for part in own):
        return ""
    return _short(_timed(messages[-1])[1]) if messages else "the suite failed without a message"


def seconds(duration: str) -> float:
    """The seconds of a Go duration: 62.5 of "1m2.5s", 0.0 of "0s" and of what is none."""
    return sum(float(number) * _SECONDS[unit] for number, unit in _PARTS.findall(duration) if number.strip("."))


def _events(text: str, parts: dict[str, _Part]) -> Iterator[tuple[str, str]]:
    """Each message with the Go test that wrote it, its continuation lines joined. Fills in the results of `parts`."""
    current, lines = "", list[str]()
    for raw in [*text.split("\n"), ""]:
        message = _MESSAGE.match(raw)
        if not message and lines and raw.startswith("        "):
            lines.append(raw[8:])
            continue
        if lines:
            yield current, "\n".join(lines)
            lines = []
        if switch := _SWITCH.match(raw):
            current = switch[1]
            parts.setdefault(current, _Part())
        elif end := _END.match(raw):
            part = parts.setdefault(end[2], _Part())
            part.result, part.seconds = _RESULTS[end[1]], float(end[3])
        elif message and current:
            lines = [message[1]]


def _timed(message: str) -> tuple[datetime | None, str]:
    found = _TIME.match(message)
    if not found:
        return None, message
    try:
        return datetime.fromisoformat(found[1]), found[2]
    except ValueError:
        return None, message


def _test(name: str, parts: dict[str, _Part]) -> SuiteTest:
    whole = next((part for path, part in parts.items() if path.count("/") == 1), _Part())
    messages = [message for part in parts.values() for message in part.messages]
    times = [when for when, _ in messages if when]
    again = [words for _, words in messages if _AGAIN.search(words)]
    failed = [part for part in parts.values() if part.result == "failed"]
    result, why = whole.result, ""
    gave_up = [words for _, words in messages if _GAVE_UP.match(words)]
    if result == "unfinished" and gave_up:
        result, why = "failed", gave_up[-1]
    elif whole.result == "skipped":
        why = next((found[1] for _, words in messages if (found := _SKIPPED.search(words))), "")
    elif whole.result == "failed":
        why = next((part.messages[-1][1] for part in reversed(failed) if part.messages), "")
    return SuiteTest(
        name=name,
        result=result,
        seconds=whole.seconds,
        why=_short(why),
        retries=len(again),
        waited=max((_waited(part) for part in parts.values()), default=0.0),
        seen=_short(_REASON.sub("", _AFTER.sub("", again[-1]))) if again else "",
        relapses=sum(map(_relapses, parts.values())),
        answers=tuple(words.removeprefix(_ANSWER) for _, words in messages if words.startswith(_ANSWER)),
        sends_traffic=any(_ROUTES.search(words) for _, words in messages),
        began=min(times, default=None),
        ended=max(times, default=None),
    )


def _waited(part: _Part) -> float:
    """The longest time that one request of a part was tried until it passed, or the test gave up. A try without its own
    "(after …)" began with the message before it."""
    longest, since, before = 0.0, 0.0, 0.0
    for when, words in part.messages:
        now = when.timestamp() if when else before
        if _AGAIN.search(words):
            after = _AFTER.search(words)
            since = since or (now - seconds(after[1]) if after else before)
            longest = max(longest, now - since if since else 0.0)
        elif _PASSED.search(words):
            longest = max(longest, now - since if since else 0.0)
            since = 0.0
        before = now
    return round(longest, 3)


def _relapses(part: _Part) -> int:
    """Wrong answers after a right one to the same request: a right one is a response that no complaint follows."""
    found, right = 0, False
    words = [text for _, text in part.messages]
    for one, after in pairwise([*words, ""]):
        if _PASSED.search(one):
            right = False
        elif one.startswith(_RESPONSE):
            wrong = bool(_AGAIN.search(after))
            found += wrong and right
            right = right or not wrong
    return found


def _short(text: str) -> str:
    one = " ".join(text.split())
    return one if len(one) <= SHORT else f"{one[: SHORT - 1]}…"
