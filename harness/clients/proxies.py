"""The data plane's own word: Envoys of a Gateway, ztunnel of every node, the limiter."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from harness import ledger, timeouts
from harness.clients.admin import Admin
from harness.errors import NotReady, SetupFailed, Unjudged
from harness.evidence import port_15008
from harness.evidence.joins import legs, mirrors
from harness.kube import ApiUnavailable, Kube
from harness.logs import access, envoy, ztunnel
from harness.logs.access import AccessLine
from harness.logs.ztunnel import ZtunnelLine
from harness.objects.manifests import Document
from harness.objects.workloads import pod_ready
from harness.proxy import clusters, prometheus, rlconfig, stats
from harness.proxy.config_dump import error_states, thresholds
from harness.proxy.mesh_view import MeshView, view
from harness.traffic import Answers
from harness.wait import patient, until

Json = dict[str, Any]


class Envoy:
    """The proxy of one Gateway of Envoy Gateway's, in the Gateway's own namespace."""

    def __init__(self, kube: Kube, admin: Admin, namespace: str, gateway: str) -> None:
        self._kube, self._admin, self.namespace, self.gateway = kube, admin, namespace, gateway

    @property
    def pod(self) -> Document:
        """Its one ready pod.

        Raises:
            SetupFailed: there is none, or more than one: counters and limits are each proxy's own.
        """
        labels = f"gateway.envoyproxy.io/owning-gateway-name={self.gateway}"
        pods = [pod for pod in self._kube.pods(self.namespace, labels) if pod_ready(pod)]
        if len(pods) != 1:
            raise SetupFailed(f"Gateway {self.namespace}/{self.gateway} has {len(pods)} ready proxy pods, not one")
        return pods[0]

    @property
    def name(self) -> str:
        return str(self.pod["metadata"]["name"])

    @property
    def ip(self) -> str:
        return str(self.pod["status"]["podIP"])

    def log(self, since: datetime | None = None) -> str:
        return self._kube.logs(self.namespace, self.name, "envoy", since=since)

    def access_log(self, since: datetime) -> tuple[AccessLine, ...]:
        """All access lines written after that moment (and a few before)."""
        return access.parse(self.log(since))

    def lines_of(self, answers: Answers, since: datetime) -> list[AccessLine]:
        """The access line of each answer, in their order, joined by the id in the user agent.

        Raises:
            Unjudged: an id has no line, or more than one; or there was no answer to look for.
        """
        if not answers:
            raise Unjudged("no answers: no access lines to look for")
        wanted = {f"e2e/{id_}" for id_ in answers.ids}

        def look() -> dict[str, list[AccessLine]]:
            found: dict[str, list[AccessLine]] = {}
            for line in self.access_log(since):
                if line.user_agent in wanted:
                    found.setdefault(str(line.user_agent), []).append(line)
            return found

        try:
            found = until(
                look,
                lambda lines: wanted <= set(lines),
                what=f"access lines of {len(answers)} requests at Gateway {self.gateway}",
                within=timeouts.LOG_LINE,
                every=0.15,
                transient=(ApiUnavailable,),
                show=lambda lines: f"lines of {len(lines)} of them",
            )
        except NotReady as error:
            raise Unjudged(f"the proxy's log does not tell of all requests: {error}") from error
        double = [agent for agent, lines in found.items() if len(lines) > 1]
        if double:
            raise Unjudged(f"{len(double)} requests have more than one access line, first {double[0]}")
        ledger.saw(f"{self.gateway} access log", f"{len(answers)} lines joined by request id")
        return [found[f"e2e/{id_}"][0] for id_ in answers.ids]

    def silent_about(self, answers: Answers, since: datetime) -> bool:
        """Whether no line of its log speaks of any of these requests."""
        agents = {f"e2e/{id_}" for id_ in answers.ids}
        return not any(line.user_agent in agents for line in self.access_log(since))

    def config_dump(self) -> Json:
        """Envoy's whole configuration, endpoints left out."""
        found: Json = json.loads(self._get("/config_dump"))
        return found

    def stats(self) -> dict[str, int]:
        """All counters and gauges by name."""
        return stats.parse(self._get("/stats"))

    def heard(self, answers: Answers, since: datetime, *, at_least: int = 1) -> list[AccessLine]:
        """The lines, however many, that speak of any of these requests (also as forwarded by an application)."""
        agents = {f"e2e/{id_}" for id_ in answers.ids}
        found = until(
            lambda: [line for line in self.access_log(since) if line.user_agent in agents],
            lambda lines: len(lines) >= at_least,
            what=f"a line of Gateway {self.gateway} about any of {len(answers)} requests",
            within=timeouts.LOG_LINE,
            every=0.15,
            transient=(ApiUnavailable,),
            show=lambda lines: f"{len(lines)} lines",
        )
        ledger.saw(f"{self.gateway} access log", f"{len(found)} lines about {len(answers)} requests")
        return found

    def refused(self) -> list[str]:
        """Names of what Envoy refused to take since it started: by its own log, and by its configuration's errors."""
        logged = {rejection.resource for rejection in envoy.rejections(self.log())}
        standing = {error.resource for error in error_states(self.config_dump())}
        ledger.saw(f"{self.gateway} log and config_dump", f"refused: {sorted(logged | standing) or 'nothing'}")
        return sorted(logged | standing)

    def endpoints(self, cluster: str) -> set[str]:
        """The addresses ("ip:port") that Envoy sends the cluster's requests to now."""
        return set(clusters.endpoints(self._get("/clusters"), cluster))

    def breaker(self, cluster: str) -> int | None:
        """max_pending_requests of the cluster that is active now; None where Envoy's default holds."""
        found = thresholds(self.config_dump(), cluster)
        return found.max_pending_requests if found else None

    def _get(self, path: str) -> str:
        return self._admin.get(self.namespace, self.name, 19000, path)


class Ztunnels:
    """ztunnel on every node, taken together."""

    NAMESPACE, LABELS = "istio-system", "app=ztunnel"

    def __init__(self, kube: Kube, admin: Admin) -> None:
        self._kube, self._admin = kube, admin

    def pods(self) -> list[Document]:
        return self._kube.pods(self.NAMESPACE, self.LABELS)

    def logs(self, since: datetime | None = None) -> dict[str, str]:
        """Each node's log text, by node name."""
        return {
            str(pod["spec"]["nodeName"]): self._kube.logs(
                self.NAMESPACE, pod["metadata"]["name"], "istio-proxy", since=since
            )
            for pod in self.pods()
        }

    def lines(self, since: datetime) -> tuple[ZtunnelLine, ...]:
        """Access lines of all nodes, oldest first."""
        found = [line for text in self.logs(since).values() for line in ztunnel.parse(text).lines]
        return tuple(sorted(found, key=lambda line: line.time))

    def _one(self, look: Callable[[], Sequence[ZtunnelLine]], what: str) -> ZtunnelLine:
        """The one line that `look` finds, awaited until its connection closes."""
        try:
            found = until(
                look,
                bool,
                what=f"ztunnel's line of {what}",
                within=timeouts.LOG_LINE,
                every=0.15,
                transient=(ApiUnavailable,),
                show=lambda lines: f"{len(lines)} such lines",
            )
        except NotReady as error:
            raise Unjudged(f"ztunnel says nothing of it: {error}") from error
        if len(found) > 1:
            raise Unjudged(f"{len(found)} lines of ztunnel fit {what}: {found[0].raw[:300]}")
        ledger.saw("ztunnel log", found[0].raw)
        return found[0]

    def leg(self, since: datetime, source: str | None, around: AccessLine, reaches: str | None) -> ZtunnelLine:
        """The source's line of the connection from this "ip:port" that carried the request of an access line;
        `reaches` is where it went: an IP, or the address asked for inside the tunnel.

        Raises:
            Unjudged: there is none in time, more than one, or an address is not known.
        """
        if not source or not reaches:
            raise Unjudged(f"no line of ztunnel can be told to be this connection's: from {source} to {reaches}")
        line = self._one(
            lambda: legs(self.lines(since), source=source, around=around, reaches=reaches),
            f"the connection from {source} to {reaches}",
        )
        if line.src.addr != source:
            ledger.saw("ztunnel log", f"the kernel had given {source} another port: {line.src.addr}")
        return line

    def mirror(self, since: datetime, out: ZtunnelLine) -> ZtunnelLine:
        """The destination's line of the connection whose source's line is `out`.

        Raises:
            Unjudged: there is none in time, or more than one.
        """
        return self._one(
            lambda: [line for line in self.lines(since) if mirrors(line, out)], f"the other side of {out.src.addr}"
        )

    def hindrance(self) -> str:
        """Why calls to a pod may be reset: who has its port 15008, and the remedy; "" when ztunnel has its ports."""
        failures = [failure for text in self.logs().values() for failure in ztunnel.bind_failures(text)]
        pods = {
            pod["metadata"]["uid"]: f"default/{pod['metadata']['name']}" for pod in self._kube.objects("Pod", "default")
        }
        said = port_15008.conflict(failures, (), pods)
        return f"{said}; remedy: {port_15008.REMEDY}" if said else ""

    def ready_nodes(self) -> set[str]:
        """The nodes whose ztunnel pod is ready."""
        return {str(pod["spec"]["nodeName"]) for pod in self.pods() if pod_ready(pod)}

    def views(self) -> dict[str, MeshView]:
        """What each node's ztunnel says of the mesh, by node name."""
        found = {
            str(pod["spec"]["nodeName"]): view(
                json.loads(self._admin.get(self.NAMESPACE, pod["metadata"]["name"], 15000, "/config_dump"))
            )
            for pod in self.pods()
        }
        ledger.saw("ztunnel config_dump", f"of {len(found)} nodes")
        return found


class Istiod:
    """istiod's own counters."""

    NAMESPACE, LABELS = "istio-system", "app=istiod"

    def __init__(self, kube: Kube, admin: Admin) -> None:
        self._kube, self._admin = kube, admin

    def rejections(self) -> dict[str, float]:
        """Configuration that any proxy refused, by type; empty when none was.

        Raises:
            Unjudged: istiod counts no pushes at all: an absent counter would then prove nothing.
        """
        pods = [pod["metadata"]["name"] for pod in self._kube.pods(self.NAMESPACE, self.LABELS)]
        texts = [self._admin.get(self.NAMESPACE, pod, 15014, "/metrics") for pod in pods]
        found = [sample for text in texts for sample in prometheus.samples(text)]
        pushes = sum(s.value for s in found if s.name == "pilot_push_triggers")
        if not pushes:
            raise Unjudged("istiod counts no pushes (pilot_push_triggers): no rejection would be counted either")
        ledger.saw("istiod counters", f"{pushes:g} pushes triggered")
        rejects: dict[str, float] = {}
        for s in found:
            if "reject" in s.name and s.name.startswith("pilot_") and s.value:
                name = f"{s.name}{dict(s.labels)}"
                rejects[name] = rejects.get(name, 0) + s.value
        return rejects


@dataclass(frozen=True, slots=True)
class Counters:
    """The limiter's counters, over all its rules: requests it was asked about, and those it refused."""

    hits: float
    over_limit: float


class Limiter:
    """The rate-limit service: its rules and its counters."""

    NAMESPACE, LABELS = "envoy-gateway-system", "app.kubernetes.io/name=envoy-ratelimit"

    def __init__(self, kube: Kube, admin: Admin) -> None:
        self._kube, self._admin = kube, admin

    @property
    def pod(self) -> Document:
        """Its ready pod.

        Raises:
            SetupFailed: there is none: limits fail open, so nothing said of them means anything.
        """
        pods = [pod for pod in self._kube.pods(self.NAMESPACE, self.LABELS) if pod_ready(pod)]
        if not pods:
            raise SetupFailed(
                "the limiter is down: Deployment envoy-gateway-system/envoy-ratelimit has no ready pod. Envoy lets "
                'requests pass when it cannot ask: what is seen now is not "limit not enforced"',
                remedy="look at its pods and at Redis (redis-system/redis)",
            )
        return pods[0]

    def complaint(self) -> str:
        """What is known of why it does not answer: its Redis, or the last error of its own log; else nothing."""
        if not any(pod_ready(pod) for pod in self._kube.pods("redis-system", "app=redis")):
            return "its Redis (redis-system/redis) has no ready pod"
        said = self._kube.logs(self.NAMESPACE, self.pod["metadata"]["name"], "envoy-ratelimit").splitlines()
        return next(
            (line for line in reversed(said) if "level=error" in line), "its pod is ready, its log has no error"
        )

    def rules(self) -> Sequence[rlconfig.Limit]:
        """What it limits now."""
        return rlconfig.parse(self._admin.get(self.NAMESPACE, self.pod["metadata"]["name"], 6070, "/rlconfig"))

    def counted(self, name: str) -> float:
        """The sum of a counter over all its rules: "over_limit", "total_hits", "within_limit"; 0 when none is yet."""
        text = self._admin.get(self.NAMESPACE, self.pod["metadata"]["name"], 19001, "/metrics")
        wanted = f"ratelimit_service_rate_limit_{name}"
        return sum(s.value for s in prometheus.samples(text) if s.name.removesuffix("_total") == wanted)

    def settled(self) -> Counters:
        """Its counters, once they stood still for LIMITER_SETTLED seconds: nothing sent before is still uncounted.

        Raises:
            Unjudged: they never stood still.
        """
        readings: list[tuple[float, Counters]] = []
        dwell = patient(timeouts.LIMITER_SETTLED)

        def still() -> bool:
            now = time.monotonic()
            readings.append((now, Counters(self.counted("total_hits"), self.counted("over_limit"))))
            recent = {counters for at, counters in readings if now - at <= dwell}
            return now - readings[0][0] >= dwell and len(recent) == 1

        try:
            until(still, bool, what="the limiter's counters stand still", within=timeouts.LIMITER_COUNTERS, every=0.3)
        except NotReady as error:
            raise Unjudged(str(error)) from error
        ledger.saw("limiter counters", f"{readings[-1][1]}")
        return readings[-1][1]
