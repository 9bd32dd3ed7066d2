"""The Envoy pods of one Gateway: which exist, are new or gone, and how to query each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from types import MappingProxyType

from harness.clients.admin import Admin
from harness.cluster.protocol import Capability
from harness.errors import CannotJudge, Inconclusive, SetupFailed
from harness.kube import Kube, ObjectMissing, RequestRejected
from harness.objects.manifests import Document
from harness.objects.unstructured import text
from harness.objects.workloads import OWNING_GATEWAY, is_pod_ready, pod_ip


class EnvoyPods:
    """One proxy pod, or several replicas, in the Gateway's own namespace."""

    def __init__(
        self,
        kube: Kube,
        admin: Admin,
        namespace: str,
        gateway: str,
        *,
        lacks: Mapping[Capability, str] = MappingProxyType({}),
    ) -> None:
        """`lacks` are capabilities of the cluster that are missing, with the reasons."""
        self._kube, self._admin, self.namespace, self.gateway = kube, admin, namespace, gateway
        self._lacks = lacks
        self._known: set[str] = set()  # pods whose lines were read since the last requests that all had theirs

    @property
    def pods(self) -> list[Document]:
        """Those that are ready.

        Raises:
            SetupFailed: there is none.
        """
        return self._ready(self._listed())

    @property
    def pod(self) -> Document:
        """The one that is ready.

        Raises:
            CannotJudge: there are several, and what is done to one says nothing of the others.
        """
        pods = self.pods
        if len(pods) > 1:
            raise CannotJudge(f"one replica: Gateway {self.namespace}/{self.gateway} has {len(pods)} ready proxy pods")
        return pods[0]

    @property
    def name(self) -> str:
        return _name(self.pod)

    @property
    def names(self) -> list[str]:
        """The names of those that are ready."""
        return [_name(pod) for pod in self.pods]

    @property
    def ips(self) -> list[str]:
        """The addresses of those that are ready."""
        return [pod_ip(pod) for pod in self.pods]

    def read_logs(self, since: datetime | None = None) -> dict[str, str]:
        """The log of each by pod; one that is on its way out still has lines.

        Raises:
            SetupFailed: none is ready.
        """
        listed = self._listed()
        found = {
            name: self._kube.read_log(self.namespace, name, "envoy", since=since)
            for name in map(_name, self._ready(listed))
        }
        for pod in listed:
            if pod["metadata"].get("deletionTimestamp"):
                with suppress(ObjectMissing, RequestRejected):  # it is gone meanwhile, or its container is
                    found[_name(pod)] = self._kube.read_log(self.namespace, _name(pod), "envoy", since=since)
        self._known |= found.keys()
        return found

    def _listed(self) -> list[Document]:
        return self._kube.list_objects("Pod", self.namespace, labels=f"{OWNING_GATEWAY}={self.gateway}")

    def _ready(self, listed: Iterable[Document]) -> list[Document]:
        ready = [pod for pod in listed if is_pod_ready(pod)]
        if not ready:
            raise SetupFailed(f"Gateway {self.namespace}/{self.gateway} has 0 ready proxy pods")
        return ready

    def _each(self, path: str) -> dict[str, str]:
        """The admin page of each, by pod."""
        return {name: self._admin.get(self.namespace, name, 19000, path) for name in self.names}

    @contextmanager
    def _naming_lost(self, since: datetime) -> Iterator[None]:
        """Lines that were awaited in vain may have gone with their pod: which came or went is added to the error."""
        try:
            yield
        except Inconclusive as error:
            lost = self._came_and_went(since)
            if not lost:
                raise
            raise Inconclusive(f"{lost}: its log is gone with it; {error}") from error
        self._known.clear()

    def _came_and_went(self, since: datetime) -> str:
        there = {_name(pod): pod for pod in self._listed() if not pod["metadata"].get("deletionTimestamp")}
        gone = sorted(self._known - there.keys())
        moment = f"{since:%Y-%m-%dT%H:%M:%SZ}"
        new = sorted(name for name, pod in there.items() if text(pod, "metadata", "creationTimestamp") > moment)
        changes = [*(f"proxy pod {one} is gone" for one in gone), *(f"proxy pod {one} is new" for one in new)]
        return ", ".join(changes)


def check_same_replicas(before: Iterable[str], after: Iterable[str]) -> None:
    """Sees that counters read twice are of the same pods.

    Raises:
        Inconclusive: one came or went meanwhile, and its counters with it; it is named.
    """
    gone, new = sorted({*before} - {*after}), sorted({*after} - {*before})
    if gone or new:
        changes = [*(f"{name} is gone" for name in gone), *(f"{name} is new" for name in new)]
        raise Inconclusive(f"a replica was replaced in the middle, and its counters with it: {', '.join(changes)}")


def _name(pod: Document) -> str:
    return str(pod["metadata"]["name"])
