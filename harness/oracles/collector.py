"""Collects new logs and counters of every component, and reports signs of trouble."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import timedelta

from harness import observations, record_replay, timeouts
from harness.clients.admin import Admin
from harness.errors import HarnessError, Inconclusive, NotReady
from harness.evidence import hbone_port_conflict
from harness.evidence.journey import pods_by_ip
from harness.kube import ApiUnavailable, Kube, ObjectMissing
from harness.logs import envoy_access, envoy_xds_rejects, ztunnel
from harness.logs.envoy_access import AccessLine
from harness.logs.unreadable import UnreadableLines
from harness.logs.ztunnel import BindFailure
from harness.objects.unstructured import Json, mapping, text
from harness.objects.workloads import OWNING_GATEWAY, is_pod_ready, pod_name
from harness.oracles import signs
from harness.oracles.shared_cluster_scope import EVERYTHING, OracleScope
from harness.oracles.signs import Sign
from harness.proxy import prometheus, stats
from harness.wait import pause, scaled_dwell, until

# Who else writes a log worth reading: label of its pods, container, metrics port (0: none is asked).
CONTROL = (
    ("istiod", ("app", "istiod"), "discovery", 15014),
    ("Envoy Gateway", ("control-plane", "envoy-gateway"), "envoy-gateway", 19001),
    ("limiter", ("app.kubernetes.io/name", "envoy-ratelimit"), "envoy-ratelimit", 0),
)
QUIET = 1.0  # seconds to a third reading of push counters, when the second had grown


class OracleCollector:
    """Keeps what it has seen between two calls of `finish_area`. The first look counts from its making.

    `ours` says what is judged at present; signs of all else are kept apart (`take_foreign_signs`).
    """

    def __init__(self, kube: Kube, admin: Admin, ours: Callable[[], OracleScope] = lambda: EVERYTHING) -> None:
        self._kube, self._admin, self._ours = kube, admin, ours
        self._elsewhere: dict[Sign, None] = {}
        self._since = record_replay.node_time()
        self._pods = self._now()
        self._counts = self._rejections(self._pods)
        self._found: dict[Sign, None] = {}
        self._unread: dict[str, UnreadableLines] = {}  # by log

    def collect(self) -> None:
        """Takes in what was written so far: logs of pods that are about to go would go with them.

        Raises:
            Inconclusive: a component that is there could not be asked.
        """
        began, pods, ours = record_replay.node_time(), self._now(), self._ours()
        bound: list[BindFailure] = []
        taken: list[AccessLine] = []
        for pod in pods:
            log = self._log_of(pod)
            if log is None:
                continue
            kind, text_ = log
            if kind == "envoy":
                self._add(signs.rejected_by_envoy(pod_name(pod), text_, self._since), judged=ours.has_pod(pod))
                if not ours.has_pod(pod):
                    continue
                requests = envoy_access.parse_access_log(text_)
                self._unreadable(pod_name(pod), requests.unreadable + envoy_xds_rejects.find_unreadable_lines(text_))
                taken += [line for line in requests.lines if line.start_time >= self._since]
            elif kind == "ztunnel":
                connections = ztunnel.parse_ztunnel_log(text_)
                self._unreadable(pod_name(pod), connections.unreadable)
                mine = [line for line in connections.lines if ours.has_connection(line)]
                others = [line for line in connections.lines if not ours.has_connection(line)]
                self._add(signs.failed_connections(mine, self._since))
                self._add(signs.failed_connections(others, self._since), judged=False)
                self._add_of(pod, signs.control_plane_nacks(f"ztunnel {pod_name(pod)}", text_))
                self._add_of(pod, signs.panics(f"ztunnel {pod_name(pod)}", text_))
                bound += [f for f in ztunnel.parse_bind_failures(text_) if f.time >= self._since]
            else:
                self._add_of(pod, signs.control_plane_nacks(f"{kind} {pod_name(pod)}", text_))
                self._add_of(pod, signs.panics(f"{kind} {pod_name(pod)}", text_))
        self._ports(bound, taken, pods)
        for judged in (True, False):
            restarted = signs.restarts(self._pods, [pod for pod in pods if ours.has_pod(pod) == judged])
            self._add(restarted, judged=judged)
        self._pods, self._since = pods, began - timedelta(milliseconds=200)

    def finish_area(self) -> tuple[Sign, ...]:
        """A last look, with the checks that need quiet: nothing warms any more, no configuration is sent twice. The
        next look begins a new area."""
        first = self._pushes()
        self.collect()
        counts = self._rejections(self._pods)
        for who, now in counts.items():
            pod = next(pod for pod in self._pods if who.endswith(f" {pod_name(pod)}"))
            self._add_of(pod, signs.rejected_by_counter(who, self._counts.get(who, {}), now))
        self._counts = counts
        self._warming()
        second = self._pushes()  # nothing was changed meanwhile: the tests of the area are over
        if any(second[who] > first.get(who, second[who]) for who in second):
            pause(scaled_dwell(QUIET), why="the control planes are left alone")
            self._add(signs.config_churn(first, second, self._pushes()))
        found, self._found = tuple(self._found), {}
        observations.record_sighting(
            "oracles", f"{len(found)} signs: {', '.join(sorted({s.oracle for s in found})) or 'none'}"
        )
        return found

    @property
    def found(self) -> tuple[Sign, ...]:
        """What the collections since the last `finish_area` brought in."""
        return tuple(self._found)

    def take_foreign_signs(self) -> tuple[Sign, ...]:
        """What was seen since the last call of what is not ours: it judges nothing."""
        found, self._elsewhere = tuple(self._elsewhere), {}
        return found

    def take_unreadable_logs(self) -> tuple[str, ...]:
        """Logs since the last call of which lines could not be read: that nothing was found in them says little."""
        doubts, self._unread = tuple(f"log of {who}: {lost}" for who, lost in self._unread.items()), {}
        return doubts

    # -- parts ---------------------------------------------------------------------------------------------------

    def _add(self, found: Iterable[Sign], *, judged: bool = True) -> None:
        (self._found if judged else self._elsewhere).update(dict.fromkeys(found))  # each kept once

    def _add_of(self, writer: Json, found: Iterable[Sign]) -> None:
        """Signs of a component that serves all: each is ours if it is about ours."""
        ours = self._ours()
        others = {text(pod, "metadata", "namespace") for pod in self._pods} - ours.namespaces
        others -= {text(writer, "metadata", "namespace")}
        for sign in found:
            judged = ours.is_named_in(sign.text, writer=ours.has_pod(writer), others=others)
            self._add([sign], judged=judged)

    def _unreadable(self, log: str, lost: UnreadableLines) -> None:
        if lost:
            self._unread[log] = self._unread.get(log, UnreadableLines()) + lost

    def _now(self) -> list[Json]:
        return [pod for pod in self._kube.list_objects("Pod") if not pod["metadata"].get("deletionTimestamp")]

    def _log_of(self, pod: Json) -> tuple[str, str] | None:
        namespace, name = text(pod, "metadata", "namespace"), text(pod, "metadata", "name")
        kind, container = _kind(pod)
        if not kind or text(pod, "status", "phase") != "Running":
            return None
        try:
            return kind, self._kube.read_log(namespace, name, container, since=self._since)
        except (ObjectMissing, ApiUnavailable) as error:
            if self._kube.find(f"Pod/{namespace}/{name}") is None:
                return None  # It went while it was asked.
            if kind == "envoy" and not self._ours().has_pod(pod):
                return None  # Nothing of it is judged.
            raise Inconclusive(f"the log of {namespace}/{name} cannot be read: {error}") from error
        except HarnessError:
            return None  # A container that has not begun has no log: its trouble is others' to tell.

    def _ports(self, bound: list[BindFailure], taken: list[AccessLine], pods: list[Json]) -> None:
        by_uid = {text(p, "metadata", "uid"): pod_name(p) for p in pods}
        by_ip = {ip: pod.name for ip, pod in pods_by_ip(pods).items()}
        ours = self._ours()
        theirs = {text(p, "metadata", "uid") for p in (*self._pods, *pods) if not ours.has_pod(p)}
        mine = [failure for failure in bound if (failure.uid or "") not in theirs]
        conflict = hbone_port_conflict.describe_port_conflict(mine, taken, by_uid, by_ip)
        if conflict:
            self._add([Sign("port", "ztunnel and Envoy", conflict, hbone_port_conflict.REMEDY)])
        for failure in bound:
            who = by_uid.get(failure.uid or "", "")
            if failure not in mine or not (who and failure.address.endswith(":15008")):
                pod = who or f"a pod that is gone now (uid {failure.uid})"
                remedy = hbone_port_conflict.REMEDY if failure.address.endswith(":15008") else ""
                text_ = f"failed to bind {failure.address}: {failure.text}"
                self._add([Sign("port", f"ztunnel for {pod}", text_, remedy)], judged=failure in mine)

    def _envoys(self) -> list[Json]:
        """The ready ones of ours of the last harvest."""
        ours = self._ours()
        return [pod for pod in self._pods if _kind(pod)[0] == "envoy" and is_pod_ready(pod) and ours.has_pod(pod)]

    def _stats(self, pod: Json) -> dict[str, int]:
        """All counters and gauges of an Envoy; none when it went since it was listed."""
        return stats.parse_stats(self._page(pod, 19000, "/stats"))

    def _page(self, pod: Json, port: int, path: str) -> str:
        """A page of a pod's admin port; empty when the pod went since it was listed."""
        namespace, name = text(pod, "metadata", "namespace"), text(pod, "metadata", "name")
        try:
            return self._admin.get(namespace, name, port, path)
        except HarnessError:
            left = self._kube.find(f"Pod/{namespace}/{name}")
            if left is not None and not left["metadata"].get("deletionTimestamp"):
                raise
            return ""

    def _warming(self) -> None:
        last: list[Sign] = []

        def look() -> list[Sign]:
            last[:] = [sign for pod in self._envoys() for sign in signs.warming(pod_name(pod), self._stats(pod))]
            return last

        try:
            until(
                look,
                lambda found: not found,
                what="no cluster or listener of any Envoy is warming",
                within=timeouts.XDS_PROPAGATION,
                transient=(ApiUnavailable, Inconclusive),
                show=lambda found: "; ".join(map(str, found)),
            )
        except NotReady as error:
            if not last:
                raise Inconclusive(str(error)) from error
            self._add(last)

    def _pushes(self) -> dict[str, float]:
        """Updates that each Envoy took, and that istiod sent to all: those only where no other users cause any."""
        found: dict[str, float] = {f"Envoy {pod_name(p)}": signs.pushes(self._stats(p)) for p in self._envoys()}
        if not self._ours().everything:
            return found
        for who, samples in self._metrics("istiod", self._pods, "pilot_xds_pushes").items():
            found[who] = sum(s.value for s in samples)
        return found

    def _rejections(self, pods: list[Json]) -> dict[str, dict[str, float]]:
        """Counters of the control planes that are named after rejections or panics, by pod."""
        found: dict[str, dict[str, float]] = {}
        for kind in ("istiod", "Envoy Gateway"):
            for who, samples in self._metrics(kind, pods, r"(?!go_)\w*(?:reject|nack|panics)").items():
                found[who] = {f"{s.name}{dict(s.labels) or ''}": s.value for s in samples}
        return found

    def _metrics(self, kind: str, pods: list[Json], wanted: str) -> dict[str, list[prometheus.MetricSample]]:
        """The samples whose names begin so (a pattern), by pod: reading all of them took most of the oracles' time."""
        port = next(port for name, *_, port in CONTROL if name == kind)
        found = {}
        for pod in pods:
            if _kind(pod)[0] == kind and is_pod_ready(pod):
                lines = re.findall(rf"^{wanted}.*$", self._page(pod, port, "/metrics"), re.MULTILINE)
                found[f"{kind} {pod_name(pod)}"] = prometheus.parse_samples("\n".join(lines) + "\n")
        return found


def _kind(pod: Json) -> tuple[str, str]:
    """Which component the pod is of, and its container; ("", "") for all others."""
    labels = mapping(pod, "metadata", "labels")
    if OWNING_GATEWAY in labels:
        return "envoy", "envoy"
    if labels.get("app") == "ztunnel":
        return "ztunnel", "istio-proxy"
    for kind, (key, value), container, _ in CONTROL:
        if labels.get(key) == value:
            return kind, container
    return "", ""
