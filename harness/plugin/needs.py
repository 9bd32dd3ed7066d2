"""Skips a test, or a file, that this cluster cannot judge.

The mark `needs("capability")` names what a cluster must be able to judge, `changes("difference")` and
`keeps("difference")` which upgrades. A fixture or a test that finds it out by itself raises CannotJudge.

Capabilities are those of harness/cluster/protocol.py; any other name is refused before anything is made. A test that
lacks the mark, and is about to touch what is not ours on a cluster where that was not asked for, is skipped then.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

import harness
from harness.cluster.protocol import CAPABILITIES, Capability, Cluster
from harness.disruption.others_objects_guard import describe_touched
from harness.errors import BadInput, CannotJudge
from harness.plugin import feature_mark
from harness.plugin.options import UsageError, settings_of, suites
from harness.plugin.run import RUN

JUDGED = "skip_unsupported_test"
INSTALLATION = Path(harness.__file__).with_name("install") / "installation.py"
TOUCHED = "DISRUPTIVE=1: tests of this run touch what is not ours:"
NOT_TOUCHED = "not touched, and the tests that would are skipped (DISRUPTIVE=1 runs them):"
INSTALLED = "INSTALL=1 installs Istio, Envoy Gateway and the Gateway API's definitions, and applies besides:"


@pytest.hookimpl(tryfirst=True)  # what is deselected must be right as well
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A name that no cluster can lack would never skip, and that would go unnoticed.

    Raises:
        UsageError: of a mark of some test.
    """
    for item in items:
        error = _wrong_mark(item)
        if error is not None:
            run = config.stash.get(RUN, None)
            if run is not None:
                run.why = f"bad input: {error}"  # the summary says it
            raise UsageError(error, printed=run is not None)
        marked = item.get_closest_marker("needs") or item.get_closest_marker("feature")
        if isinstance(item, pytest.Function) and marked and JUDGED in item.fixturenames:
            item.fixturenames.remove(JUDGED)
            item.fixturenames.insert(0, JUDGED)  # before the session's fixtures stand anything up for it


def pytest_report_collectionfinish(config: pytest.Config, items: list[pytest.Item]) -> list[str]:
    """What of others the tests of this run would touch on an existing cluster, an object a line."""
    if config.stash.get(RUN, None) is None or settings_of(config).cluster != "existing":
        return []
    files = {item.path for item in items if isinstance(item, pytest.Function) and item.path.suffix == ".py"}
    by: dict[str, list[str]] = {}
    for file in sorted(file for file in files if _in_suites(config, file)):
        for what in describe_touched(file):
            by.setdefault(what, []).append(f"{file.parent.name}/{file.name}")
    heading = TOUCHED if settings_of(config).disruptive else NOT_TOUCHED
    lines = [heading, *(f"  {what}: {', '.join(by[what])}" for what in sorted(by))] if by else []
    if settings_of(config).install:
        lines += [INSTALLED, *(f"  {what}" for what in describe_touched(INSTALLATION))]
    return lines


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, object, object]:
    """A fixture that was about to touch what is not ours: nothing was touched, and the test is skipped."""
    return (yield from _skipped_if_not_allowed())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """The same of the test itself."""
    return (yield from _skipped_if_not_allowed())


@pytest.fixture(scope="module", autouse=True)
def skip_unsupported_file(request: pytest.FixtureRequest) -> None:
    """Skips a whole marked file before its own fixtures stand anything up."""
    _skip_unless_judged(request)


@pytest.fixture(autouse=True)
def skip_unsupported_test(request: pytest.FixtureRequest) -> None:
    """Skips a marked test."""
    _skip_unless_judged(request)


def check_judged(cluster: Cluster, *capabilities: Capability) -> None:
    """Checks that a cluster has what a fixture rests on: whoever asks for the fixture is skipped where it has not.

    Raises:
        CannotJudge: it lacks one of them; the first is named, with the reason.
    """
    lacking = cluster.cannot_judge
    for capability in capabilities:
        if capability in lacking:
            raise CannotJudge(f"{capability}: {lacking[capability]}")


def _wrong_mark(item: pytest.Item) -> BadInput | None:
    """What is wrong with the marks `needs` and `feature` of a test, if anything."""
    for name in (name for mark in item.iter_markers("needs") for name in mark.args):
        if name not in CAPABILITIES:
            return BadInput(
                f"{item.nodeid} needs {name!r}, which is not a capability",
                remedy=f"use one of: {', '.join(CAPABILITIES)} (harness/cluster/protocol.py)",
            )
    return feature_mark.wrong(item)


def _in_suites(config: pytest.Config, file: Path) -> bool:
    return any(file.is_relative_to(folder) for folder in suites(config))


def _skipped_if_not_allowed() -> Generator[None, object, object]:
    try:
        return (yield)
    except CannotJudge as error:
        pytest.skip(str(error))


def _skip_unless_judged(request: pytest.FixtureRequest) -> None:
    """With the cluster's own reason; no cluster is requested where nothing is needed of it."""
    for marker in request.node.iter_markers("needs"):
        lacking = request.getfixturevalue("cluster").cannot_judge
        for capability in marker.args:
            if capability in lacking:
                pytest.skip(f"{capability}: {lacking[capability]}")
    for marker in (*request.node.iter_markers("changes"), *request.node.iter_markers("keeps")):
        plan = request.getfixturevalue("version_upgrade_plan")
        plan.check_changes(marker.args[0], wanted=marker.name == "changes")
    row = feature_mark.row_of(request.node) if isinstance(request.node, pytest.Item) else None
    if row and (reason := row.skipped(request.getfixturevalue("version_set").envoy_gateway)):
        pytest.skip(reason)
