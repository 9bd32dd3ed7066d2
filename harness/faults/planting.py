"""Plants the steps of a fault in a running cluster, and undoes them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any, Protocol, cast

from harness import progress, timeouts
from harness.cluster.protocol import Cluster
from harness.errors import BadInput
from harness.faults.catalogue import Await, Fault, FaultStep, Kill, ManifestChange, Patch, Scale, Switch
from harness.kube import ApiUnavailable, Kube
from harness.objects.kind_namespace_name import ref_of
from harness.objects.manifests import Document
from harness.objects.patches import inverse_patch, merge_patch
from harness.settings import Settings
from harness.undo.temporary_changes import Manifests
from harness.wait import pause, until
from harness.waits import rollouts
from harness.waits.status import wait_for_condition

_ROLLED_OUT = ("Deployment/", "DaemonSet/")
_QUICK = 0.2  # seconds: what the emulated cluster needs at the least
_OWN = ("creationTimestamp", "deletionTimestamp", "generation", "managedFields", "resourceVersion", "uid")


class FaultSwitches(Protocol):
    """What the emulated cluster can do beside the others."""

    def fault(self, name: str, /, **parameters: Any) -> None: ...

    def calm(self) -> None: ...


class Planter:
    """Plants one fault in a cluster, any number of times; each `undo` takes back what was done since the one before."""

    def __init__(self, fault: Fault, settings: Settings, cluster: Cluster, kube: Kube, manifests: Manifests) -> None:
        self.fault = fault
        self._cluster, self._kube, self._manifests = cluster, kube.apart(), manifests
        real = settings.cluster != "emulated"
        self._settle = fault.settle if real else max(_QUICK, fault.settle / settings.delay_factor)
        self._done = ExitStack()

    def plant(self) -> None:
        """Does all steps, and gives them time to be everywhere.

        Raises:
            HarnessError: a step could not be done; those before it are undone by `undo`.
        """
        started, steps = time.monotonic(), self.fault.steps(self._cluster.kind)
        for step in steps:
            self._do(step)
        if any(not step.manifest for step in steps):
            pause(self._settle, why=f"fault {self.fault.name} takes effect")
        progress.note(f"fault planted: {self.fault.name} ({time.monotonic() - started:.1f}s)")

    def undo(self) -> None:
        """Takes everything back, last first, and waits until what was there works again."""
        self._done.close()

    def _do(self, step: FaultStep) -> None:
        match step:
            case FaultStep(patch=Patch() as patch):
                self._patch(patch.object, patch.with_)
            case FaultStep(scale=Scale() as scale):
                self._patch(scale.object, {"spec": {"replicas": scale.replicas}})
                self._scaled(scale)
            case FaultStep(delete=named) if named:
                self._delete(named.object)
            case FaultStep(apply=documents) if documents:
                self._apply(list(documents))
            case FaultStep(manifest=ManifestChange() as manifest):
                self._alter(manifest)
            case FaultStep(kill=Kill() as kill):
                self._kube.delete(self._kube.list_pods(kill.namespace, kill.labels), force=True)
            case FaultStep(await_=Await() as awaited):
                self._await(awaited)
            case FaultStep(emulated=Switch() as switch):
                breakable = cast(FaultSwitches, self._cluster)  # `steps` gives switches to the emulated cluster alone
                breakable.fault(switch.switch, **switch.parameters)
                self._done.callback(breakable.calm)

    def _patch(self, name: str, body: Mapping[str, Any]) -> None:
        back = inverse_patch(self._kube.get(name), body)
        self._kube.patch(name, body)
        self._done.callback(self._restored, name, back)

    def _restored(self, name: str, back: Mapping[str, Any]) -> None:
        if self._kube.find(name) is None:
            return  # it went with the fixture that made it
        self._kube.patch(name, back)
        if name.startswith(_ROLLED_OUT):
            rollouts.wait_for_rollout(self._kube, name)

    def _scaled(self, scale: Scale) -> None:
        obj = self._kube.get(scale.object)
        until(
            lambda: len(rollouts.read_pods(self._kube, obj)),
            lambda pods: pods == scale.replicas,
            what=f"{scale.object} has {scale.replicas} pods",
            within=timeouts.ROLLOUT,
            transient=(ApiUnavailable,),
        )

    def _delete(self, name: str) -> None:
        was = self._kube.get(name)
        self._kube.delete([name])
        self._done.callback(self._put_back, without_status(was))

    def _put_back(self, document: Document) -> None:
        self._kube.apply([document], force=True)
        name = str(ref_of(document))
        if name.startswith(_ROLLED_OUT):
            rollouts.wait_for_rollout(self._kube, name)

    def _apply(self, documents: list[Document]) -> None:
        for document in documents:
            if self._kube.find(ref_of(document)) is not None:
                raise BadInput(f"fault {self.fault.name} applies {ref_of(document)}, which already exists")
        self._done.callback(self._kube.delete, documents)
        self._kube.apply(documents)

    def _alter(self, manifest: ManifestChange) -> None:
        def change(name: str, documents: list[Document]) -> list[Document]:
            return with_changes(documents, manifest) if name == manifest.file else documents

        with_changes(self._manifests.read(manifest.file), manifest)  # whether it names a document of that file
        self._manifests.alter.append(change)
        self._done.callback(self._manifests.alter.remove, change)

    def _await(self, awaited: Await) -> None:
        if awaited.type:
            wait_for_condition(
                self._kube,
                awaited.object,
                awaited.type,
                status=awaited.status,
                about=awaited.about,
                within=timeouts.ROLLOUT,
            )
        else:
            rollouts.wait_for_rollout(self._kube, awaited.object)


def with_changes(documents: list[Document], manifest: ManifestChange) -> list[Document]:
    """The documents of a manifest as the step wants them.

    Raises:
        BadInput: none of them is the object that the step names.
    """
    if all(str(ref_of(document)) != manifest.object for document in documents):
        raise BadInput(f"manifests/{manifest.file} holds no {manifest.object}")
    found = []
    for document in documents:
        if str(ref_of(document)) != manifest.object:
            found.append(document)
        elif manifest.with_ is not None:
            found.append(merge_patch(document, manifest.with_))
    return found


def without_status(obj: Document) -> Document:
    """A live object as one would write it in a manifest: without its status and what the API server adds."""
    metadata = {key: value for key, value in obj["metadata"].items() if key not in _OWN}
    return {key: value for key, value in obj.items() if key != "status"} | {"metadata": metadata}
