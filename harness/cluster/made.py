"""What a run made in somebody else's cluster: kept in a file from before it was made, taken away in the right order."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from harness.kube import Kube, Missing
from harness.objects.refs import Ref, ref_of

LAST = ("CustomResourceDefinition", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding", "Namespace")


class Made:
    """A list of object names, and of labels put on what was there. It outlives the process that wrote it."""

    def __init__(self, file: Path) -> None:
        self._file = file
        held = json.loads(file.read_text()) if file.exists() else {}
        self._objects: list[list[str]] = held.get("objects", [])
        self._labels: list[list[str]] = held.get("labels", [])

    def remember(self, kube: Kube, documents: Iterable[Mapping[str, Any]]) -> None:
        """Notes what is not there yet; of what is there, the labels that it does not have."""
        for document in documents:
            named = ref_of(document)
            there = kube.find(named)
            if there is None:
                self._objects.append(_words(named))
                continue
            has = there["metadata"].get("labels") or {}
            new = [label for label in document["metadata"].get("labels") or {} if label not in has]
            self._labels += [[*_words(named), label] for label in new if _words(named) not in self._objects]
        self._file.write_text(json.dumps({"objects": self._objects, "labels": self._labels}))

    def undo(self, kube: Kube, between: Callable[[], None]) -> None:
        """Takes away objects, then calls `between` (for releases), then definitions and namespaces, then labels."""
        found = [_ref(words) for words in self._objects]
        kube.delete([named for named in found if named.kind not in LAST])
        between()
        kube.delete([named for named in found if named.kind in LAST])
        for *words, label in self._labels:
            try:
                kube.patch(_ref(words), {"metadata": {"labels": {label: None}}})
            except Missing:
                continue
        self._file.unlink(missing_ok=True)


def _words(named: Ref) -> list[str]:
    return [named.kind, named.name, named.namespace, named.api_version]


def _ref(words: Iterable[str]) -> Ref:
    return Ref(*words)
