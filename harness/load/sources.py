"""Sources of background load: fortio inside the mesh, a paced client outside."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from harness import timeouts
from harness.clients import mesh
from harness.clients.http import IngressClient
from harness.components import Envoy
from harness.errors import Inconclusive
from harness.http_exchange import Answer, Request
from harness.kube import Kube
from harness.load import fortio_command
from harness.load.timeline import Sample
from harness.record_replay import act_for_recorded_call
from harness.wait import pause

CROWD, SOON = 64, 0.5  # threads of the client outside; seconds after which it does not wait for an answer
QPS, CONNECTIONS = 20.0, 2  # a client's; two cores serve two clients at once without effect on the results
LONGEST = 300.0  # seconds of a load: an upgrade of a product, on a busy machine


class LoadSource(Protocol):
    """Who sends: a client with a name."""

    @property
    def client(self) -> str: ...

    @property
    def accepted_statuses(self) -> Sequence[int]:
        """The statuses that count as served."""

    @property
    def proxy(self) -> Envoy | None:
        """The proxy whose access log has a line of each request, if there is one that lives as long as the load."""

    def run(self, id: str, begun: Callable[[], None], stop: threading.Event) -> Sequence[Sample]:
        """Sends until `stop` is set, LONGEST seconds at most, every request with `user-agent: e2e/<id>`, and tells of
        each; calls `begun` at the first."""


@dataclass(frozen=True, slots=True)
class MeshLoad:
    """fortio in the mesh client pod. `keep` reuses its connections; else each request has one of its own."""

    kube: Kube
    request: Request
    keep: bool
    proxy: Envoy | None = None
    accepted_statuses: Sequence[int] = (200,)
    qps: float = QPS
    who: str = "mesh client"

    @property
    def client(self) -> str:
        return f"{self.who}, {'kept connections' if self.keep else 'a connection each'}"

    def run(self, id: str, begun: Callable[[], None], stop: threading.Event) -> Sequence[Sample]:
        argv = fortio_command.fortio_arguments(
            self.request, id=id, qps=self.qps, connections=CONNECTIONS, seconds=LONGEST, keep=self.keep
        )
        within, name = LONGEST + timeouts.LOAD_END, mesh.read_client_pod(self.kube)["metadata"]["name"]
        ended = self.kube.exec_in_pod(
            self.kube.namespace, name, "fortio", argv, within=within, on_output=begun, stop=stop
        )
        if ended.code:
            raise Inconclusive(
                f"fortio ended with status {ended.code}: {(ended.stderr or ended.stdout).strip()[-300:]}"
            )
        return fortio_command.parse_samples(ended.stdout)


@dataclass(frozen=True, slots=True)
class IngressLoad:
    """The ingress client, a request and a connection every tenth of a second. It needs no Kubernetes API.

    One at a time unless one takes long: productpage closes idle connections after 2 s, and of two that Envoy has to it
    one is idle: a request in that moment gets 503 (UC), whatever a test does.
    """

    ingress: IngressClient
    request: Request
    proxy: Envoy | None = None
    accepted_statuses: Sequence[int] = (200,)
    qps: float = 10.0
    who: str = "ingress client"

    @property
    def client(self) -> str:
        return f"{self.who}, a connection each"

    def run(self, id: str, begun: Callable[[], None], stop: threading.Event) -> Sequence[Sample]:
        asked = replace(self.request, headers={"user-agent": f"e2e/{id}", **self.request.headers})
        began, found = time.monotonic(), list[Future[Sample]]()
        # A slow answer must not delay the next request, so there are more threads than connections are needed.
        with self.ingress.steady_sender() as send, ThreadPoolExecutor(max_workers=CROWD) as pool:
            for n in range(int(LONGEST * self.qps)):
                if stop.is_set():
                    break
                pause(max(0.0, began + n / self.qps - time.monotonic()), why="the flow's pace")
                found.append(pool.submit(act_for_recorded_call, partial(_one, send, asked)))
                begun()
                wait(found[-1:], timeout=SOON)
        return [one.result() for one in found]


def _one(send: Callable[[Request], Answer], request: Request) -> Sample:
    at = time.time()
    answer = send(request)
    return Sample(at, answer.ms, answer.status)
