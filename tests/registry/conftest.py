"""The fakes' fixtures, for the tests of this folder."""

from tests.fakes.fixtures import own_world, programs  # noqa: F401  # fixtures are found by name
