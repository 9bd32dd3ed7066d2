"""The fakes' fixtures; every test here has a world of its own."""

from tests.fakes.fixtures import api, kube, own_world  # noqa: F401  # fixtures are found by name
