"""The data type of what an audit read from a cluster: objects by kind, logs, and read errors. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cached_property

from harness.objects.unstructured import Json, mapping, text
from harness.version_sets import Limits

NEVER = datetime.min.replace(tzinfo=UTC)


class Unread(Exception):
    """A rule asked for a kind that could not be read; its check is then not judged."""


@dataclass(frozen=True)
class AuditState:
    """One cluster at one time.

    objects: every kind that was read, an empty tuple where there are none. unread: kinds that could not be read, and
    why. not_served: kinds that the server does not know, of which there are none. logs: by "namespace/pod"; None when
    no log was asked for. configs: likewise the active configuration of each Envoy of Envoy Gateway. config: Envoy
    Gateway's own configuration. mesh: Istio's, by "namespace/name" of the ConfigMap.
    """

    objects: Mapping[str, tuple[Json, ...]]
    unread: Mapping[str, str] = field(default_factory=dict)
    not_served: frozenset[str] = frozenset()
    logs: Mapping[str, str] | None = None
    unread_logs: Mapping[str, str] = field(default_factory=dict)
    configs: Mapping[str, Json] | None = None
    unread_configs: Mapping[str, str] = field(default_factory=dict)
    config: Json | None = None
    config_unread: str = ""
    kubernetes: str = ""
    now: datetime = NEVER
    limits: Limits | None = None
    ends: Mapping[str, date] = field(default_factory=dict)
    mesh: Mapping[str, Json] = field(default_factory=dict)

    def all_objects(self, *kinds: str) -> tuple[Json, ...]:
        """Every object of these kinds.

        Raises:
            Unread: one of them could not be read.
        """
        return tuple(obj for kind in kinds for obj in self._read(kind))

    def readable_objects(self, *kinds: str) -> tuple[Json, ...]:
        """Every object of those of these kinds that could be read."""
        return tuple(obj for kind in kinds for obj in self.objects.get(kind, ()))

    def find(self, kind: str, namespace: str, name: str) -> Json | None:
        """The object, or None if there is none.

        Raises:
            Unread: the kind could not be read: whether it is there is not known.
        """
        self._read(kind)
        return self._by_name.get((kind, namespace, name))

    def pods_of(self, service: Json) -> tuple[Json, ...]:
        """The pods that a Service selects; none for a Service without a selector."""
        wanted = mapping(service, "spec", "selector")
        return self.selected(text(service, "metadata", "namespace"), wanted) if wanted else ()

    def selected(self, namespace: str, wanted: Json) -> tuple[Json, ...]:
        """The pods of a namespace that have all these labels."""
        self._read("Pod")
        those = self._pods.get(namespace, ())
        return tuple(pod for pod in those if wanted.items() <= mapping(pod, "metadata", "labels").items())

    def _read(self, kind: str) -> tuple[Json, ...]:
        if kind not in self.objects:
            raise Unread(f"{kind}: {self.unread.get(kind, 'was not read')}")
        return self.objects[kind]

    @cached_property
    def _by_name(self) -> Mapping[tuple[str, str, str], Json]:
        return {
            (kind, text(obj, "metadata", "namespace"), text(obj, "metadata", "name")): obj
            for kind, those in self.objects.items()
            for obj in those
        }

    @cached_property
    def _pods(self) -> Mapping[str, tuple[Json, ...]]:
        by_namespace: dict[str, list[Json]] = {}
        for pod in self.objects.get("Pod", ()):
            by_namespace.setdefault(text(pod, "metadata", "namespace"), []).append(pod)
        return {namespace: tuple(those) for namespace, those in by_namespace.items()}


def labels_of(obj: Json) -> Json:
    """An object's labels."""
    return mapping(obj, "metadata", "labels")


def namespace_of(obj: Json) -> str:
    """An object's namespace."""
    return text(obj, "metadata", "namespace")


def object_name(obj: Json) -> str:
    """An object's name."""
    return text(obj, "metadata", "name")
