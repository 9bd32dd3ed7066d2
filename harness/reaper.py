"""Removes clusters that kept or killed runs left, by their records."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from harness import cluster_records
from harness.cluster.choose import cluster_of_record
from harness.errors import HarnessError
from harness.settings import ClusterKind, Settings


@dataclass(frozen=True, slots=True)
class DeletedCluster:
    """What became of one record: "gone", "in use by process 123" or why it could not be taken away."""

    record: cluster_records.Record
    outcome: str


def delete_left_clusters(settings: Settings) -> list[DeletedCluster]:
    """Deletes every recorded cluster whose process is gone, and the folders of those that went more than a day ago.
    Returns what became of each cluster; raises for none."""
    found = []
    for record in cluster_records.read_records(settings.state):
        if record.is_alive:
            found.append(DeletedCluster(record, f"in use by process {record.pid}: left alone"))
            continue
        if record.kind not in get_args(ClusterKind):
            found.append(DeletedCluster(record, f"not taken away: {record.kind!r} is no kind of cluster"))
            continue
        where = {"kubeconfig": Path(record.details["kubeconfig"])} if "kubeconfig" in record.details else {}
        context = {"context": record.details["context"]} if "context" in record.details else {}
        # Before runs had a namespace of their own, records named none: what they made is undone by its notes alike.
        context["namespace"] = record.details.get("namespace", "default")
        named = {"cluster": record.kind, "cluster_name": record.name, **where, **context}
        mine = settings.model_copy(update=named)
        try:
            cluster_of_record(mine).delete()
            found.append(DeletedCluster(record, "gone"))
        except HarnessError as error:
            found.append(DeletedCluster(record, f"not taken away: {error}"))
    cluster_records.prune(settings.state, time.time())
    return found
