"""A read-only Kubernetes client with a limited rate, for other people's clusters."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

from kubernetes.client.exceptions import ApiException

from harness import progress, timeouts
from harness.errors import HarnessError
from harness.kube.client import Kube
from harness.kube.errors import ApiUnavailable, ObjectMissing
from harness.kube.request_log import ApiRequest
from harness.kube.transport import bounds
from harness.objects.unstructured import Json
from harness.wait import pause

PAGE = 500  # objects a request, as kubectl asks for
PER_SECOND = 20.0  # requests; half of what kubectl's own client-side limit allows (50)
REVIEWS = "authorization.k8s.io"
PAGES = 200  # of one list: 100,000 objects; beyond that the list is not read
# The server leaves out spec and status: names, labels and annotations are all that is asked for.
METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"


class Kind(NamedTuple):
    """Where a kind is served, and whether names and labels are enough."""

    group: str
    plural: str
    metadata: bool = False


@dataclass(frozen=True)
class Objects:
    """Objects by kind; the kinds that the server does not serve (they have no objects); why others were not read."""

    objects: dict[str, tuple[Json, ...]] = field(default_factory=dict)
    not_served: set[str] = field(default_factory=set)
    unread: dict[str, str] = field(default_factory=dict)


class ReadOnlyClient:
    """One API server, read slowly. `calls` counts the requests made, discovery's included; `clock` is by how many
    seconds the server's clock is ahead of this machine's, by the first answer's Date (whole seconds); None without."""

    def __init__(self, kube: Kube, *, per_second: float = 0) -> None:
        """0 requests a second: PER_SECOND."""
        self.calls = 0
        self.clock: float | None = None
        self._kube, self._every = kube, 1 / (per_second or PER_SECOND)
        self._api: Any = None
        self._next = 0.0
        self._groups: dict[str, list[str]] | None = None
        self._served: dict[str, dict[str, tuple[str, bool]]] = {}  # by base: kind, its name in paths, whether it lists

    def read_version(self) -> str:
        """The server's version: "v1.34.4"."""
        return str(self._get("/version").get("gitVersion", ""))

    def list_objects(self, group: str, kind: str, *, metadata: bool = False) -> list[dict[str, Any]]:
        """Every object of a kind, in the version that the server prefers; with `metadata` without spec and status.

        Raises:
            ObjectMissing: the server does not serve the kind.
            RequestRejected: these credentials may not list it.
            ApiUnavailable: the server did not answer, or the list is longer than PAGES pages.
        """
        base, name = self._resource(group, kind)
        found: list[dict[str, Any]] = []
        query: dict[str, str] = {"limit": str(PAGE)}
        for _ in range(PAGES):
            page = self._get(f"{base}/{name}", query, METADATA if metadata else "application/json")
            api_version = base.removeprefix("/apis/").removeprefix("/api/")
            # Items of a list carry no kind of their own.
            found += [item | {"apiVersion": api_version, "kind": kind} for item in page.get("items") or []]
            more = (page.get("metadata") or {}).get("continue")
            if not more:
                return found
            query["continue"] = more
        raise ApiUnavailable(f"{kind}: more than {PAGES * PAGE} objects, not read")

    def read_kinds(self) -> list[tuple[str, str]]:
        """(group, kind) of everything that the server can list, each kind once: in its group's preferred version."""
        found: dict[tuple[str, str], None] = {}
        for group in ("", *self._known_groups()):
            for version in self._versions(group):
                served = self._resources(group, version)
                found |= {(group, kind): None for kind, (_, lists) in served.items() if lists}
        return list(found)

    def read(self, kinds: Mapping[str, Kind], before: Objects | None = None) -> Objects:
        """Every object of these kinds, with what was read before. A kind that is not served, or cannot be listed, does
        not end it."""
        found = before or Objects()
        for kind, where in kinds.items():
            progress.awaiting("reads the cluster", kind)
            try:
                found.objects[kind] = tuple(self.list_objects(where.group, kind, metadata=where.metadata))
            except ObjectMissing:
                found.objects[kind] = ()
                found.not_served.add(kind)
            except HarnessError as error:
                found.unread[kind] = error.args[0]
        return found

    def get(self, path: str) -> dict[str, Any]:
        """The object at a path of the API.

        Raises:
            ObjectMissing: it does not exist.
            RequestRejected: these credentials may not get it.
        """
        return self._get(path)

    def read_log(self, namespace: str, pod: str, container: str, *, lines: int, limit: int) -> str:
        """The last lines of a container's log, `limit` bytes of them at most."""
        query = {"container": container, "tailLines": str(lines), "limitBytes": str(limit)}
        return self._request(f"/api/v1/namespaces/{namespace}/pods/{pod}/log", query, "*/*").decode(errors="replace")

    def is_allowed(self, request: ApiRequest) -> bool:
        """Whether these credentials may make a request: the server's authorizer is asked, and nothing is made.

        Raises:
            RequestRejected: they may not even ask.
        """
        resource, _, subresource = request.resource.partition("/")
        asked = {"verb": request.verb, "group": request.group, "resource": resource, "namespace": request.namespace}
        spec = {"resourceAttributes": asked | ({"subresource": subresource} if subresource else {})}
        review = {"apiVersion": f"{REVIEWS}/v1", "kind": "SelfSubjectAccessReview", "spec": spec}
        path = f"/apis/{REVIEWS}/v1/selfsubjectaccessreviews"
        answer = json.loads(self._request(path, {}, "application/json", review))
        return bool(isinstance(answer, dict) and (answer.get("status") or {}).get("allowed"))

    def _resource(self, group: str, kind: str) -> tuple[str, str]:
        for version in self._versions(group):
            served = self._resources(group, version)
            if kind in served:
                return _base(group, version), served[kind][0]
        raise ObjectMissing(f"kind {kind} of {group or 'the core group'} is not served here")

    def _resources(self, group: str, version: str) -> dict[str, tuple[str, bool]]:
        base = _base(group, version)
        if base not in self._served:
            listed = self._get(base).get("resources") or []
            own = [one for one in listed if "/" not in one["name"]]
            self._served[base] = {one["kind"]: (one["name"], "list" in one.get("verbs", [])) for one in own}
        return self._served[base]

    def _versions(self, group: str) -> Sequence[str]:
        """The versions of a group, the preferred one first."""
        return self._known_groups().get(group, []) if group else ["v1"]

    def _known_groups(self) -> Mapping[str, list[str]]:
        if self._groups is None:
            self._groups = {}
            for one in self._get("/apis").get("groups") or []:
                first = (one.get("preferredVersion") or {}).get("version", "")
                others = [v["version"] for v in one.get("versions") or [] if v["version"] != first]
                self._groups[one["name"]] = [first, *others] if first else others
        return self._groups

    def _get(
        self, path: str, query: Mapping[str, str] | None = None, accept: str = "application/json"
    ) -> dict[str, Any]:
        read = json.loads(self._request(path, query or {}, accept))
        if not isinstance(read, dict):
            raise ApiUnavailable(f"{path}: the answer is not a JSON object")
        return read

    def _request(
        self, path: str, query: Mapping[str, str], accept: str, body: Mapping[str, Any] | None = None
    ) -> bytes:
        self._pace()
        self.calls += 1
        return self._kube.call(path, lambda: self._answer(path, query, accept, body))

    def _answer(self, path: str, query: Mapping[str, str], accept: str, review: Mapping[str, Any] | None) -> bytes:
        if self._api is None:
            self._api = self._kube.new_api_client()
        asked = self._api.param_serialize(
            "POST" if review else "GET",
            path,
            query_params=list(query.items()),
            header_params={"Accept": accept} | ({"Content-Type": "application/json"} if review else {}),
            body=review,
            auth_settings=["BearerToken"],
        )
        began = time.time()
        answer = self._api.call_api(*asked, _request_timeout=bounds(timeouts.API))
        body = bytes(answer.read())
        if self.clock is None:
            self.clock = _ahead(answer.getheader("Date"), (began + time.time()) / 2)
        if not 200 <= answer.status < 300:
            raise ApiException(http_resp=answer, body=body.decode(errors="replace"))
        return body

    def _pace(self) -> None:
        now = time.monotonic()
        if now < self._next:
            pause(self._next - now, why="the rate of requests at an unknown cluster is limited")
        self._next = max(now, self._next) + self._every


def _ahead(date: str | None, now: float) -> float | None:
    """By how many seconds a Date header, which is cut to whole seconds, is ahead of `now`."""
    try:
        return parsedate_to_datetime(date).timestamp() + 0.5 - now if date else None
    except ValueError:
        return None


def _base(group: str, version: str) -> str:
    return f"/apis/{group}/{version}" if group else f"/api/{version}"
