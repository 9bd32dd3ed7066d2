"""Logs which Kubernetes API requests a process made: verb, group, resource, namespace."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

import kubernetes

WRITES: Mapping[str, str] = {"POST": "create", "PUT": "update", "PATCH": "patch"}


class ApiRequest(NamedTuple):
    """One kind of request. `resource` is the plural name, with its subresource ("pods/log"); `namespace` is empty for
    cluster-scoped resources and for lists of all namespaces."""

    verb: str
    group: str
    resource: str
    namespace: str = ""


class Requests:
    """Counts requests by kind. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: Counter[ApiRequest] = Counter()

    @property
    def made(self) -> Mapping[ApiRequest, int]:
        """How many of each kind were made so far."""
        with self._lock:
            return dict(self._made)

    def add(self, one: ApiRequest | None) -> None:
        """Counts one; None is a request of no resource, which needs no right of its own."""
        if one is not None:
            with self._lock:
                self._made[one] += 1


REQUESTS = Requests()


def request_of(method: str, path: str, query: Mapping[str, Any] | None = None) -> ApiRequest | None:
    """What an authorizer makes of a request; None for discovery, /version and health.

    >>> request_of("GET", "/api/v1/namespaces/default/pods/a/log")
    ApiRequest(verb='get', group='', resource='pods/log', namespace='default')
    """
    parts = [part for part in path.split("/") if part]
    if parts[:2] == ["api", "v1"]:
        group, rest = "", parts[2:]
    elif parts[:1] == ["apis"] and len(parts) > 3:
        group, rest = parts[1], parts[3:]
    else:
        return None
    if not rest:
        return None
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 1:
        # An object namespace is in itself, for an authorizer.
        namespace, rest = rest[1], rest if len(rest) == 2 else rest[2:]
    name, subresource = (rest[1] if len(rest) > 1 else ""), "".join(rest[2:3])  # what follows is no part of it
    verb = WRITES.get(method, "")
    if method == "GET":
        watching = str((query or {}).get("watch", "")).lower() in ("1", "true")
        verb = "get" if name else "watch" if watching else "list"
    elif method == "DELETE":
        verb = "delete" if name else "deletecollection"
    return ApiRequest(verb, group, "/".join(filter(None, (rest[0], subresource))), namespace)


class CountingClient(kubernetes.client.ApiClient):
    """The official client, which counts what it is about to send."""

    def param_serialize(self, *args: Any, **kwargs: Any) -> Any:
        """Every request passes here, also one that goes on as a websocket."""
        asked = super().param_serialize(*args, **kwargs)
        url = str(asked[1])
        query = dict(pair.partition("=")[::2] for pair in url.partition("?")[2].split("&"))
        path = url.partition("?")[0].removeprefix(str(self.configuration.host).rstrip("/"))
        REQUESTS.add(request_of(str(asked[0]), path, query))
        return asked
