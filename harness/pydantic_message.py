"""Turns pydantic's validation errors into one plain sentence. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import pydantic

from harness.errors import BadInput
from harness.suggest import did_you_mean

Model = TypeVar("Model", bound=pydantic.BaseModel)

_PHRASES = {
    "missing": "is missing",
    "extra_forbidden": "is unknown",
    "greater_than_equal": "is less than {ge}",
    "greater_than": "is not more than {gt}",
    "less_than_equal": "is more than {le}",
    "less_than": "is not less than {lt}",
    "finite_number": "is not a finite number",
    "float_parsing": "is not a number",
    "float_type": "is not a number",
    "int_parsing": "is not a whole number",
    "int_from_float": "is not a whole number",
    "int_type": "is not a whole number",
    "bool_parsing": "is neither yes (1) nor no (0)",
    "bool_type": "is neither true nor false",
    "string_type": "is not text (quote it)",
    "string_too_short": "has fewer than {min_length} characters",
    "string_pattern_mismatch": "has another form than {pattern}",
    "literal_error": "is not one of {expected}",
    "list_type": "is not a list",
    "tuple_type": "is not a list",
    "too_short": "has fewer than {min_length} entries",
    "too_long": "has more than {max_length} entries",
    "dict_type": "is not a mapping",
    "model_type": "is not a mapping",
    "model_attributes_type": "is not a mapping",
    "value_error": "is wrong: {error}",
}
_WITHOUT_VALUE = ("missing", "extra_forbidden", "value_error", "model_type", "model_attributes_type", "dict_type")


def validate_file(model: type[Model], found: Any, file: Path, *, remedy: str = "") -> Model:
    """What was read from a file, as the model.

    Raises:
        BadInput: a field is wrong; the message names the file and the field.
    """
    try:
        return model.model_validate(found)
    except pydantic.ValidationError as error:
        raise BadInput(f"{file}: {sentence(error)}", remedy=remedy) from None


def phrase(kind: str, context: Mapping[str, Any]) -> str:
    """The predicate for a kind of error: "is not a whole number"."""
    return _PHRASES.get(kind, "is not allowed").format(**context)


def sentence(error: pydantic.ValidationError) -> str:
    """The first rejected field by its path, and why: "sets.a.node_image is missing", "default (1.3) is not text".

    An unknown key comes before a missing one, which it may be by another spelling.
    """
    found = error.errors()
    first = next((one for one in found if one["type"] == "extra_forbidden"), found[0])
    kind, where = first["type"], ".".join(str(part) for part in first["loc"])
    near = ""
    if kind == "extra_forbidden":
        missing = [str(one["loc"][-1]) for one in found if one["type"] == "missing" and one["loc"]]
        near = did_you_mean(str(first["loc"][-1]), missing)
    value = "" if kind in _WITHOUT_VALUE else f"({first['input']!r})"
    if kind == "value_error" and not where:
        return str(first["ctx"]["error"])
    return " ".join(part for part in (where or "the file", value, phrase(kind, first.get("ctx", {}))) if part) + near
