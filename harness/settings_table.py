"""Generates docs/settings.md: the table of all settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

from harness.settings import ALIASES, MAKE_ONLY, ROOT, Settings, setting_names

HEAD = """# Settings

`make` passes its variables to the harness, a pytest option comes before them, and what is empty was not given.
`mesh-e2e` reads the environment. This table is made by `mesh-e2e settings > docs/settings.md`, and a test compares it.

| make variable | pytest option | environment | default | meaning |
|---|---|---|---|---|
"""


def settings_page() -> str:
    """The whole page."""
    rows = []
    for field, info in Settings.model_fields.items():
        make, option, variable = setting_names(field)
        also = "".join(f" (also `{alias}`)" for alias in ALIASES.get(field, ()))
        meaning = f"{info.description}{_allowed(info)}"
        rows.append(f"| `{make}` | `{option}`{also} | `{variable}` | {_default(field, info)} | {meaning} |")
    rows += [f"| `{name}` | | | | {meaning} |" for name, meaning in MAKE_ONLY.items()]
    return HEAD + "\n".join(rows) + "\n"


def _default(field: str, info: Any) -> str:
    if field == "state":
        return "`~/.local/state/mesh-e2e`"  # of whoever runs it
    if info.default in (None, ""):
        return ""
    if isinstance(info.default, Path) and info.default.is_relative_to(ROOT):
        return f"`{info.default.relative_to(ROOT)}`"
    return f"`{int(info.default) if isinstance(info.default, bool) else info.default}`"


def _allowed(info: Any) -> str:
    """The values of a setting that has a few, where its description does not say them."""
    values = [value for value in get_args(info.annotation) if isinstance(value, str)]
    return "" if all(value in info.description for value in values) else f" ({', '.join(values)})"
