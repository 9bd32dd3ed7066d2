"""JSON merge patches (RFC 7386), and inverse patches."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any


def merge_patch(value: Any, patch: Any) -> Any:
    """RFC 7386: the value with a merge patch applied."""
    if not isinstance(patch, Mapping):
        return copy.deepcopy(patch)
    found = dict(value) if isinstance(value, Mapping) else {}
    for key, one in patch.items():
        if one is None:
            found.pop(key, None)
        else:
            found[key] = merge_patch(found.get(key), one)
    return found


def inverse_patch(value: Any, patch: Mapping[str, Any]) -> dict[str, Any]:
    """The merge patch that makes of the patched value what it was."""
    back: dict[str, Any] = {}
    for key, one in patch.items():
        old = value.get(key) if isinstance(value, Mapping) else None
        both = isinstance(one, Mapping) and isinstance(old, Mapping)
        back[key] = inverse_patch(old, one) if both else copy.deepcopy(old)
    return back
