"""Redacts secrets in text before it is shown or kept. Pure.

A secret is recognized by what stands before it: a key, a variable or an option whose name ends in such a word, a
header, a URL's user; or by the kind of the object. `secretName: x` and `TOKEN_PATH=x` name things, and stay.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from harness.report import secret_objects
from harness.report.secret_objects import GONE

_WORD = (
    r"(?:password|passwd|passphrase|token|secret|credentials?|(?-i:_PASS)"
    r"|(?:api|access|private|secret|client|signing|encryption)[_-]?key(?:-data)?)"
)
_NAME = rf"[\w./-]{{0,80}}?(?:{_WORD}|authorization)"  # bounded, since it may begin anywhere
_Q = r"(?:\\{0,8}[\"'])"  # a quote, with its escapes where JSON stands in a string
_STRING = r"(?:(?P<esc>\\{1,8})\"[^\n]*?(?<!\\)(?P=esc)\"|\"(?:[^\"\\\n]|\\.)*\"|'[^'\n]*')"
_BARE = rf"(?!{_Q})[^\s,;&(){{}}\[\]=][^\s\"',;&)}}\]]*"
_VALUE = rf"(?P<value>{_STRING}|{_BARE})"

_PEM = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL)
_HINTS = ("pass", "token", "secret", "credential", "key", "auth", "@", "eyj")  # without any there is nothing to hide
_INLINE = (
    re.compile(rf"(?i)(?P<key>\bauthorization{_Q}?[ \t]*[:=][ \t]*)(?P<value>{_STRING}|{_BARE}(?:[ \t]+{_BARE})?)"),
    re.compile(rf"(?i)(?P<key>\b(?:name|key){_Q}?\s*:\s*{_Q}?{_NAME}{_Q}?\s*,\s*{_Q}?value{_Q}?\s*:\s*){_VALUE}"),
    re.compile(rf"(?i)(?P<key>{_WORD}(?:{_Q}[ \t]*[:=][ \t]*|:[ \t]+|[ \t]*=[ \t]*)){_VALUE}"),
    re.compile(rf"(?i)(?P<key>(?<![\w./-]){_WORD}:|{_Q}auth{_Q}[ \t]*:[ \t]*){_VALUE}"),
    re.compile(rf"(?i)(?P<key>--[\w-]{{0,40}}?{_WORD}{_Q}?,?[ \t]+)(?!{_Q}?-){_VALUE}"),
    re.compile(r"(?P<key>://)(?P<value>[^\s/@\"'<>?#]+)(?=@)"),
    re.compile(r"(?P<key>)(?P<value>\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*)"),
)
# Lines that are all key and value, as YAML has them: the value goes to the end, and on in the deeper lines below.
_INDENT = r"^(?P<indent>[ \t]*(?:- )*)"
_REST = r"(?P<value>[^\s{\[&*].*)$"
_FIELD = re.compile(rf"(?i){_INDENT}(?P<key>{_Q}?{_NAME}{_Q}?:[ \t]+){_REST}")
_VALUE_OF = re.compile(rf"{_INDENT}(?P<key>{_Q}?value{_Q}?:[ \t]*){_REST}")
_ITEM = re.compile(rf"^(?P<indent>[ \t]*)(?P<key>- |(?={_Q}))(?!{_Q}?-){_REST}")
# Lines that say what the next one is the value of: a variable's or a header's name, an option in a list.
_VARIABLE = re.compile(rf"(?i){_INDENT}{_Q}?(?:name|key){_Q}?:[ \t]*{_Q}?{_NAME}{_Q}?,?[ \t]*$")
_OPTION = re.compile(rf"(?i){_INDENT}{_Q}?--[\w-]{{0,40}}?{_WORD}{_Q}?,?[ \t]*$")
_OPENED = re.compile(_Q)
_HARMLESS = ("", "true", "false", "null", "none", "~")
_QUOTED = re.compile(rf"(?P<text>{_STRING})(?P<rest>,?[ \t]*)$")


def redact(text: str) -> str:
    """The text without private keys, tokens, passwords, and the data of Secrets (in YAML or JSON)."""
    text = secret_objects.redact_json(_PEM.sub(GONE, text))
    if not _hinted(text):
        return text
    return "\n".join(_lines(secret_objects.redact_yaml(text.split("\n"))))


def _lines(lines: list[str]) -> Iterator[str]:
    gone_below: int | None = None  # the column of a key whose value goes on in deeper lines
    expected: re.Pattern[str] | None = None  # what this line is, if the one before it announced it
    for line in lines:
        if gone_below is not None and line.strip():
            if secret_objects.column(line) > gone_below:
                continue
            gone_below = None
        hinted = _hinted(line)
        found = expected.match(line) if expected else None
        expected = (_VALUE_OF if _VARIABLE.match(line) else _ITEM if _OPTION.match(line) else None) if hinted else None
        found = found or (_FIELD.match(line) if hinted else None)
        if found is None:
            yield _inline(line) if hinted else line
            continue
        kept = _gone(found["value"])
        if kept == GONE:
            gone_below = len(found["indent"])
        yield found["indent"] + found["key"] + kept


def _hinted(text: str) -> bool:
    """Whether a closer look is due: a look at every line of a long log costs seconds."""
    lower = text.lower()
    return any(hint in lower for hint in _HINTS)


def _inline(line: str) -> str:
    for pattern in _INLINE:
        line = pattern.sub(lambda found: found["key"] + _gone(found["value"]), line)
    return line


def _gone(value: str) -> str:
    """What is left of a value: its quotes; all of it where it is nothing, yes or no."""
    quoted = _QUOTED.match(value)
    text, rest = (quoted["text"], quoted["rest"]) if quoted else (value, "")
    quote = _OPENED.match(text)[0] if quoted else ""  # type: ignore[index]  # a _STRING begins with one
    if text[len(quote) : len(text) - len(quote)].strip(" \t,").lower() in _HARMLESS:
        return value
    return f"{quote}{GONE}{quote}{rest}"
