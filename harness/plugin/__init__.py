"""The pytest plugin `mesh_e2e`: options, signals, reporting, fixtures. The only home of pytest in the harness."""

from __future__ import annotations

import importlib

import pytest

from harness.plugin.options import reaches_suites

pytest_plugins = ("harness.plugin.options", "harness.plugin.signals", "harness.plugin.reporting")
FIXTURES = "harness.plugin.fixtures"


def pytest_configure(config: pytest.Config) -> None:
    """Registers the fixtures where suites can ask for them, and last: of plugins' fixtures of one name pytest takes the
    one registered last, and `kind_cluster` must be ours, whichever of the two entry points was loaded first.

    They bring all of the harness along, so other calls of pytest (its own tests) start without them.
    """
    if reaches_suites(config):
        config.pluginmanager.register(importlib.import_module(FIXTURES), FIXTURES)
