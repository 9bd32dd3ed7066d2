"""The Envoy replicas of one Gateway: access logs, configuration, counters, clusters."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from harness import observations
from harness.components.envoy_counters import EnvoyCounters
from harness.components.wait_for_log_lines import check_all_lines_readable, wait_for_lines
from harness.errors import Absent, CannotJudge, Inconclusive
from harness.evidence.journey import ingress_pod_ip
from harness.http_exchange import Answers
from harness.logs import envoy_access, envoy_xds_rejects
from harness.logs.envoy_access import AccessLine
from harness.logs.unreadable import UnreadableLines
from harness.objects.unstructured import objects, text
from harness.proxy import clusters
from harness.proxy.config_dump import active_cluster, error_states, max_pending_requests, route_config

Json = dict[str, Any]
V8 = "envoy.wasm.runtime.v8"


class Envoy(EnvoyCounters):
    """The proxies of one Gateway of Envoy Gateway's, in the Gateway's own namespace: one, or several replicas."""

    @property
    def version(self) -> str:
        """Its own word: the second part of "<commit>/1.37.5/Clean/RELEASE/BoringSSL"; of several replicas each other
        one's as well."""
        parts_of_versions = (
            str(json.loads(page)["version"]).split("/") for page in self._each("/server_info").values()
        )
        return ", ".join(sorted({parts[1] if len(parts) > 1 else "" for parts in parts_of_versions}))

    def has_wasm_runtime(self) -> bool:
        """Whether every replica was built with V8, which runs Wasm modules."""
        pages = [json.loads(page) for page in self._each("/server_info").values()]
        return all(any(text(e, "name") == V8 for e in objects(page, "node", "extensions")) for page in pages)

    def read_access_log(self, since: datetime) -> envoy_access.ParsedAccessLog:
        """All access lines of all replicas written after that moment (and a few before), by their time, and what could
        not be read.

        Raises:
            CannotJudge: the proxies of this cluster write none that could be read.
        """
        if "access log" in self._lacks:
            raise CannotJudge(f"access log: {self._lacks['access log']}")
        logs = [envoy_access.parse_access_log(log) for log in self.read_logs(since).values()]
        if len(logs) == 1:
            return logs[0]
        lines = sorted((line for log in logs for line in log.lines), key=lambda line: line.end_time)
        return envoy_access.ParsedAccessLog(tuple(lines), sum((log.unreadable for log in logs), UnreadableLines()))

    def wait_for_lines(self, answers: Answers, since: datetime) -> list[AccessLine]:
        """The access line of each answer, in their order, joined by the id in the user agent.

        Raises:
            Inconclusive: an id has no line, or more than one; or there was no answer to look for.
        """
        if not answers:
            raise Inconclusive("no answers: no access lines to look for")
        wanted = {f"e2e/{id_}" for id_ in answers.ids}
        log = envoy_access.ParsedAccessLog(())

        def look() -> dict[str, list[AccessLine]]:
            nonlocal log
            found: dict[str, list[AccessLine]] = {}
            log = self.read_access_log(since)
            for line in log.lines:
                if line.user_agent in wanted:
                    found.setdefault(str(line.user_agent), []).append(line)
            return found

        with self._naming_lost(since):
            found = wait_for_lines(
                look,
                lambda lines: wanted <= set(lines),
                what=f"access lines of {len(answers)} requests at Gateway {self.gateway}",
                silence="the proxy's log has no line for some requests",
                unreadable=lambda: log.unreadable,
            )
        double = [agent for agent, lines in found.items() if len(lines) > 1]
        if double:
            raise Inconclusive(f"{len(double)} requests have more than one access line, first {double[0]}")
        joined = [found[f"e2e/{id_}"][0] for id_ in answers.ids]
        sighting = f"{len(answers)} lines joined by request id"
        observations.record_sighting(f"{self.gateway} access log", sighting, of=answers.ids, raw=_raw(joined))
        return joined

    def wait_for_lines_of_replicas(self, answers: Answers, since: datetime) -> list[AccessLine]:
        """The same of answers that came from several replicas.

        Raises:
            Inconclusive: as `lines_of`; or one replica alone answered: nothing is known of the others.
        """
        lines = self.wait_for_lines(answers, since)
        by_replica = Counter(ingress_pod_ip(line) for line in lines)
        observations.record_sighting(
            f"{self.gateway} access log", f"requests by replica: {dict(by_replica)}", of=answers.ids
        )
        if len(by_replica) < 2:
            raise Inconclusive(f"all {len(lines)} requests went to one replica of Gateway {self.gateway}")
        return lines

    def has_no_line_of(self, answers: Answers, since: datetime) -> bool:
        """Whether no line of its log is about any of these requests.

        Raises:
            Inconclusive: none is, but lines of the log could not be read.
        """
        agents, log = {f"e2e/{id_}" for id_ in answers.ids}, self.read_access_log(since)
        if any(line.user_agent in agents for line in log.lines):
            return False
        check_all_lines_readable(log.unreadable, f"access log of Gateway {self.gateway}")
        observations.record_sighting(
            f"{self.gateway} access log", f"no line of {len(answers)} requests", of=answers.ids
        )
        return True

    def read_config_dumps(self) -> dict[str, Json]:
        """The whole configuration of each replica by pod, endpoints left out."""
        return {name: json.loads(page) for name, page in self._each("/config_dump").items()}

    def wait_for_related_lines(self, answers: Answers, since: datetime, *, at_least: int = 1) -> list[AccessLine]:
        """The lines, however many, about any of these requests (also as forwarded by an application).

        Raises:
            Inconclusive: there are fewer than `at_least`.
        """
        agents, log = {f"e2e/{id_}" for id_ in answers.ids}, envoy_access.ParsedAccessLog(())

        def look() -> list[AccessLine]:
            nonlocal log
            log = self.read_access_log(since)
            return [line for line in log.lines if line.user_agent in agents]

        with self._naming_lost(since):
            found = wait_for_lines(
                look,
                lambda lines: len(lines) >= at_least,
                what=f"{at_least} or more lines of Gateway {self.gateway} about any of {len(answers)} requests",
                silence="the proxy's log has no line for the requests",
                unreadable=lambda: log.unreadable,
            )
        sighting = f"{len(found)} lines about {len(answers)} requests"
        observations.record_sighting(f"{self.gateway} access log", sighting, of=_request_ids(found), raw=_raw(found))
        return found

    def lines_of_route(self, route: str, since: datetime, *, count: int) -> list[AccessLine]:
        """The lines of requests that a route with a name that begins so took since then; for clients that send no id.

        Raises:
            Inconclusive: there are fewer than `count`.
        """
        return self._lines(lambda line: (line.route_name or "").startswith(route), f"route {route}", since, count)

    def lines_of_server_name(self, name: str, since: datetime, *, count: int) -> list[AccessLine]:
        """The lines of TLS connections to that server name (SNI) since then: what is passed through has no request id.

        Raises:
            as `lines_of_route`.
        """
        return self._lines(
            lambda line: line.raw.get("requested_server_name") == name, f"server name {name}", since, count
        )

    def _lines(self, wanted: Callable[[AccessLine], bool], what: str, since: datetime, count: int) -> list[AccessLine]:
        log = envoy_access.ParsedAccessLog(())

        def look() -> list[AccessLine]:
            nonlocal log
            log = self.read_access_log(since)
            return [line for line in log.lines if wanted(line) and line.start_time >= since]

        found = wait_for_lines(
            look,
            lambda lines: len(lines) >= count,
            what=f"{count} lines of {what} at Gateway {self.gateway}",
            silence=f"the proxy's log has no line for {what}",
            unreadable=lambda: log.unreadable,
        )
        observations.record_sighting(f"{self.gateway} access log", f"{len(found)} lines of {what}", raw=_raw(found))
        return found

    def read_rejected_resources(self) -> list[str]:
        """Names of what Envoy refused to take since it started: by its own log, and by its configuration's errors.

        Raises:
            Inconclusive: it refused nothing, but lines of its log could not be read.
        """
        logged: set[str] = set()
        for pod, log in self.read_logs().items():
            found = {rejection.resource for rejection in envoy_xds_rejects.parse_rejections(log)}
            if not found:
                check_all_lines_readable(envoy_xds_rejects.find_unreadable_lines(log), f"log of {pod}")
            logged |= found
        standing = {error.resource for dump in self.read_config_dumps().values() for error in error_states(dump)}
        observations.record_sighting(
            f"{self.gateway} log and config_dump", f"refused: {sorted(logged | standing) or 'nothing'}"
        )
        return sorted(logged | standing)

    def read_endpoints(self, cluster: str) -> dict[str, set[str]]:
        """The addresses ("ip:port") that each replica sends the cluster's requests to now, by pod."""
        return {name: set(clusters.parse_endpoints(page, cluster)) for name, page in self._each("/clusters").items()}

    def cluster_config(self, cluster: str) -> Json:
        """The active configuration of a cluster in the first replica.

        Raises:
            Absent: no such cluster is active.
        """
        found = active_cluster(next(iter(self.read_config_dumps().values())), cluster)
        if found is None:
            raise Absent(f"Envoy {self.gateway} has no active cluster {cluster}")
        return dict(found)

    def route_config(self, route: str) -> Json:
        """The configuration in use in the first replica of the first route whose name begins so.

        Raises:
            Absent: there is no such route.
        """
        found = route_config(next(iter(self.read_config_dumps().values())), route)
        if found is None:
            raise Absent(f"Envoy {self.gateway} has no route {route}")
        return dict(found)

    def read_max_pending_requests_by_replica(self, cluster: str) -> dict[str, int | None]:
        """max_pending_requests of the cluster that is active now in each replica, by pod; None where Envoy's default
        holds.

        Raises:
            Absent: in one no such cluster is active: one that is gone is not one without a breaker.
        """
        found = {}
        for pod, dump in self.read_config_dumps().items():
            active = active_cluster(dump, cluster)
            if active is None:
                raise Absent(f"Envoy {pod} has no active cluster {cluster}")
            found[pod] = max_pending_requests(active)
        return found

    def read_max_pending_requests(self, cluster: str) -> int | None:
        """The same, on which all replicas agree.

        Raises:
            Inconclusive: they do not; each is named.
        """
        found = self.read_max_pending_requests_by_replica(cluster)
        if len(set(found.values())) != 1:
            raise Inconclusive(f"the replicas of Gateway {self.gateway} differ in max_pending_requests: {found}")
        return next(iter(found.values()))


def _request_ids(lines: Iterable[AccessLine]) -> set[str]:
    """The ids of our requests that these lines are about."""
    return {str(line.user_agent).removeprefix("e2e/") for line in lines}


def _raw(lines: Iterable[AccessLine]) -> list[str]:
    return [json.dumps(line.raw) for line in lines]
