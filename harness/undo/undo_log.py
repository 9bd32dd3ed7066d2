"""A write-ahead log of objects created and changed in a cluster, for undoing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, NamedTuple

from harness import cluster_records
from harness.errors import BadInput
from harness.kube import Kube, ObjectMissing
from harness.objects.crds_and_admission_policies import DEFINITIONS
from harness.objects.kind_namespace_name import Ref, ref_of
from harness.objects.patches import inverse_patch
from harness.objects.unstructured import mapping

LAST = (*DEFINITIONS, "Namespace")


class UndoEntry(NamedTuple):
    """An object of ours, or one that we changed: `back` is then the merge patch that makes it what it was."""

    named: Ref
    back: Mapping[str, Any] | None = None


class UndoLog:
    """Notes in a file, which outlives the process that wrote it.

    Raises:
        BadInput: the file cannot be read: which objects are ours is unknown.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        try:
            self._notes = _read(file.read_text()) if file.exists() else []
        except (ValueError, TypeError, AttributeError) as error:
            raise BadInput(
                f"{file}, the record of the objects that runs created in a cluster, cannot be read: {error}",
                remedy="delete the run's objects in the cluster by hand, then delete that file",
            ) from error

    def __contains__(self, named: Ref) -> bool:
        return UndoEntry(named) in self._notes

    def __iter__(self) -> Iterator[Ref]:
        """The objects noted as made."""
        return iter([note.named for note in self._notes if note.back is None])

    def remember(self, kube: Kube, documents: Iterable[Mapping[str, Any]]) -> list[UndoEntry]:
        """Notes what of it does not exist yet; of what is there, the labels that it has otherwise. Returns these notes:
        what the caller is about to change."""
        new: list[UndoEntry] = []
        for document in documents:
            named = ref_of(document)
            there = kube.find(named)
            if there is None:
                new.append(UndoEntry(named))
                continue
            has, wanted = (mapping(one, "metadata", "labels") for one in (there, document))
            before = {key: has.get(key) for key, value in wanted.items() if has.get(key) != value}
            new += [UndoEntry(named, {"metadata": {"labels": before}})] if before else []
        self._keep([*self._notes, *(note for note in new if note not in self._notes)])
        return new

    def patch(self, kube: Kube, named: Ref, body: Mapping[str, Any]) -> list[UndoEntry]:
        """Changes what is there, noted before. Returns the note.

        Raises:
            ObjectMissing: it does not exist.
        """
        note = UndoEntry(named, inverse_patch(kube.get(named), body))
        self._keep([*self._notes, note])
        kube.patch(named, body)
        return [note]

    def undo(
        self, kube: Kube, notes: Sequence[UndoEntry] | None = None, *, between: Callable[[], None] = lambda: None
    ) -> list[UndoEntry]:
        """Takes back what was noted, or of it these: objects, then what `between` does (releases), then definitions and
        namespaces, then changes; each though another failed. What could not be taken back stays noted as a whole.

        Returns:
            What was taken back.
        """
        found = list(self._notes if notes is None else notes)
        objects = [note.named for note in found if note.back is None]
        with ExitStack() as rest:  # the last first
            for note in found:
                if note.back is not None:
                    rest.callback(_patch_back, kube, note.named, note.back)
            rest.callback(kube.delete, [named for named in objects if named.kind in LAST])
            rest.callback(between)
            kube.delete([named for named in objects if named.kind not in LAST])
        self._keep([note for note in self._notes if note not in found])
        return found

    def _keep(self, notes: list[UndoEntry]) -> None:
        self._notes = notes
        if not notes:
            self._file.unlink(missing_ok=True)
            return
        objects = [_words(note.named) for note in notes if note.back is None]
        changes = [[*_words(note.named), note.back] for note in notes if note.back is not None]
        cluster_records.write_atomically(self._file, json.dumps({"objects": objects, "changes": changes}))


def _patch_back(kube: Kube, named: Ref, back: Mapping[str, Any]) -> None:
    with suppress(ObjectMissing):
        kube.patch(named, back)


def _read(text: str) -> list[UndoEntry]:
    """{objects: [[kind, name, namespace, apiVersion]], changes: [[the same four, merge patch]]}; older files have
    labels: [[the same four, a label that was not there]]."""
    held = json.loads(text)
    older = [
        UndoEntry(Ref(*words), {"metadata": {"labels": {label: None}}}) for *words, label in held.get("labels", [])
    ]
    changes = [UndoEntry(Ref(*words), dict(back)) for *words, back in held.get("changes", [])]
    return [*(UndoEntry(Ref(*words)) for words in held.get("objects", [])), *older, *changes]


def _words(named: Ref) -> list[str]:
    return [named.kind, named.name, named.namespace, named.api_version]
