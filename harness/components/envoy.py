"""The Envoy of one Gateway: its access log, configuration, counters and clusters, by its own admin port."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from harness import observations
from harness.clients.admin import Admin
from harness.cluster.protocol import Capability
from harness.components.wait_for_log_lines import check_all_lines_readable, wait_for_lines
from harness.errors import Absent, CannotJudge, Inconclusive, SetupFailed
from harness.http_exchange import Answers
from harness.kube import Kube
from harness.logs import envoy_access, envoy_xds_rejects
from harness.logs.envoy_access import AccessLine
from harness.objects.manifests import Document
from harness.objects.workloads import OWNING_GATEWAY, pod_ip, pod_ready
from harness.proxy import clusters, stats
from harness.proxy.config_dump import active_cluster, error_states, route_config, thresholds

Json = dict[str, Any]


@dataclass(slots=True)
class CounterChange:
    """How far a counter moved; 0 until the block that it counts is over."""

    moved: int = 0


class Envoy:
    """The proxy of one Gateway of Envoy Gateway's, in the Gateway's own namespace."""

    def __init__(
        self,
        kube: Kube,
        admin: Admin,
        namespace: str,
        gateway: str,
        *,
        lacks: Mapping[Capability, str] = MappingProxyType({}),
    ) -> None:
        """`lacks` are capabilities of the cluster that are missing, with the reasons."""
        self._kube, self._admin, self.namespace, self.gateway = kube, admin, namespace, gateway
        self._lacks = lacks

    @property
    def pod(self) -> Document:
        """Its one ready pod.

        Raises:
            SetupFailed: there is none, or more than one: counters and limits are each proxy's own.
        """
        labels = f"{OWNING_GATEWAY}={self.gateway}"
        pods = [pod for pod in self._kube.pods(self.namespace, labels) if pod_ready(pod)]
        if len(pods) != 1:
            raise SetupFailed(f"Gateway {self.namespace}/{self.gateway} has {len(pods)} ready proxy pods, not one")
        return pods[0]

    @property
    def name(self) -> str:
        return str(self.pod["metadata"]["name"])

    @property
    def ip(self) -> str:
        return pod_ip(self.pod)

    @property
    def version(self) -> str:
        """Its own word: the second part of "<commit>/1.37.5/Clean/RELEASE/BoringSSL"."""
        return str(json.loads(self._get("/server_info"))["version"]).partition("/")[2].partition("/")[0]

    def read_log(self, since: datetime | None = None) -> str:
        return self._kube.logs(self.namespace, self.name, "envoy", since=since)

    def read_access_log(self, since: datetime) -> envoy_access.Parsed:
        """All access lines written after that moment (and a few before), and what could not be read.

        Raises:
            CannotJudge: the proxies of this cluster write none that could be read.
        """
        if "access log" in self._lacks:
            raise CannotJudge(f"access log: {self._lacks['access log']}")
        return envoy_access.parse(self.read_log(since))

    def wait_for_lines(self, answers: Answers, since: datetime) -> list[AccessLine]:
        """The access line of each answer, in their order, joined by the id in the user agent.

        Raises:
            Inconclusive: an id has no line, or more than one; or there was no answer to look for.
        """
        if not answers:
            raise Inconclusive("no answers: no access lines to look for")
        wanted = {f"e2e/{id_}" for id_ in answers.ids}
        log = envoy_access.Parsed(())

        def look() -> dict[str, list[AccessLine]]:
            nonlocal log
            found: dict[str, list[AccessLine]] = {}
            log = self.read_access_log(since)
            for line in log.lines:
                if line.user_agent in wanted:
                    found.setdefault(str(line.user_agent), []).append(line)
            return found

        found = wait_for_lines(
            look,
            lambda lines: wanted <= set(lines),
            what=f"access lines of {len(answers)} requests at Gateway {self.gateway}",
            silence="the proxy's log does not tell of all requests",
            unreadable=lambda: log.unreadable,
        )
        double = [agent for agent, lines in found.items() if len(lines) > 1]
        if double:
            raise Inconclusive(f"{len(double)} requests have more than one access line, first {double[0]}")
        joined = [found[f"e2e/{id_}"][0] for id_ in answers.ids]
        told = f"{len(answers)} lines joined by request id"
        observations.record_sighting(f"{self.gateway} access log", told, of=answers.ids, raw=_raw(joined))
        return joined

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

    def read_config_dump(self) -> Json:
        """Envoy's whole configuration, endpoints left out."""
        found: Json = json.loads(self._get("/config_dump"))
        return found

    def read_stats(self) -> dict[str, int]:
        """All counters and gauges by name."""
        return stats.parse(self._get("/stats"))

    def read_requests_sent(self, cluster: str) -> int:
        """How many requests it has sent to a cluster.

        Envoy Gateway 1.9 has a cluster's counters made with its first request (enable_deferred_creation_stats): a
        cluster that is there without them has had none.

        Raises:
            Inconclusive: Envoy counts nothing at all of such a cluster: it may have another name.
        """
        found, name = self.read_stats(), f"cluster.{cluster}"
        if f"{name}.membership_total" not in found:
            raise Absent(f"Envoy {self.gateway} has no cluster {cluster}: nothing is known of its requests")
        count = found.get(f"{name}.upstream_rq_total", 0)
        observations.record_sighting(f"{self.gateway} counters", f"{count} requests sent to {cluster}")
        return count

    @contextmanager
    def counting_requests_sent(self, cluster: str) -> Iterator[CounterChange]:
        """How many of the requests of the block Envoy sent to a cluster: its counter before and after them.

        Raises:
            Inconclusive: as `sent`.
        """
        count, before = CounterChange(), self.read_requests_sent(cluster)
        with observations.collecting_request_ids() as ids:
            yield count
        count.moved = self.read_requests_sent(cluster) - before
        observations.record_sighting(
            f"{self.gateway} counters", f"requests sent to {cluster} moved by {count.moved}", of=ids
        )

    def wait_for_related_lines(self, answers: Answers, since: datetime, *, at_least: int = 1) -> list[AccessLine]:
        """The lines, however many, that speak of any of these requests (also as forwarded by an application).

        Raises:
            Inconclusive: there are fewer than `at_least`.
        """
        agents, log = {f"e2e/{id_}" for id_ in answers.ids}, envoy_access.Parsed(())

        def look() -> list[AccessLine]:
            nonlocal log
            log = self.read_access_log(since)
            return [line for line in log.lines if line.user_agent in agents]

        found = wait_for_lines(
            look,
            lambda lines: len(lines) >= at_least,
            what=f"{at_least} or more lines of Gateway {self.gateway} about any of {len(answers)} requests",
            silence="the proxy's log does not tell of the requests",
            unreadable=lambda: log.unreadable,
        )
        told = f"{len(found)} lines about {len(answers)} requests"
        observations.record_sighting(f"{self.gateway} access log", told, of=_request_ids(found), raw=_raw(found))
        return found

    def lines_of_route(self, route: str, since: datetime, *, count: int) -> list[AccessLine]:
        """The lines of requests that a route whose name begins so took since then; for clients that send no id.

        Raises:
            Inconclusive: there are fewer than `count`.
        """
        log = envoy_access.Parsed(())

        def look() -> list[AccessLine]:
            nonlocal log
            log = self.read_access_log(since)
            return [
                line for line in log.lines if (line.route_name or "").startswith(route) and line.start_time >= since
            ]

        found = wait_for_lines(
            look,
            lambda lines: len(lines) >= count,
            what=f"{count} lines of route {route} at Gateway {self.gateway}",
            silence="the proxy's log does not tell of the route's requests",
            unreadable=lambda: log.unreadable,
        )
        observations.record_sighting(
            f"{self.gateway} access log", f"{len(found)} lines of route {route}", raw=_raw(found)
        )
        return found

    def read_rejected_resources(self) -> list[str]:
        """Names of what Envoy refused to take since it started: by its own log, and by its configuration's errors.

        Raises:
            Inconclusive: it refused nothing, but lines of its log could not be read.
        """
        text = self.read_log()
        logged = {rejection.resource for rejection in envoy_xds_rejects.rejections(text)}
        if not logged:
            check_all_lines_readable(envoy_xds_rejects.unreadable(text), f"log of Gateway {self.gateway}")
        standing = {error.resource for error in error_states(self.read_config_dump())}
        observations.record_sighting(
            f"{self.gateway} log and config_dump", f"refused: {sorted(logged | standing) or 'nothing'}"
        )
        return sorted(logged | standing)

    def read_endpoints(self, cluster: str) -> set[str]:
        """The addresses ("ip:port") that Envoy sends the cluster's requests to now."""
        return set(clusters.endpoints(self._get("/clusters"), cluster))

    def cluster_config(self, cluster: str) -> Json:
        """The active configuration of a cluster.

        Raises:
            Absent: no such cluster is active.
        """
        found = active_cluster(self.read_config_dump(), cluster)
        if found is None:
            raise Absent(f"Envoy {self.gateway} has no active cluster {cluster}")
        return dict(found)

    def route_config(self, route: str) -> Json:
        """The configuration in use of the first route whose name begins so.

        Raises:
            Absent: there is no such route.
        """
        found = route_config(self.read_config_dump(), route)
        if found is None:
            raise Absent(f"Envoy {self.gateway} has no route {route}")
        return dict(found)

    def read_max_pending_requests(self, cluster: str) -> int | None:
        """max_pending_requests of the cluster that is active now; None where Envoy's default holds.

        Raises:
            Inconclusive: no such cluster is active: one that is gone is not one without a breaker.
        """
        found = thresholds(self.read_config_dump(), cluster)
        if found is None:
            raise Absent(f"Envoy {self.gateway} has no active cluster {cluster}")
        return found.max_pending_requests

    def _get(self, path: str) -> str:
        return self._admin.get(self.namespace, self.name, 19000, path)


def _request_ids(lines: Iterable[AccessLine]) -> set[str]:
    """The ids of our requests that these lines are about."""
    return {str(line.user_agent).removeprefix("e2e/") for line in lines}


def _raw(lines: Iterable[AccessLine]) -> list[str]:
    return [json.dumps(line.raw) for line in lines]
