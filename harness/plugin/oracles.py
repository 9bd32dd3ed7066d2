"""Adds a test item after each area that checks the oracles.

The item is pytest's own kind, so it has its line, its place in the table and its evidence like any claim. It hangs on
the area's folder, not on a file: the fixtures of the area's files are gone when it runs. Off under a planted fault,
whose every trace it would report, unless the fault is there for it (E2E_ORACLES=on).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from harness import observations
from harness.clients.admin import Admin
from harness.cluster.protocol import Cluster
from harness.errors import Inconclusive
from harness.install.releases import GATEWAY, ISTIO
from harness.kube import Kube
from harness.oracles import known_signs
from harness.oracles.collector import OracleCollector
from harness.oracles.shared_cluster_scope import EVERYTHING, OracleScope, applied_and_installed
from harness.oracles.signs import Sign
from harness.plugin.needs import JUDGED
from harness.plugin.options import settings_of
from harness.plugin.run import RUN
from harness.settings import Settings
from harness.undo.temporary_changes import Manifests

NAME = "mesh_e2e_oracles"
FIXTURE = "oracles"
INSTALLED = (ISTIO, GATEWAY, "redis-system")  # namespaces
NOTHING_RAN = "no test of this area was run"
SHOWN = 10  # signs of others below a failure of ours


class Oracles:
    """Hooks of one run."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._ran: dict[str, set[str]] = {}  # area -> files of it whose tests ran
        self._watch: OracleCollector | None = None
        self._unjudged = ""
        self._seconds = 0.0

    def begin(self, kube: Kube, admin: Admin, ours: Callable[[], OracleScope]) -> None:
        """Watches every component from now on, and judges what is ours."""
        self._watch = OracleCollector(kube, admin, ours)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, session: pytest.Session, items: list[pytest.Item]) -> None:
        """Adds an item behind the tests of each area that needs the stack, and has every such test watched."""
        areas: dict[Path, int] = {}
        watched: set[Path] = set()
        for at, item in enumerate(items):
            areas[item.path.parent] = at
            if isinstance(item, pytest.Function) and {"stack", "kube"} <= set(item.fixturenames):
                watched.add(item.path.parent)
                if FIXTURE not in item.fixturenames:
                    # First: what the others bring about is watched too. But nothing is stood up for a test to skip.
                    item.fixturenames.insert(item.fixturenames[:1] == [JUDGED], FIXTURE)
        for folder, at in sorted(areas.items(), key=lambda found: -found[1]):
            if folder not in watched:
                continue
            parent = next((p for p in items[at].listchain() if p.path == folder), None)
            if parent is not None:
                oracles = pytest.Function.from_parent(parent, name="oracles", callobj=self._judge_of(folder))
                # It is of no file: what is done for each file of suites cannot be done for it.
                oracles.fixturenames[:] = [name for name in oracles.fixturenames if name == FIXTURE]
                items.insert(at + 1, oracles)

    def pytest_report_collectionfinish(self, items: Sequence[pytest.Item]) -> str:
        """pytest itself counts what it collected, and the oracles were added to that."""
        added = sum(item.path.is_dir() and item.name == FIXTURE for item in items)
        return f"and {added} oracles, one after each area: {len(items)} in all" if added else ""

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Nothing is set up for the oracles alone: where every test of the run was skipped they are too."""
        if item.path.is_dir() and item.name == FIXTURE and self._watch is None:
            pytest.skip(NOTHING_RAN)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        area = self._ran.setdefault(str(item.path.parent), set())
        if item.path.suffix == ".py":
            area.add(item.path.relative_to(self._config.rootpath).as_posix())
        return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(
        self, nextitem: pytest.Item | None, item: pytest.Item
    ) -> Generator[None, object, object]:
        """Before a file's own proxies go, their logs are read."""
        if self._watch is not None and item.path.suffix == ".py" and (nextitem is None or nextitem.path != item.path):
            started = time.monotonic()
            try:
                self._watch.collect()
            except Inconclusive as error:
                self._unjudged = str(error)  # the area's item says so: nothing may fail in a teardown for it
            self._seconds += time.monotonic() - started
        return (yield)

    def _judge_of(self, folder: Path) -> Any:
        def oracles_held(oracles: Oracles) -> None:
            """No component shows a rejected xDS update, an unbound port, a restart, a panic or a failed connection."""
            oracles.judge(folder)

        return oracles_held

    def judge(self, folder: Path) -> None:
        """Fails with every sign of the area that was not expected.

        Raises:
            Inconclusive: a component could not be asked.
        """
        assert self._watch is not None  # the fixture made it
        started, unjudged = time.monotonic(), self._unjudged
        self._unjudged = ""
        signs, elsewhere = self._watch.finish_area(), self._watch.take_foreign_signs()
        unjudged = "; ".join([*([unjudged] if unjudged else []), *self._watch.take_unreadable_logs()])
        files = self._ran.get(str(folder), set())
        today = datetime.now(UTC).date()
        found = known_signs.sort_signs(
            signs, known_signs.read_known_signs(), files=files, today=today, elsewhere=elsewhere
        )
        self._seconds += time.monotonic() - started
        observations.record_seconds("oracles", self._seconds, of=folder.name)
        self._seconds = 0.0
        for id_, sign in found.excused:
            observations.record_sighting(f"known: {id_}", str(sign))
        observations.attach("oracles.txt", "\n".join(map(str, signs)) + "\n")
        if elsewhere:
            observations.record_sighting("elsewhere, not judged", f"{len(elsewhere)} signs, the first: {elsewhere[0]}")
            observations.attach("elsewhere.txt", "\n".join(map(str, elsewhere)) + "\n")
        for text in found.due:
            self._config.stash[RUN].evidence.note(text)  # once a run, whichever area comes first
        wrong = [*map(str, found.new), *found.expired]
        if wrong:
            raise AssertionError(f"{len(wrong)} not expected: " + "\n  ".join([*wrong, *_not_judged(elsewhere)]))
        if unjudged:
            raise Inconclusive(unjudged)
        if not files:
            pytest.skip(NOTHING_RAN)


def _not_judged(elsewhere: Sequence[Sign]) -> list[str]:
    """What was seen of others, below a failure of ours: it may be why."""
    lines = [f"elsewhere, not judged (it may be why): {sign}" for sign in elsewhere[:SHOWN]]
    more = len(elsewhere) - SHOWN
    return [*lines, f"and {more} more in elsewhere.txt"] if more > 0 else lines


def scope_of_run(cluster: Cluster, manifests: Manifests, settings: Settings) -> OracleScope:
    """What the oracles judge at present: all of a cluster of our own; of an existing one, what this run applied and
    installed."""
    if cluster.kind != "existing":
        return EVERYTHING
    return applied_and_installed(manifests.ever_applied, INSTALLED if settings.install else ())


def register(config: pytest.Config) -> None:
    """Watches this run, as the settings say."""
    asked = settings_of(config).oracles
    if asked == "on" or (asked == "auto" and settings_of(config).fault is None):
        config.pluginmanager.register(Oracles(config), NAME)
