"""A kind cluster that the harness creates, reuses by name, and removes."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any, Literal

import yaml
from filelock import FileLock

from harness import cluster_records, container_engine_checks, progress, timeouts
from harness.cluster import free_addresses, node_registries, prepared_nodes
from harness.cluster.image_archive_loader import NodeImages, mark_held
from harness.cluster.prepared_nodes import PreparedNodes
from harness.cluster.protocol import Capability, Release, Requirement, single_replicas
from harness.command import run
from harness.errors import BadInput, HarnessError
from harness.helm import Helm
from harness.objects.manifests import Document
from harness.port_forward import port_forward
from harness.registry.private import PrivateRegistry
from harness.registry.reachability import check_registry
from harness.settings import ClusterKind, Settings, owner_pid
from harness.threads import thread_pool
from harness.tools import select_programs
from harness.version_sets import Chart

PREPARED = "prepared"  # in a record: the node image whose prepared folders the nodes have


class KindCluster:
    """Kubernetes in Docker. Its nodes have kind's own label; nothing without our record is ever deleted."""

    kind: ClusterKind = "kind"

    def __init__(
        self,
        settings: Settings,
        node_image: str,
        images: Iterable[str] = (),
        kubernetes: str = "",
        label: str = "",
        *,
        release: str = "",
        registry: PrivateRegistry | None = None,
        charts: Iterable[Chart] = (),
        built: Iterable[str] = (),
        archives: Iterable[Path] = (),
    ) -> None:
        """`images` and `charts` are pulled while it boots, from `registry` if there is one, or `archives` of images are
        loaded. `kubernetes` is the version that a cluster must have to be reused, `label` its version set's, empty:
        any. `release` is the oldest kind that works with the node image; empty: any. `built` are images to load that
        only Docker has, and no registry."""
        self._asked = {"set": label, "WORKERS": str(settings.workers)} if label else {}
        self.name, self._image, self._workers = settings.cluster_name, node_image, settings.workers
        self._kind, self._kubectl = settings.kind_bin, settings.kubectl_bin
        self._settings, self._release, self._caches = settings, release, settings.state if settings.cache else None
        self._pulled, self._registry, self._kubernetes = list(images), registry, kubernetes
        self._charts, self._built, self._state = list(charts), list(built), settings.state
        self._archives, self._images = list(archives), NodeImages(settings.kind_bin, self.name)
        self.home = cluster_records.record_folder(settings.state, "kind", self.name)
        self.kubeconfig = self.home / "kubeconfig"
        self._unfinished = self.home / "unfinished"  # there from before `kind create` until it has succeeded
        self.context = f"kind-{self.name}"
        self.reused = self._refused = False

    @property
    def cannot_judge(self) -> Mapping[Capability, str]:
        lacking = free_addresses.why_not_judged(self._settings.lb, "kind has none: LB=1 installs one")
        lacking |= single_replicas(self._settings.replicas)
        reason = f"{self._workers} workers: what moves from node to node takes the ingress's door along"
        return lacking if self._workers == 1 else lacking | {"two nodes": reason}

    @property
    def address_pools(self) -> Sequence[str]:
        return free_addresses.find_free_pools(f"{self.name}-control-plane") if self._settings.lb else ()

    @property
    def requirements(self) -> Sequence[Requirement]:
        registry = self._registry
        return [
            Requirement("docker", container_engine_checks.check_engine),
            *([Requirement("registry", lambda: check_registry(registry))] if registry else []),
            Requirement("kind", self._choose_kind),
            Requirement("helm", lambda: str(select_programs.choose_program("helm", self._settings))),
            Requirement("kubectl", lambda: str(select_programs.choose_program("kubectl", self._settings))),
            Requirement(f"cluster {self.name}", self._look, last=True),
        ]

    def _look(self) -> str:
        there = self.name in self._clusters()
        self._refuse(there)
        if there and not self._unfinished.exists():
            self._refuse_another_set()
            return "there, and will be reused"
        return "will be made"

    def _choose_kind(self) -> str:
        return str(select_programs.choose_program("kind", self._settings, kind_least=self._release))

    def create(self) -> None:
        self._refused = True  # until it is known to be ours: what is there is not ours to delete
        for requirement in self.requirements:
            requirement.check()
        with FileLock(self.home / "lock"):
            there = self.name in self._clusters()
            self._refuse(there)
            if there and self._unfinished.exists():
                progress.note(f"kind cluster {self.name} was left incomplete by a killed run: created again")
                self._remove()
                there = False
            if there:
                self._refuse_another_set()
                self._refused = False
                self._record()
                self._reuse()
            else:
                container_engine_checks.pull_missing(self._image)
                self._refused = False
                self._record()  # before it is made: what a killed run leaves half made is found by its record
                self._make()
                self._record()  # now with its container
            self._load_built()

    def _clusters(self) -> list[str]:
        return run([self._kind, "get", "clusters"]).stdout.split()

    def _make(self) -> None:
        """Creates it, and does not wait until its nodes are ready: what is installed meanwhile does not need that."""
        nodes = [f"{self.name}-{role}" for role in _roles(self._workers)]
        mounts: Mapping[str, str] = {}
        if self._settings.prepared:
            prepared = PreparedNodes(self._image, self._archives)
            prepared.prepare()
            mounts = prepared.link(self.name, nodes)
        config = self.home / "kind.yaml"
        config.write_text(yaml.safe_dump(_config([mounts.get(node, "") for node in nodes])))
        argv = [self._kind, "create", "cluster", "--name", self.name, "--image", self._image, "--config", str(config)]
        self._unfinished.touch()
        ended = threading.Event()
        with thread_pool(3) as pool:
            if self._archives and not mounts:
                pool.submit(self._images.load_during_boot, self._archives, nodes, ended)
            pulls = pool.submit(self._pull_early, nodes, ended)
            pool.submit(self._helm.pull_all_ahead, [(one.reference, one.version) for one in self._charts])
            try:
                run([*argv, "--kubeconfig", str(self.kubeconfig), "--retain"], within=timeouts.CLUSTER_CREATE)
            finally:
                ended.set()
            pulls.result()
        for node in mounts:
            mark_held(node, self._archives)
        self._unfinished.unlink()

    def _pull_early(self, nodes: Sequence[str], ended: threading.Event) -> None:
        if self._pulled:
            node_registries.configure_during_boot(nodes, self._pulled, self._registry, cached=self._caches, ended=ended)

    def _reuse(self) -> None:
        self.reused = True
        progress.note(f"kind cluster {self.name} is there already: reused")
        run([self._kind, "export", "kubeconfig", "--name", self.name, "--kubeconfig", str(self.kubeconfig)])
        if self._pulled:
            node_registries.configure_registries(self._nodes(), self._pulled, self._registry, cached=self._caches)
        # A run killed while it had the API server stopped (stack.nodes.frozen) leaves it so, silent to all.
        signal_api_server(self.name, "CONT", check=False)

    def _refuse(self, there: bool) -> None:
        old = self._recorded()
        if there and (not old or self._replaced(old)):
            raise BadInput(
                f"a kind cluster named {self.name} exists, but this harness did not create it",
                remedy="choose another name (CLUSTER_NAME=…), or CLUSTER=existing to test it as it is",
            )
        cluster_records.refuse_in_use(old, f"kind cluster {self.name}")

    def _refuse_another_set(self) -> None:
        """One that was kept from another set: all that a report says of its Kubernetes would be wrong."""
        cluster_records.refuse_kept(self._recorded(), self._asked, f"kind cluster {self.name}")
        nodes = self._nodes()
        result = run(["docker", "exec", nodes[0], "cat", "/kind/version"], check=False) if nodes else None
        found = result.stdout.strip().removeprefix("v").partition("+")[0] if result and result.code == 0 else ""
        if found and self._kubernetes and found != self._kubernetes:
            raise BadInput(
                f"kind cluster {self.name} was kept with Kubernetes {found}, the version set says {self._kubernetes}",
                remedy="`make clean` deletes it; or choose another name (CLUSTER_NAME=…), or name its NODE_IMAGE=…",
            )

    def _record(self) -> None:
        old, container = self._recorded(), self._container()
        made = old.made if old and old.is_alive else time.time()
        details = self._asked | ({"container": container} if container else {})
        image = self._image if self._settings.prepared else old.details.get(PREPARED) if old else None
        details |= {PREPARED: image} if image else {}
        record = cluster_records.Record(self.kind, self.name, owner_pid(), made, details)
        cluster_records.write_record(self._state, record)

    def _recorded(self) -> cluster_records.Record | None:
        return cluster_records.find_record(self._state, self.kind, self.name)

    def _container(self) -> str:
        """The id of its control plane's container; empty while there is none."""
        argv = ["docker", "container", "inspect", "--format", "{{.Id}}", f"{self.name}-control-plane"]
        return run(argv, check=False).stdout.strip()

    def _replaced(self, record: cluster_records.Record) -> bool:
        """Whether what was recorded was deleted and another of its name was created. Old records name no container."""
        recorded = record.details.get("container")
        return recorded is not None and self._container() not in ("", recorded)

    def _nodes(self) -> list[str]:
        return run([self._kind, "get", "nodes", "--name", self.name]).stdout.split()

    def load_images(self, archives: Sequence[Path], *, everywhere: bool = False) -> None:
        self._images.load(archives, self._nodes(), everywhere=everywhere)

    def _load_built(self) -> None:
        """Each time, also into a kept cluster: a tag may have been built again."""
        for image in self._built:
            with progress.stage(f"image {image}"):
                run([self._kind, "load", "docker-image", image, "--name", self.name], within=timeouts.IMAGE_LOAD)

    def install(self, release: Release) -> None:
        self._helm.upgrade_install(release)

    def uninstall(self, release: Release) -> None:
        self._helm.uninstall(release)

    def definitions(self, release: Release) -> list[Document]:
        return self._helm.definitions(release)

    @property
    def _helm(self) -> Helm:
        return Helm(self.kubeconfig, self.context, self.home / "helm", self._registry)

    def remember(self, documents: Sequence[Mapping[str, Any]]) -> None:
        """The whole cluster goes, and all that is in it."""

    def open(self, namespace: str, pod: str, port: int) -> AbstractContextManager[str]:
        return port_forward(self.kubeconfig, self.context, namespace, f"pod/{pod}", port, kubectl=self._kubectl)

    def facts(self) -> Mapping[str, str]:
        kind = run([self._kind, "version"], check=False).stdout.strip()
        docker = run(["docker", "version", "--format", "{{.Server.Version}}"], check=False).stdout.strip()
        found = {"kind": kind, "docker": docker, "node image": self._image, "nodes": str(1 + self._workers)}
        found |= {"registry": str(self._registry)} if self._registry else {}
        return found | ({"registry caches": "on"} if self._caches and self._pulled else {})

    def gather(self, into: Path) -> None:
        try:
            run([self._kind, "export", "logs", str(into / "kind"), "--name", self.name], within=timeouts.GATHER)
        except (HarnessError, OSError) as failed:
            with suppress(OSError):
                (into / "kind-export-failed.txt").write_text(str(failed))

    def delete(self) -> None:
        recorded = self._recorded()
        replaced = recorded is not None and self._replaced(recorded)
        if recorded is None or recorded.is_in_use_by_another_run or (self._refused and not replaced):
            return
        if not replaced:
            self._remove()
        cluster_records.delete_record(self._state, self.kind, self.name)

    def _remove(self) -> None:
        self._choose_kind()  # also where nothing was created before: `make clean`
        argv = [self._kind, "delete", "cluster", "--name", self.name, "--kubeconfig", str(self.kubeconfig)]
        run(argv, within=timeouts.CLUSTER_DELETE)
        record = self._recorded()
        if record and PREPARED in record.details:
            prepared_nodes.remove_folders(record.details[PREPARED], self.name)
        self.kubeconfig.unlink(missing_ok=True)
        self._unfinished.unlink(missing_ok=True)


def signal_api_server(name: str, number: Literal["STOP", "CONT"], *, check: bool = True) -> None:
    """Stops the API server of a kind cluster, or lets it go on; without `check` whether it is there or not."""
    run(["docker", "exec", f"{name}-control-plane", "pkill", f"-{number}", "-x", "kube-apiserver"], check=check)


def _roles(workers: int) -> list[str]:
    """What kind calls the nodes of a cluster."""
    return ["control-plane", *["worker", *(f"worker{number}" for number in range(2, workers + 1))][:workers]]


def _config(mounted: Sequence[str]) -> dict[str, object]:
    """kind's configuration; `mounted` has for each node what is mounted as containerd's folder, or nothing."""
    nodes: list[dict[str, object]] = []
    for number, path in enumerate(mounted):
        mounts = [{"hostPath": path, "containerPath": prepared_nodes.CONTAINERD}] if path else []
        nodes.append({"role": "worker" if number else "control-plane"} | ({"extraMounts": mounts} if mounts else {}))
    return {"kind": "Cluster", "apiVersion": "kind.x-k8s.io/v1alpha4", "nodes": nodes}
