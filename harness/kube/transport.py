"""The HTTP transport to the API server: time limits, few retries, no cache on disk."""

from __future__ import annotations

import logging
import os
from typing import Any, Self

import urllib3
from kubernetes.dynamic import DynamicClient, LazyDiscoverer

from harness import timeouts

# What it warns of is in our errors; its "Retrying" lines are noise between the results.
logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)


class BoundedClient(DynamicClient):
    """The official client, each of its requests bounded, discovery's included."""

    def request(self, method: str, path: str, body: Any = None, **params: Any) -> Any:
        params.setdefault("_request_timeout", bounds(timeouts.API))
        return super().request(method, path, body, **params)


class OnceMore(urllib3.Retry):
    """One more try for a read whose kept connection turned out to be closed. A server that does not take connections,
    or takes a request and is silent, is not asked again: that only multiplies the silence."""

    def increment(
        self,
        method: str | None = None,
        url: str | None = None,
        response: urllib3.BaseHTTPResponse | None = None,
        error: Exception | None = None,
        _pool: urllib3.connectionpool.ConnectionPool | None = None,
        _stacktrace: Any = None,
    ) -> Self:
        if error is not None and not (method == "GET" and isinstance(error, urllib3.exceptions.ProtocolError)):
            raise error
        return super().increment(method, url, response, error, _pool, _stacktrace)


class Discoverer(LazyDiscoverer):
    """Discovery kept in memory. The library's own cache is a file in /tmp, named by the server's address: threads
    overwrite each other's, and the next cluster on that address reads it."""

    def __init__(self, client: DynamicClient, _: str | None) -> None:
        super().__init__(client, f"{os.devnull}/no-cache")  # type: ignore[no-untyped-call]  # not annotated

    def _write_cache(self) -> None: ...


def bounds(seconds: float) -> tuple[float, float]:
    """Bounds to connect and to answer, as the client takes them."""
    return min(seconds, timeouts.API_CONNECT), seconds
