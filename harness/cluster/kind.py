"""A kind cluster of our own: made or reused by exact name, its kubeconfig in our state folder, reaped by record."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock

from harness import progress, state, timeouts
from harness.cluster import caches
from harness.cluster.protocol import Release
from harness.command import run, which
from harness.errors import BadInput, HarnessError
from harness.helm import Helm
from harness.kubectl import port_forward
from harness.objects.manifests import Document
from harness.settings import ClusterKind, Settings

MARKS = "/var/lib/mesh-e2e/archives"
CONTROL_PLANE_IMAGES = ("install-cni", "ztunnel", "curl", "fortio")  # what is scheduled beside the control plane


class KindCluster:
    """Kubernetes in Docker. Its nodes bear kind's own label; nothing without our record is ever deleted."""

    kind: ClusterKind = "kind"

    def __init__(self, settings: Settings, node_image: str, images: Iterable[str] = ()) -> None:
        self.name, self._image, self._workers = settings.cluster_name, node_image, settings.workers
        self._kind, self._kubectl = settings.kind_bin, settings.kubectl_bin
        self._cached = list(images) if settings.cache else []
        self._state = settings.state
        self._home = state.folder(settings.state, "kind", self.name)
        self.kubeconfig = self._home / "kubeconfig"
        self._unfinished = self._home / "unfinished"  # there from before `kind create` until it has succeeded
        self.context = f"kind-{self.name}"
        self.reused = False

    @property
    def cannot_judge(self) -> Mapping[str, str]:
        return {}

    def create(self) -> None:
        for program in ("docker", self._kind, "helm", self._kubectl):
            which(program)
        _docker_answers()
        with FileLock(self._home / "lock"):
            there = self.name in self._clusters()
            self._refuse(there)
            if there and self._unfinished.exists():
                progress.note(f"kind cluster {self.name} was left half made by a killed run: made anew")
                self._remove()
                there = False
            if there:
                self._record()
                self._reuse()
            else:
                _image_is_there(self._image)
                self._record()  # before it is made: what a killed run leaves half made is found by its record
                self._make()
            if self._cached:
                caches.attach(self._nodes(), self._cached)

    def _clusters(self) -> list[str]:
        return run([self._kind, "get", "clusters"], within=30).stdout.split()

    def _make(self) -> None:
        config = self._home / "kind.yaml"
        config.write_text(yaml.safe_dump(_config(self._workers)))
        argv = [self._kind, "create", "cluster", "--name", self.name, "--image", self._image, "--config", str(config)]
        argv += ["--kubeconfig", str(self.kubeconfig), "--wait", "120s"]
        self._unfinished.touch()
        run([*argv, "--retain"], within=timeouts.CLUSTER_CREATE)
        self._unfinished.unlink()

    def _reuse(self) -> None:
        self.reused = True
        progress.note(f"kind cluster {self.name} is there already: reused")
        run([self._kind, "export", "kubeconfig", "--name", self.name, "--kubeconfig", str(self.kubeconfig)], within=30)

    def _refuse(self, there: bool) -> None:
        old = self._recorded()
        if there and not old:
            raise BadInput(
                f"a kind cluster named {self.name} is there, but this harness did not make it",
                remedy="choose another name (CLUSTER_NAME=…), or CLUSTER=existing to test it as it is",
            )
        if old and _anothers(old):
            raise BadInput(
                f"kind cluster {self.name} is in use by process {old.pid}",
                remedy="wait for that run, or choose another name (CLUSTER_NAME=…)",
            )

    def _record(self) -> None:
        old = self._recorded()
        made = old.made if old and old.alive else time.time()
        state.write(self._state, state.Record(self.kind, self.name, os.getpid(), made))

    def _recorded(self) -> state.Record | None:
        return next((r for r in state.records(self._state) if (r.kind, r.name) == (self.kind, self.name)), None)

    def _nodes(self) -> list[str]:
        return run([self._kind, "get", "nodes", "--name", self.name], within=30).stdout.split()

    def load_images(self, archives: Sequence[Path], *, everywhere: bool = False) -> None:
        nodes = self._nodes()
        held = self._held(nodes)
        work = [(archive, node) for archive in archives for node in nodes if everywhere or _wants(node, nodes, archive)]
        missing = [(archive, node) for archive, node in work if _mark(archive) not in held[node]]
        with ThreadPoolExecutor(max_workers=2) as pool:  # containerd unpacks: more than the cores does not help
            list(pool.map(lambda pair: self._load(*pair), missing))

    def _held(self, nodes: Sequence[str]) -> dict[str, set[str]]:
        """The archives that each node has taken already, by our own marks in the node: they go when it goes."""
        found = {}
        for node in nodes:
            said = run(["docker", "exec", node, "ls", MARKS], within=30, check=False)
            found[node] = set(said.stdout.split()) if said.code == 0 else set()
        return found

    def _load(self, archive: Path, node: str) -> None:
        argv = [self._kind, "load", "image-archive", str(archive), "--name", self.name, "--nodes", node]
        run(argv, within=timeouts.IMAGE_LOAD)
        run(["docker", "exec", node, "mkdir", "-p", f"{MARKS}/{_mark(archive)}"], within=30)

    def install(self, release: Release) -> None:
        self._helm.upgrade_install(release)

    def uninstall(self, release: Release) -> None:
        self._helm.uninstall(release)

    def definitions(self, release: Release) -> list[Document]:
        return self._helm.definitions(release)

    @property
    def _helm(self) -> Helm:
        return Helm(self.kubeconfig, self.context, self._home / "helm")

    def remember(self, documents: Sequence[Mapping[str, Any]]) -> None:
        """The whole cluster goes, and all that is in it."""

    def open(self, namespace: str, pod: str, port: int) -> AbstractContextManager[str]:
        return port_forward(self.kubeconfig, self.context, namespace, f"pod/{pod}", port, kubectl=self._kubectl)

    def facts(self) -> Mapping[str, str]:
        kind = run([self._kind, "version"], within=20, check=False).stdout.strip()
        docker = run(["docker", "version", "--format", "{{.Server.Version}}"], within=20, check=False).stdout.strip()
        return {"kind": kind, "docker": docker, "node image": self._image, "nodes": str(1 + self._workers)}

    def gather(self, into: Path) -> None:
        try:
            run([self._kind, "export", "logs", str(into / "kind"), "--name", self.name], within=timeouts.GATHER)
        except (HarnessError, OSError) as failed:
            with suppress(OSError):
                (into / "kind-export-failed.txt").write_text(str(failed))

    def delete(self) -> None:
        # Whoever called `create` calls this too, also after a refusal: what was refused is not ours to delete.
        recorded = self._recorded()
        if recorded is None or _anothers(recorded):
            return
        self._remove()
        state.forget(self._state, self.kind, self.name)

    def _remove(self) -> None:
        run([self._kind, "delete", "cluster", "--name", self.name, "--kubeconfig", str(self.kubeconfig)], within=120)
        self.kubeconfig.unlink(missing_ok=True)
        self._unfinished.unlink(missing_ok=True)


def _anothers(record: state.Record) -> bool:
    """Whether another process that still runs made it."""
    return record.alive and record.pid != os.getpid()


def _wants(node: str, nodes: Sequence[str], archive: Path) -> bool:
    """The control plane takes only what runs there, unless it is the only node."""
    return len(nodes) == 1 or "control-plane" not in node or any(w in archive.name for w in CONTROL_PLANE_IMAGES)


def _mark(archive: Path) -> str:
    """A name for an archive's content that needs no reading of it."""
    seen = archive.stat()
    return hashlib.sha256(f"{archive.resolve()} {seen.st_size} {seen.st_mtime_ns}".encode()).hexdigest()[:20]


def _config(workers: int) -> dict[str, object]:
    roles = ["control-plane", *["worker"] * workers]
    return {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "nodes": [{"role": role} for role in roles],
    }


def _docker_answers() -> None:
    if run(["docker", "info", "--format", "{{.ServerVersion}}"], within=30, check=False).code != 0:
        raise BadInput("Docker does not answer", remedy="start it (and be allowed to use it), or use CLUSTER=emulated")


def _image_is_there(image: str) -> None:
    """Docker pulls what it lacks; without a network that fails late and badly, so a look comes first."""
    if run(["docker", "image", "inspect", "--format", "{{.Id}}", image], within=30, check=False).code == 0:
        return
    progress.note(f"node image {image} is not in Docker yet: pulling it")
    pulled = run(["docker", "pull", "--quiet", image], within=timeouts.CLUSTER_CREATE, check=False)
    if pulled.code != 0:
        raise BadInput(
            f"node image {image} is neither in Docker nor to be pulled: {pulled.stderr.strip()[-200:]}",
            remedy="load it (docker load -i …), name another (NODE_IMAGE=…), or use CLUSTER=emulated",
        )
