"""The echo backend: its pods, and the requests that they received."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from harness import observations
from harness.components.wait_for_log_lines import wait_for_lines
from harness.errors import SetupFailed
from harness.http_exchange import Answers
from harness.kube import Kube
from harness.logs import echo_server
from harness.logs.echo_server import Received
from harness.logs.unreadable import UnreadableLines
from harness.objects.address_with_port import url
from harness.objects.manifests import Document
from harness.objects.workloads import is_pod_ready, pod_ip

CONTAINER, PORT = "fortio", 8080


class Echo:
    """The pods of the Service echo, by workload: "echo-v1", "echo-v2"; or others of that image, by their labels."""

    def __init__(self, kube: Kube, labels: str = "app=echo", namespace: str = "", *, scheme: str = "http") -> None:
        self._kube, self._labels, self._namespace = kube, labels, namespace or kube.namespace
        self._scheme = scheme

    @property
    def urls(self) -> Mapping[str, str]:
        """The URL of each workload's one ready pod, which no Gateway is on the way to.

        Raises:
            SetupFailed: there is none.
        """
        pods = [pod for pod in self._kube.list_pods(self._namespace, self._labels) if is_pod_ready(pod)]
        if not pods:
            raise SetupFailed("the echo backend has no ready pod", remedy="see Deployments echo-v1 and echo-v2")
        return {_workload(pod): url(pod_ip(pod), PORT, "", scheme=self._scheme) for pod in pods}

    def read_received(
        self, answers: Answers, since: datetime, *, markers: Mapping[str, str]
    ) -> tuple[tuple[Received, ...], ...]:
        """What the backends received of each answer's request, in their order: () of one that none received.

        `markers` has the id of a later request to each workload, made past every proxy: once a log has that one, what
        it lacks was not received.

        Raises:
            Inconclusive: a log does not have its marker, or has lines that cannot be read.
        """
        unreadable = UnreadableLines()

        def look() -> Sequence[Received]:
            nonlocal unreadable
            logs = [
                echo_server.parse_echo_log(
                    self._kube.read_log(self._namespace, pod["metadata"]["name"], CONTAINER, since=since), workload
                )
                for pod in self._kube.list_pods(self._namespace, self._labels)
                if (workload := _workload(pod)) in markers
            ]
            unreadable = sum((log.unreadable for log in logs), UnreadableLines())
            return [one for log in logs for one in log.requests]

        found = wait_for_lines(
            look,
            lambda seen: (
                not unreadable
                and {(workload, f"e2e/{id}") for workload, id in markers.items()}
                <= {(one.backend, one.user_agent) for one in seen}
            ),
            what=f"the echo backends have logged {len(markers)} later requests",
            silence="the backends' logs do not show which requests they received",
            unreadable=lambda: unreadable,
        )
        by_agent: dict[str, list[Received]] = {}
        for one in sorted(found, key=lambda one: one.time):
            by_agent.setdefault(one.user_agent, []).append(one)
        received = tuple(tuple(by_agent.get(f"e2e/{id_}", ())) for id_ in answers.ids)
        sighting = f"{sum(map(len, received))} requests received, of {len(answers)} sent"
        raw = [one.raw for each in received for one in each]
        observations.record_sighting("echo backend log", sighting, of=[*answers.ids, *markers.values()], raw=raw)
        return received

    def read_tcp_clients(self, since: datetime, *, count: int) -> set[str]:
        """The addresses from which TCP connections came.

        Raises:
            Inconclusive: the log has fewer than `count` of them.
        """
        return self._clients(echo_server.tcp_clients, "TCP connections", since, count)

    def read_udp_clients(self, since: datetime, *, count: int) -> set[str]:
        """The addresses from which datagrams came.

        Raises:
            as `read_tcp_clients`.
        """
        return self._clients(echo_server.udp_clients, "datagrams", since, count)

    def _clients(self, read: Callable[[str, datetime], list[str]], what: str, since: datetime, count: int) -> set[str]:
        def look() -> list[str]:
            pods = self._kube.list_pods(self._namespace, self._labels)
            return [client for pod in pods for client in read(self._log(pod, since), since)]

        found = wait_for_lines(
            look,
            lambda clients: len(clients) >= count,
            what=f"the echo backends have logged {count} {what}",
            silence=f"the backends' logs have no line for {what}",
        )
        observations.record_sighting("echo backend log", f"{len(found)} {what} from {', '.join(sorted(set(found)))}")
        return set(found)

    def _log(self, pod: Document, since: datetime) -> str:
        return self._kube.read_log(self._namespace, pod["metadata"]["name"], CONTAINER, since=since)


def _workload(pod: Document) -> str:
    labels = pod["metadata"]["labels"]
    return f"{labels['app']}-{labels['version']}"
