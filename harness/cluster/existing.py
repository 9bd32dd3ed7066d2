"""An existing cluster, selected by kubeconfig and context. By default only the run's own objects change."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

from filelock import FileLock

from harness import cluster_records
from harness.cluster.free_addresses import why_not_judged
from harness.cluster.protocol import Capability, Release, Requirement, single_replicas
from harness.errors import BadInput
from harness.helm import Helm
from harness.kube import ApiUnavailable, Kube, ObjectMissing, RequestRejected
from harness.objects.crds_and_admission_policies import gateway_api_version
from harness.objects.kind_namespace_name import parse_ref, ref_of
from harness.objects.manifests import Document
from harness.objects.namespace_mapping import INSTANCE, MANAGED_BY, WRITTEN, Placement
from harness.objects.stack_places import DEFAULT_PLACES
from harness.objects.unstructured import mapping
from harness.port_forward import port_forward
from harness.settings import ClusterKind, Settings, owner_pid
from harness.tools import select_programs
from harness.undo.undo_log import UndoLog

MADE = "made.json"  # in our folder: what of the stack is ours; what tests applied is in cluster_records.APPLIED
NOT_OURS = "this touches what is not ours, which DISRUPTIVE=1 allows"


class ExistingCluster:
    """Somebody's cluster. Suites have a namespace of their own there; releases are installed only when asked for, and
    only what is ours is removed."""

    kind: ClusterKind = "existing"

    def __init__(self, settings: Settings, label: str = "") -> None:
        """`label` is the version set's; a stack of ours that was kept there must have the same."""
        if not settings.context:
            raise BadInput(
                "an existing cluster is selected by the exact name of its context",
                remedy="CONTEXT=name (`kubectl config get-contexts`); the current context is never used",
            )
        file = settings.kubeconfig or Path.home() / ".kube" / "config"
        if not file.is_file():
            raise BadInput(f"kubeconfig {file} does not exist", remedy="KUBECONFIG_FILE=path")
        self.kubeconfig, self.context = file, settings.context
        self.name = settings.context
        self._settings, self._registry = settings, settings.private
        self._installs, self._kubectl = settings.install, settings.kubectl_bin
        # Our releases' marks lie there: contexts of one name in two files (kubeadm names all alike) are two clusters.
        # Runs in different namespaces of one cluster go side by side: each has a record and notes of its own.
        self.namespace = settings.suite_namespace
        own = "" if self.namespace == WRITTEN else f" {self.namespace}"
        digest = hashlib.sha256(f"{file.resolve()} {self.context}{own}".encode()).hexdigest()[:8]
        readable = "".join(c if c.isalnum() else "-" for c in self.name)[:60]
        self._recorded = f"{readable}-{digest}"
        self.home = cluster_records.record_folder(settings.state, "existing", self._recorded)
        self._state, self._lock, self._label = settings.state, threading.Lock(), label
        self._version = ""
        self._found_lacking: Mapping[Capability, str] = {}
        self.places = DEFAULT_PLACES  # until preflight has found them

    @property
    def cannot_judge(self) -> Mapping[Capability, str]:
        lacking: dict[Capability, str] = {"nodes": "the nodes of a cluster that is not ours are not touched"}
        if not self._settings.disruptive:
            lacking["disruptive"] = NOT_OURS
        if not self._installs:
            lacking["own mesh"] = "istiod counts refusals of all its proxies together, those of others among them"
            lacking["upgrade"] = "releases that somebody else installed are not upgraded"
        lacking |= single_replicas(self._settings.replicas)
        lacking |= why_not_judged(self._settings.lb, "LB=1, which declares a load balancer, is not set")
        return {**self._found_lacking, **lacking}

    def note_lacking(self, capabilities: Mapping[Capability, str]) -> None:
        """Adds what was found that this cluster lacks, with the reasons."""
        self._found_lacking = dict(capabilities)

    @property
    def address_pools(self) -> Sequence[str]:
        return ()

    @property
    def requirements(self) -> Sequence[Requirement]:
        helm = Requirement("helm", lambda: str(select_programs.choose_program("helm", self._settings)))
        return [
            Requirement("kubectl", lambda: str(select_programs.choose_program("kubectl", self._settings))),
            *([helm] if self._installs else []),
            Requirement(f"context {self.context}", self._reach),
            Requirement("earlier runs there", self._check_earlier_runs),
            Requirement(f"namespace {self.namespace}", self._check_namespace, last=True),
        ]

    def _reach(self) -> str:
        try:
            self._version = self._kube.read_version().removeprefix("v")
        except (ApiUnavailable, ObjectMissing, RequestRejected) as error:
            raise BadInput(
                f"context {self.context}: {error.args[0]}",
                remedy=error.remedy or "is the cluster up and reachable from here?",
            ) from error
        return f"Kubernetes {self._version}"

    def _check_namespace(self) -> str:
        """The run's namespaces are not there, or by our notes they are ours."""
        noted = [*UndoLog(self.home / MADE), *UndoLog(self.home / cluster_records.APPLIED)]
        given = False
        for name in sorted(Placement(self.namespace).namespaces):
            there = (
                self._kube.find(parse_ref(f"Namespace/{name}")) if parse_ref(f"Namespace/{name}") not in noted else None
            )
            labels = mapping(there, "metadata", "labels")
            if there and (MANAGED_BY.items() - labels.items() or INSTANCE in labels):
                label = "=".join(next(iter(MANAGED_BY.items())))
                raise BadInput(
                    f"namespace {name} exists, and it is not known that a run created it",
                    remedy=f"choose another one (NAMESPACE=name), delete what a run on another machine left, "
                    f"or label it for runs: kubectl label namespace {name} {label}",
                )
            given |= bool(there)
        return "given to runs by its label" if given else "made by the run"

    @property
    def _stands(self) -> bool:
        """Whether something that earlier runs made is still there."""
        return (self.home / MADE).exists() or any(self.home.glob("release-*"))

    def _check_earlier_runs(self) -> str:
        old = cluster_records.find_record(self._state, self.kind, self._recorded)
        cluster_records.refuse_in_use(old, f"namespace {self.namespace} of context {self.context}")
        if not self._stands:
            return "nothing of theirs is left"
        cluster_records.refuse_kept(old, {"set": self._label} if self._label else {}, f"what we made in {self.context}")
        return "what they made is kept, of this version set"

    def create(self) -> None:
        for requirement in self.requirements:
            requirement.check()
        with FileLock(self.home / "lock"):
            self._check_earlier_runs()  # again: another run may have begun since
            # Before anything is applied, be it only by tests: what a killed run leaves is found by its record.
            where = {"kubeconfig": str(self.kubeconfig.resolve()), "context": self.context, "namespace": self.namespace}
            where |= {"set": self._label} if self._label and (self._installs or self._stands) else {}
            cluster_records.write_record(
                self._state, cluster_records.Record(self.kind, self._recorded, owner_pid(), time.time(), details=where)
            )

    def load_images(self, archives: Sequence[Path], *, everywhere: bool = False) -> None:
        """Its nodes are not ours to fill: images come from its registries."""

    def install(self, release: Release) -> None:
        if not self._installs:
            return
        there = self._helm.list_releases()
        if f"{release.namespace}/{release.name}" in there and not self._ours(release).exists():
            raise BadInput(
                f"release {release.namespace}/{release.name} exists, and this harness did not install it",
                remedy="leave out INSTALL=1 to test it as it is",
            )
        self.remember([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": release.namespace}}])
        self.remember(self._helm.list_left_behind(release))
        cluster_records.write_atomically(self._ours(release), f"{release.name}\n{release.namespace}\n")
        self._helm.upgrade_install(release)

    def uninstall(self, release: Release) -> None:
        if self._ours(release).exists():
            self._helm.uninstall(release)
            self._ours(release).unlink()

    def remember(self, documents: Sequence[Mapping[str, Any]]) -> None:
        with self._lock:  # parts of the stack are installed side by side
            made = UndoLog(self.home / MADE)
            self._refuse_others([document for document in documents if ref_of(document) not in made])
            made.remember(self._kube, documents)

    def _refuse_others(self, documents: Sequence[Mapping[str, Any]]) -> None:
        """A Gateway API of another version or channel, not by us, is not written over: it serves others too."""
        for document in documents:
            ours, named = gateway_api_version(document), ref_of(document)
            there = self._kube.find(named) if ours else None
            if there and gateway_api_version(there) != ours:
                raise BadInput(
                    f"{named} of Gateway API {gateway_api_version(there) or '(unknown)'} "
                    f"is installed, and this version set has that of {ours}",
                    remedy="choose a version set of that Gateway API (VERSIONS=…), or leave out INSTALL=1",
                )

    def _ours(self, release: Release) -> Path:
        return self.home / f"release-{release.namespace}-{release.name}"

    def definitions(self, release: Release) -> list[Document]:
        return self._helm.definitions(release)

    @property
    def _kube(self) -> Kube:
        return Kube(self.kubeconfig, self.context)

    @property
    def _helm(self) -> Helm:
        return Helm(self.kubeconfig, self.context, self.home / "helm", self._registry)

    def open(self, namespace: str, pod: str, port: int) -> AbstractContextManager[str]:
        return port_forward(self.kubeconfig, self.context, namespace, f"pod/{pod}", port, kubectl=self._kubectl)

    def facts(self) -> Mapping[str, str]:
        return {
            "context": self.context,
            "namespace": self.namespace,
            "kubernetes": self._version,
            "installs": str(self._installs).lower(),
        }

    def gather(self, into: Path) -> None:
        (into / "existing.txt").write_text(f"context {self.context}: node logs are not ours to collect\n")

    def delete(self) -> None:
        """The cluster stays. What we installed and applied goes, also what a killed run left, by our own notes."""
        old = cluster_records.find_record(self._state, self.kind, self._recorded)
        if old and old.is_in_use_by_another_run:
            return
        UndoLog(self.home / cluster_records.APPLIED).undo(self._kube)
        UndoLog(self.home / MADE).undo(self._kube, between=self._uninstall_ours)
        cluster_records.delete_record(self._state, self.kind, self._recorded)

    def _uninstall_ours(self) -> None:
        marks = sorted(self.home.glob("release-*"), key=lambda path: path.stat().st_mtime)
        with ExitStack() as undoing:  # the last first, and each though another fails
            for mark in marks:
                name, namespace = mark.read_text().split()
                undoing.callback(self.uninstall, Release(name, "", "", namespace))
