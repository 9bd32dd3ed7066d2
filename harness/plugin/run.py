"""The state of one run, which the hooks write and the reports read.

The fixtures and the hooks share it through `config.stash`:

    RUN         this run's record: `.facts` and `.observed` (to be filled), `.folder`, `.gather(error)`
    FAILED      whether anything has failed so far, for --keep on-failure
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime

import pytest

from harness import chosen_versions, observations, progress, settings
from harness.errors import BadInput
from harness.history import quarantine
from harness.install import running_versions
from harness.kube import Kube
from harness.plugin.artifacts import Artifacts
from harness.plugin.options import runs_folder, settings_of
from harness.report import conformance_yaml
from harness.report.claim_results import ClaimResults
from harness.report.live import Live, own_stdout
from harness.report.results import PLANTED, UPGRADE_TO, RunResult, versions_known, versions_line, versions_of
from harness.report.run_folder import RunFolder
from harness.version_differences import outside

FAILED = pytest.StashKey[bool]()
RUN = pytest.StashKey["Run"]()


class Run:
    """One run's record. Raises BadInput when made, if the run cannot be done or kept as asked."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.settings = settings_of(config)
        if config.getoption("--conformance"):
            conformance_yaml.refuse_emulated(self.settings.cluster)
        self.set = chosen_versions.version_set(self.settings)
        self.quarantine = quarantine.load()
        self.started = datetime.now(UTC)
        self.folder = RunFolder.create(
            runs_folder(config),
            cluster=self.settings.cluster,
            set_name=self.set.name,
            now=self.started,
            keep=self.settings.keep_runs,
            days=self.settings.keep_days,
        )
        self.remarks = [*settings.unused_variables(), *self.set.remarks]
        self.sources: dict[str, str] = {}
        self.facts: dict[str, str] = {PLANTED: self.settings.fault.stem} if self.settings.fault else {}
        self.facts |= {UPGRADE_TO: self.settings.upgrade_to} if self.settings.upgrade_to else {}
        self.observed: dict[str, str] = {}  # versions by component, as they run
        self.book = ClaimResults()
        self.evidence = Artifacts(config, self.folder)
        self.why = ""
        self.interrupted = 0  # the exit status, once that is why the run ends
        self.standing = ExitStack()  # what takes the cluster away: closed by its fixture, or else at the session's end
        self.deselected = 0
        self._file, self._owned = own_stdout()
        self.live = Live(self._file, moving=self._file.isatty() and not settings.is_ci())

    def close(self) -> None:
        """Ends the live lines."""
        self.live.close()
        if self._owned:
            self._file.close()

    @property
    def versions(self) -> dict[str, str]:
        return versions_known(self.set, self.observed | self.facts, ours=self.settings.cluster != "existing")

    @property
    def versions_line(self) -> str:
        return versions_line(self.settings.cluster, self.versions)

    @property
    def cluster(self) -> str:
        """Its kind, marked if emulated."""
        return versions_line(self.settings.cluster, {}).removeprefix("cluster ")

    def gather(self, error: BaseException) -> None:
        """For a session fixture that fails and will undo what it made before pytest can tell us: gathers at once. Not
        for bad input: then nothing was made, and what is there may be another run's."""
        self.config.stash[FAILED] = True
        if not isinstance(error, BadInput):
            self.evidence.gather_setup(error)

    def record_versions(self, kube: Kube) -> None:
        """Records what runs: versions, and where each image came from.

        Raises:
            SetupFailed: a cluster of ours does not run what the version set says.
        """
        self.observed = running_versions.read_versions(kube)
        images = running_versions.read_images(kube)
        lines = "".join(f"{name}  {source}\n" for name, source in images.items())
        self.folder.write(self.folder.setup / "images.txt", lines)
        if self.settings.cluster != "existing":
            running_versions.check_versions(self.observed, versions_of(self.set))

    def result(self, exit_status: int) -> RunResult:
        """The run so far, to end with this status."""
        return RunResult(
            cluster=self.settings.cluster,
            cluster_name=self.settings.cluster_name,
            set_name=self.set.name,
            versions=self.versions,
            facts=dict(self.facts),
            started=self.started.isoformat(timespec="seconds"),
            verdicts=self.book.results,
            figures=tuple(observations.page().figures),
            stages=tuple(progress.PROGRESS.stages),
            exit=exit_status,
            why=self.why,
            notes=(*self.remarks, *outside(self.observed), *self.evidence.notes),
            tables=observations.tables(),
            sources=self.sources,
        )


@contextmanager
def evidence_first(run: Run) -> Iterator[None]:
    """A fixture that fails while setting up also undoes what it made: the evidence is gathered before that."""
    try:
        yield
    except BaseException as error:
        run.gather(error)
        raise
