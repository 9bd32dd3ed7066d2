"""The data types for causes: the state of the cluster, the failure, and a cause. Pure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from harness.logs.envoy_access import AccessLine
from harness.logs.ztunnel import BindFailure, ZtunnelLine
from harness.objects.stack_places import DEFAULT_PLACES
from harness.objects.unstructured import Json, text

ROUTE = re.compile(r"^httproute/([^/]+)/([^/]+)/")  # namespace and name in Envoy Gateway's name of a route
_COMPARED = re.compile(r"\bassert (.*) == .*")


@dataclass(frozen=True, slots=True)
class Cause:
    """One sentence that says why, and the objects that it is about ("Kind/namespace/name").

    `final` is whether waiting does not help: an object has to be changed or created.
    """

    sentence: str
    objects: tuple[str, ...] = ()
    final: bool = False


@dataclass(frozen=True, slots=True)
class AccessRecord:
    """A line of the access log of the Gateway of this name."""

    gateway: str
    line: AccessLine


@dataclass(frozen=True, slots=True)
class AccessLog:
    """How many lines the access log of a Gateway's proxies has, how many are of the test's own requests, and how many
    look like access lines and could not be read."""

    lines: int
    own: int = 0
    unreadable: int = 0


@dataclass(frozen=True, slots=True)
class ClusterState:
    """What was read. `objects` has the objects by kind; a kind that is missing in it could not be read, and a kind with
    no objects has none. `namespaces` are those that were read, empty: all. `ours` are the objects that the suite's own
    manifests name ("Kind/namespace/name"), `wanted` those that the harness has in the cluster now, with the fields that
    it wrote, `removed` those that it deleted. `logs` are the access logs that were read since the first request, by
    Gateway. `home` is the namespace of the run, `root_namespace` the one whose Istio policies are mesh-wide. `since` is
    when the test observed something first.
    """

    objects: Mapping[str, Sequence[Json]] = field(default_factory=dict)
    namespaces: frozenset[str] = frozenset()
    access: Sequence[AccessRecord] = ()
    connections: Sequence[ZtunnelLine] = ()
    bind_failures: Sequence[BindFailure] = ()
    ours: frozenset[str] = frozenset()
    wanted: Mapping[str, Json] = field(default_factory=dict)
    removed: frozenset[str] = frozenset()
    home: str = "default"
    root_namespace: str = DEFAULT_PLACES.root_namespace
    logs: Mapping[str, AccessLog] = field(default_factory=dict)
    since: datetime | None = None
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def objects_of(self, kind: str) -> Sequence[Json]:
        """The objects of a kind that were read."""
        return self.objects.get(kind, ())

    def find(self, kind: str, namespace: str, name: str) -> Json | None:
        """One object; "" as namespace of a kind that has none."""
        return next((one for one in self.objects_of(kind) if name_parts(one) == (namespace, name)), None)

    def is_known_missing(self, kind: str, namespace: str, name: str) -> bool:
        """Whether it is known that there is no such object. False where that was not read."""
        read = kind in self.objects and (not namespace or not self.namespaces or namespace in self.namespaces)
        return read and self.find(kind, namespace, name) is None

    def similar_name_text(self, kind: str, namespace: str, name: str) -> str:
        """The question whether an existing object with a similar name was meant, or nothing."""
        known = [found for where, found in map(name_parts, self.objects_of(kind)) if where == namespace]
        return similar_names_text(name, known)


@dataclass(frozen=True, slots=True)
class ClientRequest:
    """A request that was sent: the URL ("" if it is not known), its status (None without a response), its error, and
    the id by which access logs have it. `sent` counts what was sent together, and `quota` is the
    response's x-ratelimit-limit. `local` is the client's own address:port, `via` how it reached the cluster."""

    url: str
    status: int | None
    error: str = ""
    id: str = ""
    sent: int = 0
    quota: str = ""
    local: str = ""
    via: str = ""


@dataclass(frozen=True, slots=True)
class FailureFacts:
    """What failed: an awaited condition of an object ("Kind/namespace/name"), or a claim about requests. `text` is the
    message of the failure, `read` the objects whose status the test read, `counters` what counters did meanwhile
    ("waypoint counters: upstream_rq_pending_overflow moved by 0"), `changes` what was observed of objects that were
    not as the harness applied them, before it deleted them.
    """

    object: str = ""
    condition: str = ""
    text: str = ""
    calls: Sequence[ClientRequest] = ()
    read: Sequence[str] = ()
    counters: Sequence[str] = ()
    changes: Sequence[str] = ()

    @property
    def found(self) -> str:
        """The message without what was expected: the right side of a comparison is not what happened."""
        first = self.text.strip().partition("\n")[0]
        compared = _COMPARED.search(self.text)
        return f"{first if compared[0] not in first else ''}{compared[1]}" if compared else self.text

    @property
    def statuses(self) -> set[int]:
        return {call.status for call in self.calls if call.status is not None}

    @property
    def failed_calls(self) -> list[ClientRequest]:
        """Requests without a response, or with a status of 400 or more."""
        return [call for call in self.calls if call.status is None or call.status >= 400]


def name_parts(obj: Json) -> tuple[str, str]:
    """Namespace ("" if none) and name of an object."""
    return text(obj, "metadata", "namespace"), text(obj, "metadata", "name")


def object_key(obj: Json) -> str:
    """ "Kind/namespace/name", or "Kind/name"."""
    return "/".join(part for part in (text(obj, "kind"), *name_parts(obj)) if part)


def describe(kind: str, namespace: str, name: str) -> str:
    """ "HTTPRoute default/ratings", as messages name an object."""
    return f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}"


def age_text(obj: Json, now: datetime) -> str:
    """ "created 12 s ago", in the largest unit that fits; "" where the object does not say when it was created."""
    try:
        seconds = (now - datetime.fromisoformat(text(obj, "metadata", "creationTimestamp"))).total_seconds()
    except (ValueError, TypeError):
        return ""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"created {seconds / size:.0f} {unit} ago"
    return f"created {max(0.0, seconds):.0f} s ago"


def foreign_text(obj: Json, now: datetime) -> str:
    """ "not of this suite, created 12 s ago"."""
    return ", ".join(part for part in ("not of this suite", age_text(obj, now)) if part)


def selected_pods_text(policy: Json, root_namespace: str) -> str:
    """The pods an Istio policy applies to: "pods with app=x,version=v1"; without a selector "its namespace", or "the
    whole mesh" in the root namespace."""
    selector = labels(policy, "spec", "selector", "matchLabels")
    if selector:
        return f"pods with {','.join(f'{k}={v}' for k, v in selector.items())}"
    return "the whole mesh" if name_parts(policy)[0] == root_namespace else "its namespace"


def similar_names_text(name: str, known: Iterable[str]) -> str:
    """ " (did you mean eg-ingress?)" where a known name is similar; else the known names, at most five; else ""."""
    names = sorted(set(known))
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.7)
    if near:
        return f" (did you mean {near[0]}?)"
    return f" (there is {join_limited(names)})" if names else ""


def join_limited(names: Sequence[str], limit: int = 5) -> str:
    """ "a, b and 3 more"."""
    more = len(names) - limit
    return ", ".join(names[:limit]) + (f" and {more} more" if more > 0 else "")


def labels(obj: Json, *path: str) -> dict[str, str]:
    """A map of strings of the object: its labels, unless `path` says another."""
    found: object = obj
    for part in path or ("metadata", "labels"):
        found = found.get(part) if isinstance(found, Mapping) else None
    return {str(k): str(v) for k, v in found.items()} if isinstance(found, Mapping) else {}


def selects(selector: Mapping[str, str], obj: Json) -> bool:
    """Whether the object has all of these labels."""
    return selector.items() <= labels(obj).items()


def pods_of(state: ClusterState, namespace: str, selector: Mapping[str, str]) -> Iterator[Json]:
    """The pods of a namespace with these labels."""
    return (pod for pod in state.objects_of("Pod") if name_parts(pod)[0] == namespace and selects(selector, pod))
