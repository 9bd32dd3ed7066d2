"""Gives the observations of a shared fixture to every test that uses it.

Fixtures of class, module and package scope are experiments of the suites' own: whoever uses one, directly or through
another, judges what was seen while it was set up. Those of session scope are the stack, of which no test makes a claim
by using it: what they see is the session's (`reporting`).
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from harness import observations
from harness.errors import Inconclusive

EXPERIMENTS = ("class", "module", "package")


class SharedObservations:
    """Hooks of one run."""

    def __init__(self) -> None:
        self._seen: dict[
            pytest.FixtureDef[Any], list[observations.Sighting]
        ] = {}  # by each such fixture that stands now

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any]) -> Generator[None, object, object]:
        page = observations.current()
        before = len(page.sightings)
        try:
            return (yield)
        finally:  # of one that failed, too: every test that needs it fails with what it saw
            if fixturedef.scope in EXPERIMENTS:
                self._seen[fixturedef] = page.sightings[before:]

    def pytest_fixture_post_finalizer(self, fixturedef: pytest.FixtureDef[Any]) -> None:
        self._seen.pop(fixturedef, None)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, object, object]:
        """`fixturenames` are all that the test needs, also through others, and those that are used unasked."""
        try:
            return (yield)
        finally:
            names = frozenset(getattr(item, "fixturenames", ()))
            for fixture, seen in self._seen.items():
                if fixture.argname in names:
                    observations.page(item.nodeid).share(seen)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        """A claim about traffic that holds has two witnesses of each of its requests, or is not judged. A test whose
        requests only one component can see says so: `one_witness("why")`."""
        result = yield
        lacking = observations.page(item.nodeid).missing_witnesses
        if lacking and item.get_closest_marker("one_witness") is None:
            raise Inconclusive(lacking)
        return result
