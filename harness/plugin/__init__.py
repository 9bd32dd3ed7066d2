"""The pytest plugin `mesh_e2e`: options, signals, reporting, fixtures. The only home of pytest in the harness."""

from __future__ import annotations

import importlib

import pytest

from harness import no_proxy
from harness.errors import BadInput
from harness.plugin.comparison_text import ComparisonText
from harness.plugin.fixture_observations import SharedObservations
from harness.plugin.options import UsageError, is_run, reaches_suites, settings_of
from harness.plugin.run import RUN
from harness.wait import set_patience

pytest_plugins = ("harness.plugin.options", "harness.plugin.signals", "harness.plugin.test_phase_hooks")
FIXTURES, FAULT_HOOK = "harness.plugin.fixtures", "harness.plugin.fault_hook"
FIXTURES_LOAD, FIXTURES_SUPPORT = "harness.plugin.fixtures_load", "harness.plugin.fixtures_features"
TRUTH, ORACLES = "harness.plugin.fixtures_observation", "harness.plugin.oracles"
CLUSTER_RECORDING = "harness.plugin.recordings"
NEEDS, RECORDING = "harness.plugin.needs", "harness.plugin.record_replay"


def pytest_configure(config: pytest.Config) -> None:
    """Registers the fixtures where suites can ask for them, and last: of plugins' fixtures of one name pytest takes the
    one registered last, and `kind_cluster` must be ours, whichever of the two entry points was loaded first.

    They bring all of the harness along, so other calls of pytest (its own tests) start without them.
    """
    if reaches_suites(config):
        config.pluginmanager.register(importlib.import_module(FIXTURES_LOAD), FIXTURES_LOAD)
        config.pluginmanager.register(importlib.import_module(FIXTURES_SUPPORT), FIXTURES_SUPPORT)
        config.pluginmanager.register(importlib.import_module(FIXTURES), FIXTURES)
        config.pluginmanager.register(importlib.import_module(TRUTH), TRUTH)
        config.pluginmanager.register(importlib.import_module(NEEDS), NEEDS)
    if is_run(config):
        no_proxy.extend_no_proxy()
        settings = settings_of(config)
        set_patience(settings.patience, delays=settings.delay_factor if settings.cluster == "emulated" else 1.0)
        config.pluginmanager.register(ComparisonText())
        config.pluginmanager.register(SharedObservations())
        importlib.import_module(ORACLES).register(config)
        recording, replayed = importlib.import_module(RECORDING), config.getoption("--records")
        if replayed:
            try:
                recording.replay(config, config.invocation_params.dir / replayed)
            except BadInput as error:
                raise UsageError(error) from None
        else:
            recording.record(config, config.stash[RUN].folder.path)
        if settings.record:
            importlib.import_module(CLUSTER_RECORDING).register(config, config.invocation_params.dir / settings.record)
        if settings.fault:
            importlib.import_module(FAULT_HOOK).register(config)
