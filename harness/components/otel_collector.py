"""The OpenTelemetry collector (manifests/base/otel_collector.yaml): spans and log records it received of requests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TypeVar

from harness import observations
from harness.components.wait_for_log_lines import wait_for_lines
from harness.http_exchange import Answers
from harness.kube import Kube
from harness.logs.otlp import Received, Span, parse_collector_log, spans_of
from harness.logs.unreadable import UnreadableLines

CONTAINER, LABELS = "collector", "app=otel-collector"
T = TypeVar("T")


class OtelCollector:
    """The collector's pod in the tests' namespace."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube

    def wait_for_spans(self, answers: Answers, since: datetime, *, each: int) -> list[list[Span]]:
        """The spans of each answer's traces, each span below its parent, joined by the id in the user agent of a span:
        once there are `each` of every request. Envoy reports every 5 seconds.

        Raises:
            Inconclusive: a request has fewer.
        """
        return self._wait("spans", lambda agent, found: spans_of(agent, found.spans), answers, since, each)

    def wait_for_records(self, answers: Answers, since: datetime, *, each: int) -> list[list[Mapping[str, str]]]:
        """The attributes of each answer's log records, joined by the attribute `user-agent`, once there are `each`.

        Raises:
            Inconclusive: a request has fewer.
        """

        def of(agent: str, found: Received) -> list[Mapping[str, str]]:
            return [one for one in found.records if one.get("user-agent") == agent]

        return self._wait("log records", of, answers, since, each)

    def _wait(
        self, what: str, of: Callable[[str, Received], list[T]], answers: Answers, since: datetime, each: int
    ) -> list[list[T]]:
        unreadable = UnreadableLines()

        def look() -> list[list[T]]:
            nonlocal unreadable
            pods = self._kube.list_pods(self._kube.namespace, LABELS)
            received = parse_collector_log("\n".join(self._log(pod["metadata"]["name"], since) for pod in pods))
            unreadable = received.unreadable
            return [of(f"e2e/{id_}", received) for id_ in answers.ids]

        found = wait_for_lines(
            look,
            lambda seen: all(len(of_one) >= each for of_one in seen),
            what=f"{each} {what} of each of {len(answers)} requests at the OpenTelemetry collector",
            silence=f"the OpenTelemetry collector has no {what} for some requests",
            unreadable=lambda: unreadable,
        )
        raw = [str(one) for of_one in found for one in of_one]
        observations.record_sighting("OpenTelemetry collector", f"{len(raw)} {what}", of=answers.ids, raw=raw)
        return found

    def _log(self, pod: str, since: datetime) -> str:
        return self._kube.read_log(self._kube.namespace, pod, CONTAINER, since=since)
