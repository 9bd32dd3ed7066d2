"""Label and field selectors, as queries write them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from harness.cluster.emulated.api.errors import bad
from harness.cluster.emulated.api.kinds import Object

Matches = Callable[[Object], bool]


def matches(labels: str, fields: str) -> Matches:
    """Whether an object matches a label selector such as `a=b,c=d` and a field selector such as `type=Warning`.

    Raises:
        ApiError: 400, another operator, or a field that is not at the top.
    """
    wanted_labels, wanted_fields = _equalities(labels), _equalities(fields)

    def match(obj: Object) -> bool:
        present = obj["metadata"].get("labels") or {}
        return wanted_labels.items() <= present.items() and wanted_fields.items() <= obj.items()

    return match


def having(wanted: Mapping[str, str]) -> Matches:
    """Whether an object has all of these labels; none at all select nothing."""
    return lambda obj: bool(wanted) and wanted.items() <= (obj["metadata"].get("labels") or {}).items()


def _equalities(text: str) -> dict[str, str]:
    pairs = [part.partition("=") for part in filter(None, text.split(","))]
    for key, equals, value in pairs:
        if not equals or set(key + value) & set("!=()"):
            raise bad(f"selector {text!r} is not emulated: only a=b,c=d")
    return {key: value for key, _, value in pairs}
