"""The suites in the article's order, then what goes beyond it: how a reader and a first failure should meet them."""

from pathlib import Path

import pytest

ORDER = ("install", "ingress", "rate_limit", "waypoint", "circuit_breaker")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sorts by area only; no test may rely on another's place."""
    items.sort(key=lambda item: _place(item.path))


def _place(path: Path) -> int:
    area = path.parent.name
    return ORDER.index(area) if area in ORDER else len(ORDER)
