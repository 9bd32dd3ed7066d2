"""The fakes' fixtures; every test here has a world of its own."""

import pytest

from tests.fakes.fixtures import api, kube, own_world, settings  # noqa: F401  # fixtures are found by name


@pytest.fixture(autouse=True)
def _world(request: pytest.FixtureRequest) -> None:
    request.getfixturevalue("own_world")
