"""Plants a fault during a run: after its fixture is set up, until that fixture's teardown.

What became of it is written to fault.json in the run folder: {planted: how often, undone: whether all was taken back,
trouble: what went wrong with the planting itself, struck: [{id, file, line}]}, the last for each test that failed: the
line of its own file. `harness.faults.running` reads it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

from harness.errors import BadInput, HarnessError
from harness.faults import call_hooks, catalogue
from harness.faults.catalogue import Fault
from harness.faults.planting import Planter
from harness.plugin.options import UsageError, settings_of
from harness.plugin.run import RUN

FILE = "fault.json"


class FaultHook:
    """Hooks of one run, for one fault."""

    def __init__(self, config: pytest.Config, fault: Fault) -> None:
        self._config, self._fault = config, fault
        self._planter: Planter | None = None
        self._planted, self._undone, self._trouble = 0, True, ""
        self._struck: list[dict[str, Any]] = []
        self._set_up_now: list[pytest.FixtureDef[Any]] = []

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
    ) -> Generator[None, object, object]:
        self._set_up_now.append(fixturedef)
        try:
            result = yield
        finally:
            self._set_up_now.pop()
        if fixturedef.argname == "stack":
            self._arm(request, fixturedef.addfinalizer)
        if fixturedef.argname == self._fault.after:
            fixturedef.addfinalizer(self._undo)
            self._plant()
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self) -> Generator[None, object, object]:
        if self._fault.after != "test":
            return (yield)
        self._plant()
        try:
            return (yield)
        except Exception as error:
            self._config.stash[RUN].evidence.explain(error)  # while the fault is there
            raise
        finally:
            self._undo()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        if call.excinfo is not None:
            own = [entry for entry in call.excinfo.traceback if Path(str(entry.path)) == item.path]
            if own:
                file = item.path.relative_to(self._config.rootpath).as_posix()
                self._struck.append({"id": item.nodeid, "file": file, "line": own[-1].lineno + 1})
        return (yield)

    def pytest_sessionfinish(self) -> None:
        record = {"planted": self._planted, "undone": self._undone, "trouble": self._trouble, "struck": self._struck}
        (self._config.stash[RUN].folder.path / FILE).write_text(json.dumps(record, indent=1))

    def _arm(self, request: pytest.FixtureRequest, at_end: Callable[[Callable[[], None]], None]) -> None:
        """All that planting needs stands with the stack; planted after a manifest or a call, it stays to the end."""
        # By the test's own request: manifests need the stack, which to the stack's own request is a recursion.
        whole = request._pyfuncitem._request
        cluster, kube, manifests = (whole.getfixturevalue(name) for name in ("cluster", "kube", "manifests"))
        self._planter = Planter(self._fault, settings_of(self._config), cluster, kube, manifests)
        if self._fault.after.endswith(".yaml"):
            at_end(self._undo)
            manifests.on_applied.append(lambda name: self._plant_amid() if name == self._fault.after else None)
        elif call_hooks.is_call(self._fault.after):
            at_end(self._undo)
            at_end(call_hooks.hook_call(self._fault.after, after=self._plant_amid))
        if self._fault.until:
            at_end(call_hooks.hook_call(self._fault.until, before=self._undo))

    def _plant_amid(self) -> None:
        """Planted within a fixture's set-up, it is undone with that fixture: later, what it is undone to may be gone on
        purpose, such as a label that another fixture had set and has removed."""
        if self._set_up_now:
            self._set_up_now[-1].addfinalizer(self._undo)
        self._plant()

    def _plant(self) -> None:
        try:
            if self._planter is None:
                raise HarnessError(f"fault {self._fault.name}: {self._fault.after} is set up before the stack")
            self._planter.plant()
            self._planted += 1
        except Exception as error:
            self._trouble = self._trouble or f"{type(error).__name__}: {error}"
            raise

    def _undo(self) -> None:
        self._undone = False
        try:
            if self._planter:
                self._planter.undo()
        except Exception as error:
            self._trouble = self._trouble or f"not undone: {type(error).__name__}: {error}"
            raise
        self._undone = True


def register(config: pytest.Config) -> None:
    """Where the settings name a fault."""
    settings = settings_of(config)
    if settings.fault is None:
        return
    try:
        fault = catalogue.load(config.invocation_params.dir / settings.fault)
        catalogue.refuse_elsewhere(fault, settings.cluster)
    except BadInput as error:
        raise UsageError(error) from None
    config.pluginmanager.register(FaultHook(config, fault), "mesh_e2e_fault")
