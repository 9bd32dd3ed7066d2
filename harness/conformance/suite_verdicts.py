"""Verdicts on the results of the conformance suite: which backend answered, and whether the mesh was in the path.

The suite compares an HTTP or gRPC answer with the pod and namespace in its body; it accepts any answer to a DNS query.
Its coredns backend answers `foo.bar.com` by the plugin whoami, whose answer has an SRV record of the client's port
(https://coredns.io/plugins/whoami); its log has no line of it. Pure.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import yaml

from harness.conformance.suite_log import SuiteTest
from harness.logs import ztunnel
from harness.outcome import FAILURES, Outcome
from harness.strict_yaml import parse_yaml

NAMESPACES = "gateway-conformance-"  # how the names of the suite's namespaces begin
LONG = 5.0  # seconds of waiting that are worth a line, and a difference between two runs
_WHOAMI = re.compile(r"^_udp\.foo\.bar\.com\.\s+\d+\s+IN\s+SRV\s", re.MULTILINE)
_STATUS = re.compile(r"status: (\w+)")
_RECORD = re.compile(r"^(?!;)(\S+\s+\d+\s+IN\s+\w+\s.*)$", re.MULTILINE)
_RECEIVED = re.compile(  # by echo-basic over HTTP and gRPC, and by echo-advanced
    r"^(\S+) (\d{4}-\d\d-\d\dT[\d:.]+Z) .*(?:Echoing back request|Received over |(?:HTTP/\S+|GRPC) Request\b)"
)


@dataclass(frozen=True, slots=True)
class MeshPath:
    """The mesh in the path of one run: the suite's pods, those that are enrolled, and the connections between them in
    ztunnel's logs, HBONE and plain; of the HBONE ones those to the waypoint."""

    pods: int
    enrolled: int
    hbone: int
    plain: int
    waypoint: int = 0


@dataclass(frozen=True, slots=True)
class TestVerdict:
    """Our verdict on one test. `received` counts the requests that backends logged while it ran; `why` is empty where
    the test held."""

    test: str
    outcome: Outcome
    why: str
    seconds: float
    retries: int
    waited: float
    seen: str
    received: int


@dataclass(frozen=True, slots=True)
class Judged:
    """One run of the suite. `results` counts the suite's own results; `remarks` say why the run does not count."""

    name: str
    results: Mapping[str, int]
    verdicts: tuple[TestVerdict, ...]
    path: MeshPath
    remarks: tuple[str, ...]

    @property
    def outcomes(self) -> Mapping[str, int]:
        return Counter(one.outcome for one in self.verdicts)

    @property
    def held(self) -> bool:
        """Whether all that was judged held, and something was."""
        found = self.outcomes
        return bool(found.get(Outcome.HELD)) and not (found.keys() & FAILURES or self.remarks)

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "suite": dict(self.results),
            "outcomes": dict(self.outcomes),
            "mesh": asdict(self.path),
            "remarks": list(self.remarks),
            "tests": [asdict(one) for one in self.verdicts],
        }


def path_of(log: str, pods: int, enrolled: int) -> MeshPath:
    """The connections between the suite's pods in ztunnel's log, each once: by the line of the pod that opened it. The
    suite's own connections come from outside the mesh, and do not count."""
    lines = [one for one in ztunnel.parse_ztunnel_log(log).lines if one.direction == "outbound"]
    own = [one for one in lines if all((end.namespace or "").startswith(NAMESPACES) for end in (one.src, one.dst))]
    carried = [one for one in own if one.is_hbone]
    waypoint = sum((one.dst.workload or "").startswith("waypoint-") for one in carried)
    return MeshPath(pods, enrolled, len(carried), len(own) - len(carried), waypoint)


def requests(log: str) -> list[datetime]:
    """When the backends received a request, by their log, of which each line begins with its pod and time."""
    found = []
    for line in log.splitlines():
        if match := _RECEIVED.match(line):
            try:
                found.append(datetime.fromisoformat(match[2]))
            except ValueError:
                continue
    return sorted(found)


def judge(
    name: str,
    tests: Sequence[SuiteTest],
    report: str,
    received: Sequence[datetime],
    path: MeshPath,
    *,
    meshed: bool,
    waypoint: bool = False,
    twin: Judged | None = None,
    failure: str = "",
) -> Judged:
    """Our verdicts on a run. `meshed`, `waypoint`: whether the mesh and a waypoint were to be in the path; `twin`: the
    same tests outside the mesh; `failure`: what ended the suite before its tests."""
    before = {one.test: one for one in twin.verdicts} if twin else {}
    verdicts = tuple(_verdict(one, _during(one, received), before.get(one.name)) for one in tests)
    remarks = [failure] if failure else []
    if not any(one.result in ("passed", "failed") for one in tests):
        remarks.append("no test ran")
    remarks += _path_remarks(path, len(received), meshed=meshed) + _report_remarks(report, tests)
    if waypoint and not path.waypoint:
        remarks.append("no connection reached the waypoint, by ztunnel's lines")
    return Judged(name, Counter(one.result for one in tests), verdicts, path, tuple(remarks))


def differences(first: Judged, second: Judged) -> list[str]:
    """Tests that ended otherwise in two runs, or that waited for longer by more than LONG seconds: a sentence each."""
    before, found = {one.test: one for one in first.verdicts}, []
    for one in second.verdicts:
        other = before.get(one.test)
        if other is None:
            continue
        if other.outcome != one.outcome:
            found.append(f"{one.test}: {first.name} {other.outcome}, {second.name} {one.outcome}")
        elif abs(other.waited - one.waited) > LONG:
            waits = f"{first.name} {other.waited:.1f} s, {second.name} {one.waited:.1f} s"
            found.append(f"{one.test}: waited {waits}")
    return found


def skips(verdicts: Iterable[TestVerdict]) -> dict[str, list[str]]:
    """Skipped tests by the suite's reason."""
    found: dict[str, list[str]] = {}
    for one in verdicts:
        if one.outcome == Outcome.SKIPPED:
            found.setdefault(one.why or "no reason given", []).append(one.test)
    return found


def _during(test: SuiteTest, received: Sequence[datetime]) -> int:
    if test.began is None or test.ended is None:
        return 0
    return sum(test.began <= when <= test.ended for when in received)


def _verdict(test: SuiteTest, received: int, before: TestVerdict | None) -> TestVerdict:
    outcome, why = Outcome.HELD, ""
    if test.result == "skipped":
        outcome, why = Outcome.SKIPPED, test.why
    elif test.result == "unfinished":
        outcome, why = Outcome.INCONCLUSIVE, "the suite ended before the test did"
    elif test.result == "failed":
        last_seen = f"; last seen: {test.seen}" if test.seen else ""
        outcome, why = Outcome.BROKEN, f"{test.why or 'the test failed'}{last_seen}"
    elif strangers := [one for one in test.answers if not _WHOAMI.search(one)]:
        outcome, why = Outcome.BROKEN, f"passed, but the backend did not answer: {_told(strangers[-1])}"
    elif test.relapses:
        outcome = Outcome.INCONCLUSIVE
        why = f"passed, but {test.relapses} wrong answers came after right ones to the same request: by chance?"
    elif before and before.outcome == Outcome.HELD and before.received and test.sends_traffic and not received:
        outcome = Outcome.INCONCLUSIVE
        why = f"passed, but no backend logged a request; outside the mesh they logged {before.received}"
    return TestVerdict(test.name, outcome, why, test.seconds, test.retries, test.waited, test.seen, received)


def _told(answer: str) -> str:
    """What a DNS response says, in one line."""
    status, records = _STATUS.search(answer), _RECORD.findall(answer)
    held = "; ".join(" ".join(one.split()) for one in records) or "no records"
    return f"{status[1] if status else 'no status'}, {held[:160]} (coredns whoami has a record _udp.foo.bar.com. SRV)"


def _path_remarks(path: MeshPath, received: int, *, meshed: bool) -> list[str]:
    if meshed and not path.enrolled:
        return ["the mesh was not in the path: no pod of the suite is enrolled"]
    if meshed and received and not path.hbone:  # a run of UDP alone has none
        return [f"the mesh was not in the path: backends logged {received} requests, ztunnel no HBONE connection"]
    if meshed and path.plain:
        return [f"the mesh was not always in the path: {path.plain} connections between the suite's pods were plain"]
    if not meshed and (path.hbone or path.enrolled):
        return [f"the mesh was in the path: {path.hbone} HBONE connections, {path.enrolled} pods enrolled"]
    return []


def _report_remarks(report: str, tests: Sequence[SuiteTest]) -> list[str]:
    """Where the suite's report says otherwise than its log."""
    if not report.strip():
        return ["the suite left no report"]
    try:
        profiles = (parse_yaml(report) or {}).get("profiles") or []
        named = {
            test
            for one in profiles
            for part in ("core", "extended")
            for test in (one.get(part) or {}).get("failedTests") or []
        }
    except (yaml.YAMLError, AttributeError, TypeError):
        return ["the suite's report cannot be read"]
    failed = {one.name for one in tests if one.result == "failed"}
    if odd := sorted(named - failed):
        return [f"the report says that these failed, the log does not: {', '.join(odd)}"]
    return []
