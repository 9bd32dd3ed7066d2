"""The fakes' fixtures; every test here has a world of its own."""

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
