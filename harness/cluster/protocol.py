"""The protocol that every cluster implements: kind, existing, emulated."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, get_args

from harness.objects.stack_places import DEFAULT_PLACES, StackPlaces
from harness.settings import ClusterKind

Capability = Literal[
    "load",
    "nodes",
    "two nodes",
    "upgrade",
    "many",
    "waypoint kinds",
    "istio gateways",
    "mtls",
    "disruptive",
    "own mesh",
    "load balancer",
    "no load balancer",
    "stack",
    "ingress",
    "waypoint",
    "rate limit",
    "limiter counters",
    "access log",
    "ztunnel log",
    "real gateway",
    "replicas",
]
CAPABILITIES: tuple[Capability, ...] = get_args(Capability)  # what a test can ask for by the mark `needs`


@dataclass(frozen=True, slots=True)
class Release:
    """One Helm install: `chart` is an archive's path or an oci:// reference (then with `version`)."""

    name: str
    chart: str
    version: str
    namespace: str
    values: Mapping[str, Any] = field(default_factory=dict)


class Requirement(NamedTuple):
    """Something that must hold before a cluster is made. `check` returns what it saw, or raises BadInput.

    The `last` one can only be checked when all others hold.
    """

    what: str
    check: Callable[[], str]
    last: bool = False


def single_replicas(replicas: int) -> dict[Capability, str]:
    """The capability that a cluster lacks whose proxies are installed with one replica each."""
    return {} if replicas > 1 else {"replicas": "one replica of each proxy: REPLICAS=2 installs two"}


def read_places(cluster: object) -> StackPlaces:
    """Where the stack runs: as preflight found it on an existing cluster, under its charts' names on all others."""
    found: StackPlaces = getattr(cluster, "places", DEFAULT_PLACES)
    return found


class Cluster(Protocol):
    """A Kubernetes API with the means to fill it, look behind it, and take it away again."""

    @property
    def kind(self) -> ClusterKind:
        """Which of the three it is; every result carries it."""

    @property
    def name(self) -> str: ...

    @property
    def home(self) -> Path:
        """Our own folder about it, on this machine: what is noted there outlives the process."""

    @property
    def kubeconfig(self) -> Path:
        """A kubeconfig file that reaches it. kind and emulated write one of their own, never the user's."""

    @property
    def context(self) -> str: ...

    @property
    def cannot_judge(self) -> Mapping[Capability, str]:
        """Capabilities that this cluster lacks, each with the reason shown where a claim is skipped."""

    @property
    def address_pools(self) -> Sequence[str]:
        """Ranges ("172.18.255.232-172.18.255.239") that the load balancer we install may assign; empty if we install
        none. Available once the cluster exists.

        Raises:
            SetupFailed: a load balancer was asked for, and there is no room for its addresses.
        """

    @property
    def requirements(self) -> Sequence[Requirement]:
        """What `create` checks before it makes anything, in this order; `mesh-e2e doctor` runs the very same."""

    def create(self) -> None:
        """Makes it, or takes the one of exactly this name that is there already.

        Raises:
            BadInput: what was asked for cannot be done (missing tool, wrong context); nothing was made.
            SetupFailed: it was tried and did not work.
        """

    def load_images(self, archives: Sequence[Path], *, everywhere: bool = False) -> None:
        """Puts image archives (docker save, OCI) on every node that will run them, or on all; does nothing where there
        are no nodes of ours."""

    def install(self, release: Release) -> None:
        """Puts one release in. Returns when the objects are there: readiness is awaited by the stack."""

    def uninstall(self, release: Release) -> None: ...

    def definitions(self, release: Release) -> list[dict[str, Any]]:
        """The custom resource definitions (and the policies that guard them) which this release's chart brings."""

    def remember(self, documents: Sequence[Mapping[str, Any]]) -> None:
        """Records what of the stack is about to be applied, so that `delete` removes that, and nothing that was there
        before.

        Raises:
            BadInput: something is there, not by us, that others need as it is.
        """

    def open(self, namespace: str, pod: str, port: int) -> AbstractContextManager[str]:
        """A base URL (http://host:port) that reaches a TCP port of that pod, loopback ones included, for the block."""

    def facts(self) -> Mapping[str, str]:
        """Versions and settings worth having in a report (kind, node image, docker, what stands in for what)."""

    def gather(self, into: Path) -> None:
        """What only this cluster can tell (node logs, emulator logs), written below `into`. Never raises."""

    def delete(self) -> None:
        """Takes away what `create` and `install` made, and nothing else. Safe to call twice."""
