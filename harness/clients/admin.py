"""Client for the admin ports of Envoy and ztunnel: opens each once, and reopens it when the pod is gone."""

from __future__ import annotations

import threading
from contextlib import ExitStack

from harness import progress
from harness.clients.http import fetch
from harness.cluster.protocol import Cluster
from harness.errors import Inconclusive
from harness.record_replay import recorded


class Admin:
    """Asks loopback ports of pods. `close` ends every tunnel."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._open: dict[tuple[str, str, int], tuple[ExitStack, str]] = {}
        self._lock = threading.Lock()

    @recorded("admin")
    def get(self, namespace: str, pod: str, port: int, path: str) -> str:
        """The text at a path of that port.

        Raises:
            Inconclusive: no answer, also through a reopened tunnel; a status other than 200.
        """
        try:
            return fetch(self._url(namespace, pod, port) + path)
        except Inconclusive as error:
            if "status" in str(error):
                raise
            # The tunnel, not the question, may be what broke: it is reopened once, and that is reported.
            progress.note(f"admin tunnel to {namespace}/{pod}:{port} reopened ({error})")
            self._drop(namespace, pod, port)
            return fetch(self._url(namespace, pod, port) + path)

    def close(self) -> None:
        for key in list(self._open):
            self._drop(*key)

    def _url(self, namespace: str, pod: str, port: int) -> str:
        key = (namespace, pod, port)
        with self._lock:
            if key not in self._open:
                stack = ExitStack()
                self._open[key] = stack, stack.enter_context(self._cluster.open(namespace, pod, port))
            return self._open[key][1]

    def _drop(self, namespace: str, pod: str, port: int) -> None:
        with self._lock:
            stack, _ = self._open.pop((namespace, pod, port), (ExitStack(), ""))
        stack.close()
