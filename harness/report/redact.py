"""Takes secrets out of text before it is shown or kept. Pure; too much is taken rather than too little."""

from __future__ import annotations

import re

GONE = "[redacted]"

_PEM = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL)
_HEADER = re.compile(r"(?i)(\bauthorization[\"']?\s*[:=]\s*[\"']?(?:bearer|basic)\s+)[^\s\"',]+")
_FIELD = re.compile(
    r"(?i)(?P<key>(?<![\w-])[\"']?(?:client-key-data|token|password|passwd|id-token|refresh-token)[\"']?[ \t]*:[ \t]*)"
    r"(?P<value>\"[^\"\n]*\"|'[^'\n]*'|[^\s\"',}{\[]+)"
)
_SECRET = re.compile(r"(?m)^kind:\s*[\"']?Secret[\"']?\s*$")
_DATA = re.compile(r"(?m)^(?P<head>(?:data|stringData):[ \t]*\n)(?P<body>(?:[ \t]+.*\n?|\n)*)")


def redacted(text: str) -> str:
    """The text without private keys, tokens, passwords and the data of Secrets (YAML documents); lines are kept."""
    text = _PEM.sub(GONE, text)
    text = _HEADER.sub(rf"\1{GONE}", text)
    text = _FIELD.sub(rf"\g<key>{GONE}", text)
    return "".join(_document(part) for part in re.split(r"(?m)(^---.*\n)", text))


def _document(text: str) -> str:
    if not _SECRET.search(text):
        return text
    return _DATA.sub(lambda found: found["head"] + re.sub(r"(?m)^(\s+[^:\n]+:).*$", rf"\1 {GONE}", found["body"]), text)
