"""The option `--records RUN`: replays a recorded run in place of a cluster; other runs are recorded.

Recorded are the set-up of fixtures and the tests themselves, each under its own name. What the session's stack and the
oracles ask is not: no claim of a suite rests on it.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from harness import record_replay
from harness.cluster.protocol import Capability, read_places
from harness.cluster_call_records import FILE, SCHEMA, Recorder, Records
from harness.errors import NotRecorded
from harness.objects.namespace_mapping import Placement
from harness.objects.stack_places import StackPlaces
from harness.plugin.options import settings_of
from harness.plugin.run import RUN
from harness.report.redact import redact
from harness.settings import ClusterKind

NOT_RECORDED = ("cluster", "stack", "placement", "oracles")  # fixtures; and the item of the oracles
SETTINGS = (
    *("cluster", "cluster_name", "versions", "waypoint", "workers", "patience", "delay_factor"),
    *("registry", "registry_plain_http", "registry_secret", "namespace", "install", "disruptive", "upgrade_to"),
)
FORMER = {  # fixture: its name in older records, which stay readable
    "access_denied": "refused",
    "background_load": "flow",
    "bypass_attempts": "tried",
    "counted_requests": "counted",
    "deleted_pods": "killed",
    "deleted_waypoint": "orphaned",
    "drained_node": "drained",
    "helm_releases": "charts",
    "idle_timeout_policy": "early_policy",
    "ingress_load": "outside",
    "journey_collector": "journeys",
    "keepalive": "kept",
    "looping_gateway": "looping",
    "namespace_label": "labelled",
    "new_connections": "anew",
    "page_journeys": "followed",
    "port_conflict": "clash",
    "quota_spent": "spent",
    "rate_limit_enforced": "limited",
    "rate_limit_service": "limiter",
    "rate_limit_window": "hour_left",
    "ratings_on_two_nodes": "spread",
    "releases_before": "before",
    "restored_stack": "whole_again",
    "rolling_restart": "rolled",
    "short_idle_timeout": "idle_connections",
    "upgraded_stack": "upgraded",
}


class RecordingHooks:
    """Hooks of one run that record, or replay."""

    def __init__(self, tape: Recorder | Records) -> None:
        self._tape = tape

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
    ) -> Generator[None, object, object]:
        name = fixturedef.argname
        former = _scope_of_fixture(request, FORMER.get(name, name))
        try:
            with self._tape.scope("" if name in NOT_RECORDED else _scope_of_fixture(request, name), former=former):
                made = yield
        except NotRecorded as error:  # raised here, it is unknown to pytest, which other tests ask for the fixture
            fixturedef.cached_result = (None, fixturedef.cache_key(request), (error, error.__traceback__))  # type: ignore[arg-type]  # a request for the fixture is a SubRequest
            raise
        if fixturedef.argname == "cluster" and isinstance(self._tape, Recorder) and hasattr(made, "cannot_judge"):
            facts = {name: getattr(made, name, "") for name in ("kind", "name", "context")}
            more = {"cannot_judge": dict(made.cannot_judge), "places": asdict(read_places(made))}
            self._tape.head({"cluster": facts | more})
        if isinstance(made, Placement) and isinstance(self._tape, Recorder):
            self._tape.head({"cluster": {"placement": asdict(made)}})
        return made

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        with self._scope_of(item):
            return (yield)

    def _scope_of(self, item: pytest.Item) -> AbstractContextManager[None]:
        return nullcontext() if item.name in NOT_RECORDED else self._tape.scope(f"test {item.nodeid}")


def _scope_of_fixture(request: pytest.FixtureRequest, name: str) -> str:
    return f"fixture {request.node.nodeid}::{name}[{getattr(request, 'param_index', 0)}]"


class RecordedCluster:
    """The cluster of a recorded run: what it was, and nothing behind it."""

    def __init__(self, facts: Mapping[str, Any], home: Path) -> None:
        self.kind: ClusterKind = facts["kind"]
        self.name, self.context, self.home = str(facts["name"]), str(facts["context"]), home
        self.cannot_judge: Mapping[Capability, str] = facts["cannot_judge"]
        self.places = StackPlaces(**facts.get("places", {}))  # older records have the default ones
        self.kubeconfig = home / "kubeconfig"
        self.requirements: Sequence[Any] = ()

    def create(self) -> None:
        """Nothing is made."""

    delete = create

    def load_images(self, archives: Sequence[Path], *, everywhere: bool = False) -> None:
        record_replay.refuse_when_replaying("images loaded onto nodes")

    def install(self, release: Any) -> None:
        """Nothing is installed: claims rest on what was seen afterwards."""

    uninstall = install

    def definitions(self, release: Any) -> list[dict[str, Any]]:
        return []

    def remember(self, documents: Sequence[Mapping[str, Any]]) -> None:
        """Nothing is deleted at the end either."""

    @contextmanager
    def open(self, namespace: str, pod: str, port: int) -> Iterator[str]:
        """An address at which nothing is requested."""
        yield f"http://{pod}.{namespace}.recorded:{port}"

    def facts(self) -> Mapping[str, str]:
        return {}

    def gather(self, into: Path) -> None:
        """There is nothing to gather from."""


class Replayed:
    """Fixtures in place of those that stand a cluster up."""

    def __init__(self, records: Records) -> None:
        self._records = records

    @pytest.fixture(scope="session")
    def cluster(self) -> Iterator[RecordedCluster]:
        """The cluster of the recorded run."""
        with TemporaryDirectory() as home:
            yield RecordedCluster(self._records.cluster, Path(home))

    @pytest.fixture(scope="session")
    def stack(self, cluster: RecordedCluster) -> None:
        """The stack stood when the run was recorded."""

    @pytest.fixture(scope="session")
    def placement(self, cluster: RecordedCluster) -> Placement:
        """Where the recorded run lived; older records lived where manifests are written for."""
        return Placement(**self._records.cluster.get("placement", {}))


def replay(config: pytest.Config, run: Path) -> None:
    """Answers of this run are those recorded in the folder; registered after the fixtures, which it replaces.

    Raises:
        BadInput: the folder has no records that can be read.
    """
    records = Records(run)
    _use(config, records)
    config.pluginmanager.register(Replayed(records), "mesh_e2e_replayed")


def record(config: pytest.Config, folder: Path) -> None:
    """What this run asks and is answered is written to records.jsonl in its folder."""
    file = (folder / FILE).open("wb", buffering=0)
    config.add_cleanup(file.close)
    recorder, settings = Recorder(file, redact, config.stash[RUN].evidence.note), settings_of(config)
    asked = {name: getattr(settings, name) for name in SETTINGS} | {"versions": config.stash[RUN].set.name}
    recorder.head({"schema": SCHEMA, "settings": asked})
    _use(config, recorder)


def _use(config: pytest.Config, tape: Recorder | Records) -> None:
    using = ExitStack()
    using.enter_context(record_replay.use_tape(tape))
    config.add_cleanup(using.close)
    config.pluginmanager.register(RecordingHooks(tape), "mesh_e2e_tape")
