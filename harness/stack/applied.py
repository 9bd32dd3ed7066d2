"""Manifests applied for a while: what was there before stays, what we made goes."""

from __future__ import annotations

from collections.abc import Iterator
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

    def read(self, name: str) -> list[Document]:
        """The documents of manifests/<name>, for instance "ingress/gateway.yaml"."""
        return pinned(read(MANIFESTS / name), self._versions.images.values())

    def apply(self, name: str) -> list[Ref]:
        """Applies them, and returns those that were not there before."""
        documents = self.read(name)
        made = [ref_of(document) for document in documents if self.kube.find(ref_of(document)) is None]
        ledger.attach(Path(name).name, yaml.safe_dump_all(documents, sort_keys=False))
        self.kube.apply(documents)
        return made

    @contextmanager
    def applied(self, *names: str) -> Iterator[list[Ref]]:
        """Applies them for the block, then takes away what it made, and waits until that is gone."""
        made: list[Ref] = []
        try:
            for name in names:
                made += self.apply(name)
            yield made
        finally:
            self.kube.delete(made)
