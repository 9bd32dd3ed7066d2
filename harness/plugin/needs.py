"""The mark `needs("capability")`: a test, or a whole file, is skipped where the cluster cannot judge it.

Capabilities are those of harness/cluster/protocol.py; any other name is refused before anything is made.
"""

from __future__ import annotations

import pytest

from harness.cluster.protocol import CAPABILITIES
from harness.errors import BadInput
from harness.plugin.options import Refused
from harness.plugin.reporting import RUN


@pytest.hookimpl(tryfirst=True)  # what is deselected must be right as well
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A name that no cluster can lack would never skip, and nobody would notice.

    Raises:
        Refused: of a mark of some test.
    """
    for item in items:
        for name in (name for mark in item.iter_markers("needs") for name in mark.args):
            if name not in CAPABILITIES:
                error = BadInput(
                    f"{item.nodeid} needs {name!r}, which is no capability",
                    remedy=f"use one of: {', '.join(CAPABILITIES)} (harness/cluster/protocol.py)",
                )
                run = config.stash.get(RUN, None)
                if run is not None:
                    run.why = f"bad input: {error}"  # the summary says it
                raise Refused(error, told=run is not None)


@pytest.fixture(scope="module", autouse=True)
def file_judged_here(request: pytest.FixtureRequest) -> None:
    """Skips a whole marked file before its own fixtures stand anything up."""
    _skip_unless_judged(request)


@pytest.fixture(autouse=True)
def judged_here(request: pytest.FixtureRequest) -> None:
    """Skips a marked test."""
    _skip_unless_judged(request)


def _skip_unless_judged(request: pytest.FixtureRequest) -> None:
    """With the cluster's own reason; nobody asks for a cluster where nothing is needed of it."""
    for marker in request.node.iter_markers("needs"):
        lacking = request.getfixturevalue("cluster").cannot_judge
        for capability in marker.args:
            if capability in lacking:
                pytest.skip(f"{capability}: {lacking[capability]}")
