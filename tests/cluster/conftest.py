"""The fakes' fixtures, for the tests of this folder; those of emulated/ have their own."""

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
