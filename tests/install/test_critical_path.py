"""The critical path: which chain of steps an installation's seconds were spent on."""

from harness.install.critical_path import FIRST_RESPONSE, Ran, critical_path, path_to_first_response, rows

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


def test_path_to_the_first_response_has_every_second() -> None:
    """Stages one after the other, the installation by its own steps, stages within another left out, and the time
    between steps listed unless it is short. What comes after the first response is no part of it."""
    stages = [
        Ran("cluster kind e2e", 4.0, 44.0),
        Ran("nodes prepared", 5.0, 30.0),
        Ran("stack", 44.1, 101.0),
        Ran("redis", 64.0, 75.0),
        Ran("gateway classes", 100.0, 100.1),
        Ran("ingress gateway", 103.0, 110.0),
        Ran(f"{FIRST_RESPONSE}, by node port", 110.0, 110.5),
        Ran("gathering diagnostics", 200.0, 210.0),
    ]
    path = path_to_first_response(stages, [Ran("images", 0.0, 20.0), Ran("redis", 20.0, 55.9)])

    assert [(one.name, round(one.began, 1), round(one.ended, 1)) for one in path] == [
        ("before the first step", 0.0, 4.0),
        ("cluster kind e2e", 4.0, 44.0),
        ("images", 44.1, 64.1),
        ("redis", 64.1, 100.0),
        ("between steps", 100.0, 103.0),
        ("ingress gateway", 103.0, 110.0),
        (f"{FIRST_RESPONSE}, by node port", 110.0, 110.5),
    ]


def test_run_without_a_response_has_no_path() -> None:
    """Its installation alone has one."""
    assert path_to_first_response([Ran("cluster kind e2e", 0.0, 40.0)], []) == []
