"""The ztunnels of all nodes: access log lines, workload lists, and ports that they could not bind."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime

from harness import observations, record_replay, timeouts
from harness.clients.admin import Admin
from harness.components.metrics import read_samples
from harness.components.wait_for_log_lines import check_all_lines_readable, wait_for_lines
from harness.errors import Inconclusive
from harness.evidence import hbone_port_conflict
from harness.evidence.joins import find_connection_lines, is_other_side_of
from harness.evidence.open_connections import lines_of_open_connections
from harness.http_exchange import Answers
from harness.kube import ApiUnavailable, Kube
from harness.logs import ztunnel
from harness.logs.envoy_access import AccessLine
from harness.logs.unreadable import UnreadableLines
from harness.logs.ztunnel import ZtunnelLine
from harness.objects.manifests import Document
from harness.objects.stack_places import namespace_in
from harness.objects.unstructured import Json
from harness.objects.workloads import is_pod_ready, node_name
from harness.proxy import ztunnel_dump
from harness.proxy.prometheus import MetricSample
from harness.proxy.ztunnel_view import MeshView, read_mesh_view
from harness.wait import until

METRICS = 15020  # the port at which ztunnel exposes them


class Ztunnels:
    """ztunnel on every node, taken together."""

    LABELS = "app=ztunnel"

    def __init__(self, kube: Kube, admin: Admin) -> None:
        self._kube, self._admin = kube, admin
        self.namespace = namespace_in(kube.places.ztunnel)

    def read_pods(self) -> list[Document]:
        return self._kube.list_pods(self.namespace, self.LABELS)

    def _scheduled(self) -> list[Document]:
        """Those that have a node: one that has none yet has no log and no view either."""
        return [pod for pod in self.read_pods() if node_name(pod)]

    def read_logs(self, since: datetime | None = None) -> dict[str, str]:
        """Each node's log text, by node name."""
        return {
            node_name(pod): self._kube.read_log(self.namespace, pod["metadata"]["name"], "istio-proxy", since=since)
            for pod in self._scheduled()
        }

    def read_lines(self, since: datetime) -> tuple[ZtunnelLine, ...]:
        """Access lines of all nodes, oldest first.

        Raises:
            Inconclusive: lines of a log could not be read, so these are not all.
        """
        log = self._log(since)
        check_all_lines_readable(log.unreadable, "ztunnel log")
        found = log.lines
        sighting = f"{len(found)} connections ended, {sum(not line.is_ok for line in found)} in an error"
        observations.record_sighting("ztunnel log", sighting, raw=[line.raw for line in found])
        return found

    def _log(self, since: datetime) -> ztunnel.ParsedZtunnelLog:
        """The logs of all nodes as one, oldest line first."""
        logs = [ztunnel.parse_ztunnel_log(text) for text in self.read_logs(since).values()]
        lines = sorted((line for log in logs for line in log.lines), key=lambda line: line.time)
        unreadable = sum((log.unreadable for log in logs), UnreadableLines())
        return ztunnel.ParsedZtunnelLog(tuple(lines), sum(log.skipped for log in logs), unreadable)

    def read_destinations(self, since: datetime, service: str) -> set[str]:
        """The Deployments whose pods received connections for this Service (by its short name, in the run's namespace):
        its waypoint's alone, unless a client bypassed it. Open connections have no line yet.

        Raises:
            Inconclusive: lines of a log could not be read, so there may be other ways.
        """
        host = f"{service}.{self._kube.namespace}.svc."
        log = self._log(since)
        check_all_lines_readable(log.unreadable, "ztunnel log")
        outbound = [line for line in log.lines if line.direction == "outbound"]
        asked = [line for line in outbound if (line.dst.service or "").startswith(host)]
        found = {line.dst.workload.rsplit("-", 2)[0] for line in asked if line.dst.workload}
        sighting = f"{len(asked)} connections asked for {service} went to {sorted(found)}"
        observations.record_sighting("ztunnel log", sighting, raw=[line.raw for line in asked])
        return found

    def _one(
        self,
        since: datetime,
        look: Callable[[Sequence[ZtunnelLine]], Sequence[ZtunnelLine]],
        what: str,
        of: Sequence[str] = (),
    ) -> ZtunnelLine:
        """The one line that `look` picks, awaited until its connection closes; `of` is the request that it carried."""
        log = ztunnel.ParsedZtunnelLog((), 0)

        def pick() -> Sequence[ZtunnelLine]:
            nonlocal log
            log = self._log(since)
            return look(log.lines)

        found = wait_for_lines(
            pick,
            bool,
            what=f"ztunnel's line of {what}",
            silence="ztunnel says nothing of it",
            unreadable=lambda: log.unreadable,
        )
        if len(found) > 1:
            raise Inconclusive(f"{len(found)} lines of ztunnel fit {what}: {found[0].raw[:300]}")
        observations.record_sighting("ztunnel log", found[0].raw, of=of, raw=[found[0].raw])
        return found[0]

    def wait_for_connection(
        self, since: datetime, source: str | None, around: AccessLine, reaches: str | None
    ) -> ZtunnelLine:
        """The source's line of the connection from this "ip:port" that carried the request of an access line;
        `reaches` is where it went: an IP, or the address asked for inside the tunnel.

        Raises:
            Inconclusive: there is none in time, more than one, or an address is not known.
        """
        if not source or not reaches:
            raise Inconclusive(f"no ztunnel line can be matched to this connection: from {source} to {reaches}")
        line = self._one(
            since,
            lambda lines: find_connection_lines(lines, source=source, around=around, reaches=reaches),
            f"the connection from {source} to {reaches}",
            [str(around.user_agent).removeprefix("e2e/")],
        )
        if line.src.addr != source:
            observations.record_sighting("ztunnel log", f"the kernel had given {source} another port: {line.src.addr}")
        return line

    def wait_for_connections(self, answers: Answers, since: datetime) -> list[ZtunnelLine]:
        """The line of each connection that these answers came by, or were not given by, once it is closed, found by the
        client's own address and port: the source's line, or of a client outside of the mesh the destination's. An
        inbound line over HBONE does not have the client's port.

        Raises:
            Inconclusive: one has none in time.
        """
        sources = {answer.local for answer in answers}
        log = ztunnel.ParsedZtunnelLog((), 0)

        def look() -> dict[str, ZtunnelLine]:
            nonlocal log
            log = self._log(since)
            exact = (line for line in log.lines if line.direction == "outbound" or not line.is_hbone)
            return {line.src.addr: line for line in exact if line.src.addr in sources}

        found = wait_for_lines(
            look,
            lambda lines: set(lines) == sources,
            what=f"ztunnel's lines of {len(sources)} connections of {len(answers)} answers",
            silence="ztunnel's log has no line for some connections",
            unreadable=lambda: log.unreadable,
        )
        for answer in answers:
            line = found[answer.local]
            observations.record_sighting("ztunnel log", line.raw, of=[answer.id], raw=[line.raw])
        return list(found.values())

    def wait_for_destination_line(self, since: datetime, out: ZtunnelLine) -> ZtunnelLine:
        """The destination's line of the connection whose source's line is `out`.

        Raises:
            Inconclusive: there is none in time, or more than one.
        """
        return self._one(
            since,
            lambda lines: [line for line in lines if is_other_side_of(line, out)],
            f"the other side of {out.src.addr}",
        )

    def describe_port_conflict(self) -> str:
        """Why calls to a pod may be reset: who has its port 15008, and the remedy; "" when ztunnel has its ports."""
        failures = [failure for text in self.read_logs().values() for failure in ztunnel.parse_bind_failures(text)]
        pods = {
            pod["metadata"]["uid"]: f"{self._kube.namespace}/{pod['metadata']['name']}"
            for pod in self._kube.list_objects("Pod", self._kube.namespace)
        }
        conflict = hbone_port_conflict.describe_port_conflict(failures, (), pods)
        return f"{conflict}; remedy: {hbone_port_conflict.REMEDY}" if conflict else ""

    def read_metrics(self) -> list[MetricSample]:
        """What all nodes expose to Prometheus.

        Raises:
            Inconclusive: a page is no Prometheus text.
        """
        names = [pod["metadata"]["name"] for pod in self._scheduled()]
        return [sample for name in names for sample in read_samples(self._admin, self.namespace, name, METRICS)]

    def read_ready_nodes(self) -> set[str]:
        """The nodes whose ztunnel pod is ready."""
        return {node_name(pod) for pod in self.read_pods() if is_pod_ready(pod)}

    def read_open_connections(self) -> list[ZtunnelLine]:
        """The connections of all nodes' pods that are open now, each as a line of this moment."""
        found: list[ZtunnelLine] = []
        for pod in self._scheduled():
            at = record_replay.now()
            found += lines_of_open_connections(ztunnel_dump.open_connections(self._dump(pod)), at)
        observations.record_sighting(
            "ztunnel config_dump", f"{len(found)} connections are open", raw=[line.raw for line in found]
        )
        return found

    def wait_for_domains(self) -> tuple[str, str]:
        """The mesh's trust domain and the domain of the cluster's DNS, as ztunnel knows them of the run's own pods.

        Raises:
            NotReady: no node's ztunnel knows them.
        """
        found = until(
            lambda: [(view.trust_domain, view.cluster_domain) for view in self.read_views().values()],
            lambda found: any(all(domains) for domains in found),
            what=f"ztunnel knows the pods of namespace {self._kube.namespace} and the cluster's Services",
            within=timeouts.STATUS,
            transient=(ApiUnavailable, Inconclusive),
        )
        return next(domains for domains in found if all(domains))

    def read_istiod_addresses(self) -> list[str]:
        """The address of istiod in each node's configuration of ztunnel."""
        found = [ztunnel_dump.istiod_address(self._dump(pod)) for pod in self._scheduled()]
        observations.record_sighting("ztunnel config_dump", f"istiod is {', '.join(sorted(set(found)))}")
        return found

    def read_views(self) -> dict[str, MeshView]:
        """What each node's ztunnel says of the mesh, by node name."""
        found = {node_name(pod): read_mesh_view(self._dump(pod), self._kube.namespace) for pod in self._scheduled()}
        observations.record_sighting("ztunnel config_dump", f"of {len(found)} nodes")
        return found

    def _dump(self, pod: Document) -> Json:
        found: Json = json.loads(self._admin.get(self.namespace, pod["metadata"]["name"], 15000, "/config_dump"))
        return found
