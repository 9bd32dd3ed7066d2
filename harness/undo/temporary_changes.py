"""Applies manifests for a while, and afterwards restores or deletes their objects."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml

from harness import observations, progress, record_replay
from harness.causes import changes
from harness.errors import HarnessError
from harness.image_pins_and_pull_secrets import with_pull_secrets
from harness.kube import Kube
from harness.objects.kind_namespace_name import Ref, parse_ref, ref_of
from harness.objects.manifests import MANIFESTS, Document, read_manifest
from harness.objects.namespace_mapping import AS_WRITTEN, Placement
from harness.undo.undo_log import UndoEntry, UndoLog
from harness.version_sets import VersionSet


def undo_leftovers(kube: Kube, made: UndoLog) -> None:
    """Undoes what a killed run left applied: it would be taken for what was there before, and stay."""
    left = made.undo(kube.unrestricted)
    if left:
        progress.note(f"taken back, left by a killed run: {', '.join(dict.fromkeys(str(n.named) for n in left))}")


class Manifests:
    """Reads manifests of this repository, pinned to the version set and moved to where the run is placed, and applies
    them. `made` outlives the process."""

    def __init__(self, kube: Kube, versions: VersionSet, made: UndoLog, placement: Placement = AS_WRITTEN) -> None:
        self.kube, self._versions, self._made, self._placement = kube, versions, made, placement
        # For planted faults: changes of a manifest's documents, and what to call with its name once it is applied.
        self.alter: list[Callable[[str, list[Document]], list[Document]]] = []
        self.on_applied: list[Callable[[str], None]] = []
        # What becomes of each document before it is applied: Secrets get certificates that are made for each run.
        self.complete: Callable[[Document], Document] = lambda document: document
        self.ever_applied: set[Ref] = set()  # also what has been taken away since
        # Called with an error that ends a block, before anything is undone: its cause can be read only then.
        self.before_undo: Callable[[Exception], None] = lambda _: None

    def read(self, name: str) -> list[Document]:
        """The documents of manifests/<name>, for instance "ingress/gateway.yaml"."""
        documents = with_pull_secrets(read_manifest(MANIFESTS / name), self._versions)
        for change in self.alter:
            documents = change(name, documents)
        return self._placement.documents([self.complete(document) for document in documents])

    def _wanted(self, name: str) -> list[Document]:
        """The documents without what a planted fault makes of them."""
        return self._placement.documents(with_pull_secrets(read_manifest(MANIFESTS / name), self._versions))

    def _refs(self, names: Sequence[str]) -> Iterator[Ref]:
        return (ref_of(document) for name in names for document in self._wanted(name))

    def apply(self, name: str, made: list[UndoEntry]) -> None:
        """Applies them. What this changes is added to `made`, first: it may fail in its middle.

        Raises:
            NotAllowed: some of it concerns others and was not asked for; nothing was recorded or applied.
        """
        documents = self.read(name)
        self.kube.check_allowed(map(ref_of, documents))
        made += self._made.remember(self.kube, documents)
        observations.attach(Path(name).name, yaml.safe_dump_all(documents, sort_keys=False))
        self.ever_applied.update(ref_of(document) for document in documents)
        self.kube.apply(documents)
        for document in self._wanted(name) if self.alter else ():
            self.kube.wanted.applied(self.complete(document))  # a planted fault is not what is wanted
        for notify in self.on_applied:
            notify(name)

    @contextmanager
    def while_applied(self, *names: str) -> Iterator[None]:
        """Applies them for the block, then takes away what it made, and waits until that is gone."""
        made: list[UndoEntry] = []
        before = self.kube.wanted.documents
        try:
            for name in names:
                self.apply(name, made)
            yield
            self._observe_changes(names)
        except Exception as error:
            self.before_undo(error)
            raise
        finally:
            self._made.undo(self.kube.unrestricted, made)
            for named in self._refs(names):
                if str(named) not in before:
                    self.kube.wanted.deleted(named)

    def _observe_changes(self, names: Sequence[str]) -> None:
        """Records which of the objects are not as they were applied. Tests often judge what a block did once it is over
        and its objects are gone. No verdict rests on it: errors are ignored, and a replay has nothing to read."""
        if record_replay.is_replaying():
            return
        expected = self.kube.wanted.documents
        with suppress(HarnessError), record_replay.use_tape(None):
            for named in self._refs(names):
                wanted, live = expected.get(str(named)), self.kube.find(named)
                if wanted is not None and live is not None and (change := changes.change_text(wanted, live)):
                    observations.record_sighting(changes.OBSERVER, change)

    @contextmanager
    def while_patched(self, name: str, body: Mapping[str, Any]) -> Iterator[None]:
        """What is there is changed by a merge patch for the block, and afterwards what it was before."""
        self.kube.check_allowed([parse_ref(name)])
        made = self._made.patch(self.kube, parse_ref(name), body)
        try:
            yield
        except Exception as error:
            self.before_undo(error)
            raise
        finally:
            self._made.undo(self.kube.unrestricted, made)
