"""Objects recorded on a real cluster, cut down to what the harness or a person may look at; `{words}` are filled in."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml

_HERE = Path(__file__).resolve().parent


def template(file: str, /, **words: str) -> list[dict[str, Any]]:
    """Fresh objects of one recorded file, each `{word}` in it replaced by its value."""
    text = _text(file)
    for word, value in words.items():
        text = text.replace(f"{{{word}}}", value)
    return list(yaml.load_all(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))


@cache
def _text(name: str) -> str:
    return (_HERE / f"{name}.yaml").read_text()
