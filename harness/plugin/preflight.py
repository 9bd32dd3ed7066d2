"""Runs the preflight checks before anything is applied."""

from __future__ import annotations

from harness import progress
from harness.cluster.existing import ExistingCluster
from harness.cluster.protocol import Cluster
from harness.errors import BadInput
from harness.plugin.run import Run
from harness.preflight.command import examine
from harness.settings import Settings


def preflight(cluster: Cluster, settings: Settings, run: Run) -> None:
    """Shows what can be judged on an existing cluster, and has what cannot be skipped; on kind, nodes and clock alone.

    Raises:
        BadInput: rights are missing without which nothing can be judged.
        ApiUnavailable: the API server does not answer.
    """
    if cluster.kind == "emulated":
        return
    with progress.stage("preflight"):
        found = examine(cluster, settings)
    run.folder.write(run.folder.setup / "preflight.txt", f"{found.text}\n")
    if not isinstance(cluster, ExistingCluster):
        return
    run.live.line(found.text)
    try:
        found.check_rights()
    except BadInput:
        cluster.delete()  # nothing was made yet but the record of this run
        raise
    cluster.note_lacking(found.lacking)
    cluster.places = found.places
