"""Order and ids of the suites: the article's areas first, and parameters shown as `[name=value]`."""

from pathlib import Path

import pytest

ORDER = ("install", "ingress", "rate_limit", "waypoint", "circuit_breaker")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sorts by area and file, so that an area's tests run together and its oracles judge them all, whatever order was
    asked for; no test may rely on another's place."""
    items.sort(key=lambda item: _place(item.path))


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """`[repeat=3]` instead of `[3]`, because a report prints claims outside their file. None: pytest's own id."""
    return f"{argname}={val}" if isinstance(val, str | int | float) else None


def _place(path: Path) -> tuple[int, str, str]:
    area = path.parent.name
    return ORDER.index(area) if area in ORDER else len(ORDER), area, path.name
