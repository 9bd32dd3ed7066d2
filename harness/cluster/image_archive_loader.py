"""Loads image archives into the nodes of a kind cluster, each once a node, beginning while Kubernetes boots."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from harness import progress, timeouts
from harness.cluster import node_registries
from harness.command import run
from harness.errors import HarnessError
from harness.threads import thread_pool

MARKS = "/var/lib/mesh-e2e/archives"  # in a node: one entry for each archive it holds, gone when the node is
STREAMS = 2  # containerd unpacks: more than the cores does not help


class NodeImages:
    """The images of one cluster's nodes. `kind` is the kind program, `cluster` the cluster's name."""

    def __init__(self, kind: str, cluster: str) -> None:
        self._kind, self._cluster = kind, cluster

    def load(self, archives: Sequence[Path], nodes: Sequence[str], *, everywhere: bool = False) -> None:
        """Loads what a node does not hold yet; the control plane takes only what runs there, but with `everywhere`.

        Raises:
            CommandFailed: kind could not load one.
        """
        held = {node: _held(node) for node in nodes}
        pairs = _pairs(archives, nodes, everywhere=everywhere)
        missing = [(archive, node) for archive, node in pairs if mark(archive) not in held[node]]
        with thread_pool(STREAMS) as pool:
            list(pool.map(lambda pair: self._load(*pair), missing))

    def load_during_boot(self, archives: Sequence[Path], nodes: Sequence[str], ended: threading.Event) -> None:
        """Loads archives in their order as soon as containerd runs in the nodes, until `ended` is set; those under way
        then are finished. What fails here `load` tries again, and raises."""
        node_registries.wait_for_containerd(nodes, ended)
        with thread_pool(STREAMS) as pool:
            for archive, node in _pairs(archives, nodes):
                pool.submit(self._load_unless, ended, archive, node)

    def _load_unless(self, ended: threading.Event, archive: Path, node: str) -> None:
        if ended.is_set():
            return
        try:
            self._load(archive, node)
        except HarnessError as failed:
            progress.note(f"{archive.name} could not be loaded while Kubernetes boots: {str(failed).splitlines()[0]}")

    def _load(self, archive: Path, node: str) -> None:
        argv = [self._kind, "load", "image-archive", str(archive), "--name", self._cluster, "--nodes", node]
        run(argv, within=timeouts.IMAGE_LOAD)
        mark_held(node, [archive])


def mark(archive: Path) -> str:
    """A name for an archive's content that needs no reading of it."""
    seen = archive.stat()
    return hashlib.sha256(f"{archive.resolve()} {seen.st_size} {seen.st_mtime_ns}".encode()).hexdigest()[:20]


def mark_held(node: str, archives: Iterable[Path]) -> None:
    """Marks archives as held by a node."""
    run(["docker", "exec", node, "mkdir", "-p", *(f"{MARKS}/{mark(archive)}" for archive in archives)])


def _pairs(archives: Sequence[Path], nodes: Sequence[str], *, everywhere: bool = False) -> Iterator[tuple[Path, str]]:
    """Each archive with each node that takes it, archive by archive."""
    for archive in archives:
        for node in nodes:
            if everywhere or node_registries.needs_image(node, nodes, archive.name):
                yield archive, node


def _held(node: str) -> set[str]:
    result = run(["docker", "exec", node, "ls", MARKS], check=False)
    return set(result.stdout.split()) if result.code == 0 else set()
