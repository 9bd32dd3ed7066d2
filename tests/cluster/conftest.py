"""The fakes' fixtures, for the tests of this folder; those of emulated/ have their own."""

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
