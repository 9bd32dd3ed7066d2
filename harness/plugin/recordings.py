"""Records what the cluster writes during the tests (RECORD=folder)."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from harness import progress
from harness.errors import HarnessError
from harness.plugin.options import settings_of
from harness.plugin.run import FAILED, RUN
from harness.recordings.from_cluster import ClusterRecording


class RecordingHook:
    """Hooks of one run."""

    def __init__(self, config: pytest.Config, into: Path) -> None:
        self._config, self._into = config, into
        self._fixtures: dict[str, Any] = {}
        self._recording: ClusterRecording | None = None

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any]) -> Generator[None, object, object]:
        result = yield
        if fixturedef.argname in ("kube", "admin"):
            self._fixtures[fixturedef.argname] = result
        return result

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> Generator[None, object, object]:
        """Before the objects and proxies of a file go, and before the session's go."""
        if nextitem is None or nextitem.path != item.path:
            self._collect(last=nextitem is None)
        return (yield)

    def _collect(self, *, last: bool) -> None:
        if self._recording is None and self._fixtures.keys() == {"kube", "admin"}:
            kind = settings_of(self._config).cluster
            self._recording = ClusterRecording(self._fixtures["kube"], self._fixtures["admin"], kind)
        if self._recording is None:
            return
        self._recording.collect()
        if last and not self._config.stash[FAILED]:
            try:
                progress.note(f"recorded: {self._recording.write(self._into)}")
            except (HarnessError, OSError) as error:
                self._config.stash[RUN].evidence.note(f"not recorded: {error}")


def register(config: pytest.Config, into: Path) -> None:
    """Has this run recorded into a folder."""
    config.pluginmanager.register(RecordingHook(config, into), "mesh_e2e_cluster_recording")
