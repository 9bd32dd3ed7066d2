"""The trace collector: the spans that it received for requests."""

from __future__ import annotations

from datetime import datetime

from harness import observations
from harness.components.wait_for_log_lines import wait_for_lines
from harness.http_exchange import Answers
from harness.kube import Kube
from harness.logs.unreadable import UnreadableLines
from harness.logs.zipkin_spans import Span, parse_spans, spans_of

CONTAINER, LABELS = "collector", "app=trace-collector"


class TraceCollector:
    """The collector's pods in the tests' namespace."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube

    def wait_for_spans(self, answers: Answers, since: datetime, *, each: int) -> list[list[Span]]:
        """The spans of each answer's traces, each span below its parent, joined by the id in the user agent of a span:
        once there are `each` of every request. Envoy reports every 5 seconds.

        Raises:
            Inconclusive: a request has fewer.
        """
        unreadable = UnreadableLines()

        def look() -> list[list[Span]]:
            nonlocal unreadable
            pods = self._kube.list_pods(self._kube.namespace, LABELS)
            parsed = [parse_spans(self._log(pod["metadata"]["name"], since)) for pod in pods]
            unreadable = sum((one.unreadable for one in parsed), UnreadableLines())
            spans = [span for one in parsed for span in one.spans]
            return [spans_of(f"e2e/{id_}", spans) for id_ in answers.ids]

        found = wait_for_lines(
            look,
            lambda spans: all(len(of_one) >= each for of_one in spans),
            what=f"{each} spans of each of {len(answers)} requests at the trace collector",
            silence="the trace collector has no span for some requests",
            unreadable=lambda: unreadable,
        )
        raw = [str(span) for of_one in found for span in of_one]
        observations.record_sighting("trace collector", f"{len(raw)} spans", of=answers.ids, raw=raw)
        return found

    def _log(self, pod: str, since: datetime) -> str:
        return self._kube.read_log(self._kube.namespace, pod, CONTAINER, since=since)
