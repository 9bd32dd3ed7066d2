"""Removes the data of objects of kind Secret from a text. Pure."""

from __future__ import annotations

import re

GONE = "[redacted]"

_Q = r"(?:\\{0,8}[\"'])"
_JSON_KIND = re.compile(rf"{_Q}kind{_Q}\s*:\s*{_Q}Secret{_Q}")
_JSON_DATA = re.compile(rf"(?P<quote>{_Q})(?:data|stringData){_Q}\s*:\s*(?=\{{)")
_KIND = re.compile(r"^([ \t]*(?:- )*)[\"']?kind[\"']?:[ \t]*[\"']?Secret[\"']?[ \t]*$")
_DATA = re.compile(r"^([ \t]*(?:- )*)(?:data|stringData):(.*)$")


def redact_json(text: str) -> str:
    """The text, if it holds such an object, also as JSON in a string, without the `data` of all of its objects."""
    parts, begin = [], 0
    while (begin or _JSON_KIND.search(text)) and (found := _JSON_DATA.search(text, begin)):
        parts += [text[begin : found.end()], f"{found['quote']}{GONE}{found['quote']}"]
        begin = _end(text, found.end(), found["quote"])
    return "".join([*parts, text[begin:]])


def _end(text: str, at: int, quote: str) -> int:
    """Where the object ends that begins there; the end of the text if it does not."""
    string = r'"(?:[^"\\]|\\.)*"' if quote == '"' else rf"{re.escape(quote)}.*?(?<!\\){re.escape(quote)}"
    depth = 0
    for found in re.compile(rf"{string}|[{{}}]", re.DOTALL).finditer(text, at):
        depth += {"{": 1, "}": -1}.get(found[0], 0)
        if depth == 0:
            return found.end()
    return len(text)


def redact_yaml(lines: list[str]) -> list[str]:
    """The lines in which such objects, also those that are items of a list, keep the names of their data only."""
    lines, dropped = list(lines), set[int]()
    for at, line in enumerate(lines):
        kind = _KIND.match(line)
        for n in _of_object(lines, at, len(kind[1])) if kind else ():
            data = _DATA.match(lines[n])
            if kind and data and len(data[1]) == len(kind[1]):
                dropped |= _empty(lines, n, len(kind[1]))
    return [line for n, line in enumerate(lines) if n not in dropped]


def _of_object(lines: list[str], at: int, begin: int) -> range:
    """The lines of the object, whose keys stand in column `begin`, to which the line `at` belongs."""
    first, end = at, at + 1
    while first > 0 and column(lines[first]) >= begin and _within(lines[first - 1], begin, first=True):
        first -= 1
    while end < len(lines) and _within(lines[end], begin):
        end += 1
    return range(first, end)


def _within(line: str, begin: int, *, first: bool = False) -> bool:
    """Whether a line belongs to the same object as its neighbour; the object's first line may have a dash."""
    if not line.strip():
        return True
    return not line.startswith("---") and (column(line) >= begin or (first and keys(line) == begin))


def _empty(lines: list[str], at: int, begin: int) -> set[int]:
    """Takes the values below the key of that line; which lines go as a whole, being parts of such values."""
    head, _, rest = lines[at].partition(":")
    lines[at] = f"{head}: {GONE}" if rest.strip() else lines[at]
    gone, inner = set[int](), None
    for n in range(at + 1, len(lines)):
        if lines[n].strip() and column(lines[n]) <= begin:
            break
        if lines[n].strip():
            inner = column(lines[n]) if inner is None else inner
            if column(lines[n]) > inner:
                gone.add(n)
            else:
                lines[n] = f"{lines[n].partition(':')[0]}: {GONE}"
    return gone


def column(line: str) -> int:
    """How far a line is indented."""
    return len(line) - len(line.lstrip(" \t"))


def keys(line: str) -> int:
    """The column of its key, behind the dashes of a list."""
    return len(line) - len(line.lstrip(" \t-"))
