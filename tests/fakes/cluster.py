"""A cluster that only notes what it was given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness.cluster.protocol import Release
from harness.errors import SetupFailed
from harness.objects.kind_namespace_name import ref_of


class FakeCluster:
    """Implements harness.cluster.protocol.Cluster; `urls` are where pods' ports are reached."""

    def __init__(self, kubeconfig: Path, kind: str = "kind") -> None:
        self.kind, self.name, self.kubeconfig, self.context = kind, "fake", kubeconfig, "fake"
        self.home = kubeconfig.parent
        self.cannot_judge: Mapping[str, str] = {}
        self.address_pools: Sequence[str] = ()
        self.urls: dict[tuple[str, str, int], str] = {}
        self.calls: list[tuple[str, Any]] = []
        self.opened: list[tuple[str, str, int]] = []
        self.closed: list[tuple[str, str, int]] = []
        self.documents: list[dict[str, Any]] = []

    def create(self) -> None:
        self.calls.append(("create", None))

    def load_images(self, archives: Sequence[Path], *, everywhere: bool = False) -> None:
        self.calls.append(("load", list(archives)))

    def install(self, release: Release) -> None:
        self.calls.append(("install", release.name))

    def uninstall(self, release: Release) -> None:
        self.calls.append(("uninstall", release.name))

    def remember(self, documents: Sequence[Mapping[str, Any]]) -> None:
        self.calls += [("remember", str(ref_of(document))) for document in documents]

    def definitions(self, release: Release) -> list[dict[str, Any]]:
        return self.documents

    @contextmanager
    def open(self, namespace: str, pod: str, port: int) -> Iterator[str]:
        key = (namespace, pod, port)
        if key not in self.urls:
            raise SetupFailed(f"no way to {namespace}/{pod}:{port}")
        self.opened.append(key)
        try:
            yield self.urls[key]
        finally:
            self.closed.append(key)

    def facts(self) -> Mapping[str, str]:
        return {}

    def gather(self, into: Path) -> None:
        (into / "nodes.txt").write_text("node logs\n")

    def delete(self) -> None:
        self.calls.append(("delete", None))
