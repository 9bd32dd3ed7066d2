"""The fakes' fixtures; every test here has a world of its own."""

import socket

import pytest

from tests.fakes.fixtures import (  # noqa: F401  # fixtures are found by name
    api,
    clock,
    cluster,
    kube,
    notes,
    own_world,
    programs,
    settings,
)


@pytest.fixture(autouse=True)
def _world(request: pytest.FixtureRequest) -> None:
    request.getfixturevalue("own_world")


@pytest.fixture
def free_port() -> int:
    """A port where nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
