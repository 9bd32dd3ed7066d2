"""Keeps or removes the cluster at the end of a run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from harness import cluster_records, progress
from harness.cluster.protocol import Cluster
from harness.errors import BadInput, HarnessError
from harness.interruption import shielded
from harness.plugin.artifacts import GATHERER
from harness.plugin.run import FAILED, RUN
from harness.settings import Settings


@contextmanager
def while_standing(made: Cluster, settings: Settings, config: pytest.Config) -> Iterator[None]:
    """The cluster is kept or removed after the block, or at the session's end if the teardown is interrupted. Bad input
    leaves it alone: nothing was made, and what is there may be another run's."""
    with config.stash[RUN].standing as standing:
        standing.callback(keep_or_delete, made, settings, config)
        try:
            yield
        except BadInput:
            standing.pop_all()
            raise


def keep_or_delete(made: Cluster, settings: Settings, config: pytest.Config) -> None:
    """Keeps the cluster or takes it away, as `keep` says. One signal does not stop that half-way, a second one does."""
    if settings.keep == "always" or (settings.keep == "on-failure" and config.stash[FAILED]):
        progress.note(f"kept: cluster {made.kind} {made.name}, KUBECONFIG={made.kubeconfig} (make clean removes it)")
        return
    config.stash[GATHERER] = None  # from here on there is nothing left to gather from
    with suppress(HarnessError):
        config.stash[RUN].facts.update(made.facts())  # what it came to: memory, programs
    doing = f"taking away cluster {made.name}"
    try:
        with (
            shielded(lambda: progress.note(f"{doing} goes on; Ctrl-C once more leaves it to `make clean`")),
            progress.stage(doing),
        ):
            made.delete()
    except BaseException:
        if cluster_records.find_record(settings.state, made.kind, made.home.name.removeprefix(f"{made.kind}-")):
            progress.note(f"cluster {made.name} was not taken away whole: `make clean` does it")
        raise
