"""The fakes' fixtures; every test here has a world of its own."""

import pytest

from tests.fakes.fixtures import (  # noqa: F401  # fixtures are found by name
    api,
    clock,
    cluster,
    kube,
    notes,
    other_process,
    own_world,
    programs,
    settings,
)


@pytest.fixture(autouse=True)
def _world(request: pytest.FixtureRequest) -> None:
    request.getfixturevalue("own_world")
