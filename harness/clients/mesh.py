"""The client inside the mesh: runs curl in an enrolled pod by exec."""

from __future__ import annotations

import json
from collections.abc import Sequence

from harness import observations, timeouts
from harness.clients import curl_command
from harness.errors import Inconclusive, SetupFailed
from harness.http_exchange import Answer, Answers, Request, unique_name
from harness.kube import Kube
from harness.objects.manifests import Document
from harness.objects.workloads import pod_ip

LABELS, CONTAINER = "app=mesh-client", "curl"


class MeshClient:
    """Sends from a pod of the mesh. Its identity is .../sa/mesh-client; another pod with curl in it may be named."""

    def __init__(self, kube: Kube, labels: str = LABELS) -> None:
        self._kube, self._labels = kube, labels

    def send_in_turn(self, request: Request, times: int = 1) -> Answers:
        """Sends the request that many times, each after the answer to the one before."""
        return self._send([request] * times, at_once=1)

    def send_together(self, request: Request, times: int) -> Answers:
        """Sends the request that many times together, a connection each."""
        return self._send([request] * times, at_once=times)

    def send_each(self, requests: Sequence[Request]) -> Answers:
        """Sends different requests in turn."""
        return self._send(requests, at_once=1)

    def send(self, request: Request) -> Answer:
        """Sends it once."""
        return self.send_in_turn(request)[0]

    @property
    def ip(self) -> str:
        """The address of its pod."""
        return pod_ip(read_client_pod(self._kube, self._labels))

    def run_program(self, argv: Sequence[str]) -> str:
        """What a program in its container writes."""
        name = read_client_pod(self._kube, self._labels)["metadata"]["name"]
        return self._kube.exec_in_pod(self._kube.namespace, name, CONTAINER, argv, within=timeouts.EXEC).stdout

    def fortio(self, url: str, times: int, *, grpc: bool = False) -> dict[str, int]:
        """Sends so many TCP messages or gRPC pings, in turn over one connection: how many ended in which way
        ("OK": came back as they were, "SERVING" for gRPC).

        Raises:
            Inconclusive: fortio wrote no result.
        """
        argv = ["/usr/bin/fortio", "load", "-quiet", "-loglevel", "Critical", "-allow-initial-errors"]
        argv += ["-n", str(times), "-c", "1", "-qps", "0", *(["-grpc", "-ping"] if grpc else []), "-json", "-", url]
        name = read_client_pod(self._kube, self._labels)["metadata"]["name"]
        ended = self._kube.exec_in_pod(self._kube.namespace, name, "fortio", argv, within=timeouts.EXEC)
        try:
            counts = json.loads(ended.stdout[ended.stdout.index("{") :])["RetCodes"]
        except (ValueError, KeyError) as error:
            raise Inconclusive(f"fortio wrote no result to {url}: {(ended.stderr or ended.stdout)[-300:]}") from error
        observations.record_sighting("fortio in the mesh client", f"{counts} from {url}")
        return {str(code): int(count) for code, count in counts.items()}

    def _send(self, requests: Sequence[Request], *, at_once: int) -> Answers:
        ids = [unique_name("rq") for _ in requests]
        argv = curl_command.curl_arguments(requests, ids, at_once=at_once, max_time=timeouts.HTTP)
        name = read_client_pod(self._kube, self._labels)["metadata"]["name"]
        ended = self._kube.exec_in_pod(self._kube.namespace, name, CONTAINER, argv, within=timeouts.EXEC)
        if not ended.stdout.strip():
            where = f"{self._kube.namespace}/{name}"
            raise Inconclusive(f"curl in {where} wrote nothing (status {ended.code}): {ended.stderr[-300:]}")
        answers = curl_command.parse_answers(ended.stdout, ids)
        raw = answers.raw(requests, together=at_once > 1)
        who = "mesh client" if self._labels == LABELS else self._labels.removeprefix("app=")
        observations.record_sighting(who, f"{answers!r} to {requests[0].url}", of=ids, raw=raw)
        return answers


def read_client_pod(kube: Kube, labels: str = LABELS) -> Document:
    """The client's pod: the first that has an address.

    Raises:
        SetupFailed: there is none.
    """
    pods = [p for p in kube.list_pods(kube.namespace, labels) if pod_ip(p)]
    if not pods:
        name = labels.removeprefix("app=")
        raise SetupFailed(f"the {name} has no running pod", remedy=f"is Deployment/{kube.namespace}/{name} there?")
    return pods[0]
