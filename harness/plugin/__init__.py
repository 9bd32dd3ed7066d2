"""The pytest plugin `mesh_e2e`: options, signals, reporting, fixtures. The only home of pytest in the harness."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from harness import no_proxy
from harness.errors import BadInput
from harness.plugin.comparison_text import ComparisonText
from harness.plugin.fixture_observations import SharedObservations
from harness.plugin.options import UsageError, is_run, reaches_suites, settings_of
from harness.plugin.run import RUN
from harness.wait import set_patience

pytest_plugins = ("harness.plugin.options", "harness.plugin.signals", "harness.plugin.reporting")
# The last one registered is the one whose fixtures pytest takes.
FIXTURES = ("fixtures_load", "fixtures_features", "fixtures", "fixtures_observation", "needs")


def pytest_configure(config: pytest.Config) -> None:
    """Registers the fixtures where suites can ask for them, and last: of plugins' fixtures of one name pytest takes the
    one registered last, and `kind_cluster` must be ours, whichever of the two entry points was loaded first.

    They bring all of the harness along, so other calls of pytest (its own tests) start without them.
    """
    if reaches_suites(config):
        for name in FIXTURES:
            config.pluginmanager.register(_module(name), f"{__name__}.{name}")
    if is_run(config):
        no_proxy.extend_no_proxy()
        settings = settings_of(config)
        set_patience(settings.patience, delays=settings.delay_factor if settings.cluster == "emulated" else 1.0)
        config.pluginmanager.register(ComparisonText())
        config.pluginmanager.register(SharedObservations())
        _module("oracles").register(config)
        recording, replayed = _module("record_replay"), config.getoption("--records")
        if replayed:
            try:
                recording.replay(config, config.invocation_params.dir / replayed)
            except BadInput as error:
                raise UsageError(error) from None
        else:
            recording.record(config, config.stash[RUN].folder.path)
        if settings.record:
            _module("recordings").register(config, config.invocation_params.dir / settings.record)
        if settings.fault:
            _module("fault_hook").register(config)


def _module(name: str) -> Any:
    return importlib.import_module(f"{__name__}.{name}")
