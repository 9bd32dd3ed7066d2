"""The critical path: which chain of steps an installation's seconds were spent on."""

from harness.install.critical_path import Ran, critical_path, rows

STEPS = [
    Ran("images", 0.0, 20.0),
    Ran("definitions", 0.0, 9.0),
    Ran("redis", 20.0, 31.0, ("images",)),
    Ran("istiod", 20.0, 40.0, ("images", "definitions")),
    Ran("envoy gateway", 31.0, 55.0, ("definitions", "redis")),
    Ran("classes", 55.0, 55.5, ("envoy gateway", "definitions")),
]


def test_path_ends_with_the_last_step() -> None:
    """Each step of the path waited for the one before it; what ended earlier is not on it."""
    assert [one.name for one in critical_path(STEPS)] == ["images", "redis", "envoy gateway", "classes"]


def test_no_steps_have_no_path() -> None:
    """An installation without steps has an empty path."""
    assert critical_path([]) == []


def test_rows_say_what_each_waited_for() -> None:
    """A row has the step's own seconds and its predecessor; the first step waited for the API server."""
    found = rows(critical_path(STEPS))

    assert [row["waited for"] for row in found] == ["the API server", "images", "redis", "envoy gateway"]
    assert [row["seconds"] for row in found] == ["20.0", "11.0", "24.0", "0.5"]
    assert sum(float(row["seconds"]) for row in found) == STEPS[-1].ended
