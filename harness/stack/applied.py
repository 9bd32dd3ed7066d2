"""Manifests applied for a while: what was there before stays, what we made goes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from harness import ledger
from harness.kube import Kube
from harness.objects.manifests import Document, pinned, read
from harness.objects.refs import Ref, ref_of
from harness.stack.releases import MANIFESTS
from harness.versions import VersionSet


class Manifests:
    """Reads manifests of this repository, pinned to the version set, and applies them."""

    def __init__(self, kube: Kube, versions: VersionSet) -> None:
        self.kube, self._versions = kube, versions
        # For planted faults: what becomes of a manifest's documents, and who is told once it was applied, by its name.
        self.alter: list[Callable[[str, list[Document]], list[Document]]] = []
        self.told: list[Callable[[str], None]] = []

    def read(self, name: str) -> list[Document]:
        """The documents of manifests/<name>, for instance "ingress/gateway.yaml"."""
        documents = pinned(read(MANIFESTS / name), self._versions.images.values())
        for change in self.alter:
            documents = change(name, documents)
        return documents

    def apply(self, name: str, made: list[Ref]) -> None:
        """Applies them. Those that were not there before are added to `made`, first: it may fail in its middle."""
        documents = self.read(name)
        made += [ref_of(document) for document in documents if self.kube.find(ref_of(document)) is None]
        ledger.attach(Path(name).name, yaml.safe_dump_all(documents, sort_keys=False))
        self.kube.apply(documents)
        for tell in self.told:
            tell(name)

    @contextmanager
    def applied(self, *names: str) -> Iterator[list[Ref]]:
        """Applies them for the block, then takes away what it made, and waits until that is gone."""
        made: list[Ref] = []
        try:
            for name in names:
                self.apply(name, made)
            yield made
        finally:
            self.kube.delete(made)
