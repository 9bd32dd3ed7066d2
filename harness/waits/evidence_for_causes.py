"""Reads from the cluster what the rules of harness.causes need after a failure.

Works on existing clusters too: it reads only what it names, and a kind that may not be read is left out of the rules.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cache

import yaml

from harness import timeouts
from harness.causes.changes import OBSERVER
from harness.causes.components import COREDNS_NAMESPACE, is_dns_failure
from harness.causes.references import POLICIES, READ, referred_namespaces
from harness.causes.rules import find_causes
from harness.causes.state import (
    AccessLog,
    AccessRecord,
    Cause,
    ClientRequest,
    ClusterState,
    FailureFacts,
    name_parts,
    object_key,
)
from harness.kube import Kube
from harness.logs import envoy_access, ztunnel
from harness.objects.kind_namespace_name import KINDS
from harness.objects.manifests import MANIFESTS, Document, parse_documents
from harness.objects.namespace_mapping import Placement
from harness.objects.unstructured import Json, mapping, text
from harness.objects.workloads import OWNING_GATEWAY, is_pod_ready
from harness.observations import Sighting

MESH_POLICIES = ("AuthorizationPolicy", "PeerAuthentication")
CLAIM = ("Gateway", "HTTPRoute", "Service", "EndpointSlice", "Pod", *POLICIES, *MESH_POLICIES)
LOOKS = 2  # at the proxies' logs for lines of requests, a second apart
REQUESTS = 200  # of which access lines are looked for
NODES = 5  # nodes whose ztunnel log is read
_URL = re.compile(r" to (https?://\S+)$")
_VIA = re.compile(r" via (.+)$")
_LOG = re.compile(r"^(\S+) access log$")
_STATUS = re.compile(r"^status of (\S+)$")
_MESH = re.compile(r"TCP|HBONE|ztunnel|identity|15008|connection|access lines of")


@cache
def suite_objects(namespace: str) -> frozenset[str]:
    """The objects that this repository's manifests name, as "Kind/namespace/name", moved to a run's namespace."""
    found, placement = set[str](), Placement(namespace)
    for file in sorted(MANIFESTS.rglob("*.yaml")):
        with suppress(yaml.YAMLError, OSError, ValueError):  # a broken manifest is reported where it is applied
            written = [one for one in parse_documents(file.read_text()) if text(mapping(one), "kind")]
            found |= {object_key(one) for one in placement.documents(written)}
    return frozenset(found)


def find_condition_causes(kube: Kube, name: str, condition: str) -> list[Cause]:
    """Why a condition of an object ("Kind/namespace/name") does not come: what it refers to is read, and judged."""
    kind = name.partition("/")[0]

    def read(objects: dict[str, list[Document]]) -> None:
        obj = kube.get(name)
        namespaces = referred_namespaces(obj) or {""}
        read_namespaces.update(namespaces)
        objects[kind] = [obj]
        same = (kind,) if kind in POLICIES else ()
        for other in dict.fromkeys([*READ.get(kind, ()), *same]):
            _read_kind(kube, objects, other, namespaces)

    read_namespaces = set[str]()
    objects = _bounded(read)
    state = ClusterState(objects, frozenset(read_namespaces - {""}), ours=suite_objects(kube.namespace))
    return find_causes(state, FailureFacts(object=name, condition=condition))


def find_failure_causes(kube: Kube, message: str, sightings: Sequence[Sighting]) -> list[Cause]:
    """Why a claim or a wait about requests failed: `message` is the failure's text, `sightings` what was seen until
    then. Reads the suite's namespaces, the stack's pods, and the logs of ztunnel since the first sighting."""
    failure = FailureFacts(
        text=message,
        calls=_calls(sightings),
        read=list(dict.fromkeys(found[1] for one in sightings if (found := _STATUS.match(one.who)))),
        counters=[f"{one.who}: {one.what}" for one in sightings if one.who.endswith(" counters")],
        changes=list(dict.fromkeys(one.what for one in sightings if one.who == OBSERVER)),
    )
    access, connections = _lines(sightings)
    wanted = kube.wanted.documents
    system = kube.places.namespaces
    namespaces = {kube.namespace, *(text(one, "metadata", "namespace") for one in wanted.values())} - {"", *system}
    began = min((s.at for s in sightings), default=time.time() - 60)
    since = datetime.fromtimestamp(began, UTC) - timedelta(seconds=1)
    logs: list[str] = []
    access_logs: dict[str, AccessLog] = {}
    over = threading.Event()  # these reads are no longer awaited

    def read(objects: dict[str, list[Document]]) -> None:
        for kind in ("Namespace", "GatewayClass"):
            _read_kind(kube, objects, kind, {""})
        for kind in CLAIM:
            _read_kind(kube, objects, kind, namespaces)
        # Pods first: the reads may end at any point, and a workload whose pods were not read seems to have none.
        of_system = system if _read_kind(kube, objects, "Pod", system) else ()
        for kind in ("Deployment", "DaemonSet"):
            _read_kind(kube, objects, kind, (*namespaces, *of_system))
        for kind in {text(one, "kind") for one in wanted.values()} - objects.keys():
            _read_kind(kube, objects, kind, namespaces)
        for kind in MESH_POLICIES:
            if kind in objects:
                _read_kind(kube, objects, kind, {kube.places.root_namespace})
        if is_dns_failure(failure):
            _read_kind(kube, objects, "Deployment", {COREDNS_NAMESPACE})
        access.extend(_access_lines(kube, objects.get("Pod", ()), failure, access, since, over, access_logs))
        nodes = [pod for pod in objects.get("Pod", ()) if text(pod, "metadata", "labels", "app") == "ztunnel"]
        if failure.failed_calls or _MESH.search(message) or not all(map(is_pod_ready, nodes)):
            logs.extend(kube.read_log(*name_parts(pod), "istio-proxy", since=since) for pod in nodes[:NODES])

    objects = _bounded(read)
    over.set()
    for log in tuple(logs):
        connections += [line for line in ztunnel.parse_ztunnel_log(log).lines if line.time >= since]
    state = ClusterState(
        objects,
        frozenset(namespaces),
        access=access,
        connections=list(dict.fromkeys(connections)),
        bind_failures=[one for log in logs for one in ztunnel.parse_bind_failures(log) if one.time >= since],
        ours=suite_objects(kube.namespace),
        home=kube.namespace,
        root_namespace=kube.places.root_namespace,
        wanted=wanted,
        removed=frozenset(kube.wanted.removed),
        logs=dict(access_logs),
        since=since,
    )
    return find_causes(state, failure)


def _bounded(read: Callable[[dict[str, list[Document]]], None]) -> Mapping[str, Sequence[Json]]:
    """What was read within timeouts.CAUSES, by kind; whatever went wrong, the rest is there."""
    objects: dict[str, list[Document]] = {}

    def attempt() -> None:
        with suppress(Exception):  # the failure itself is what is reported; without reads fewer causes are named
            read(objects)

    thread = threading.Thread(target=attempt, daemon=True, name="causes")
    thread.start()
    thread.join(timeouts.CAUSES)
    return dict(objects)


def _read_kind(kube: Kube, objects: dict[str, list[Document]], kind: str, namespaces: Iterable[str]) -> bool:
    """Adds the objects of a kind, and returns whether all of the namespaces could be read; else it adds none."""
    found: list[Document] = []
    try:
        for namespace in namespaces if KINDS[kind][1] else ("",):
            found += kube.list_objects(kind, namespace)
    except Exception:  # noqa: BLE001  # not allowed, not defined, no answer: the rules about it say nothing
        return False
    objects[kind] = [*objects.get(kind, ()), *found]
    return True


def _access_lines(
    kube: Kube,
    pods: Iterable[Document],
    failure: FailureFacts,
    known: Sequence[AccessRecord],
    since: datetime,
    over: threading.Event,
    logs: dict[str, AccessLog],
) -> list[AccessRecord]:
    """Lines of requests that the test had not read yet, from the logs of all Gateways' proxies, and into `logs` how
    many lines each has. Envoy writes them within a second or so; requests that pass no proxy have none."""
    sent = [f"e2e/{call.id}" for call in failure.calls if call.id and call.status is not None]
    agents = set(sent[-REQUESTS:])
    if "access lines of" not in failure.text:  # else one Gateway's log lacks lines that another's may have
        agents -= {one.line.user_agent for one in known if one.line.user_agent}
    proxies = [pod for pod in pods if OWNING_GATEWAY in mapping(pod, "metadata", "labels")]
    found: list[AccessRecord] = []
    for _ in range(LOOKS if agents and proxies else 0):
        found = []
        logs.clear()
        for pod in proxies:
            gateway, (namespace, name) = text(mapping(pod, "metadata", "labels"), OWNING_GATEWAY), name_parts(pod)
            parsed = envoy_access.parse_access_log(kube.read_log(namespace, name, "envoy", since=since))
            before = logs.get(gateway, AccessLog(0))
            mine = [AccessRecord(gateway, line) for line in parsed.lines if line.user_agent in agents]
            found += mine
            logs[gateway] = AccessLog(
                before.lines + len(parsed.lines), before.own + len(mine), before.unreadable + parsed.unreadable.count
            )
        if agents <= {one.line.user_agent for one in found}:
            break
        over.wait(1.0)
    return found


def _calls(sightings: Sequence[Sighting]) -> list[ClientRequest]:
    """The requests that clients saw, from the raw answers."""
    found = []
    for number, sighting in enumerate(sightings):
        url, via = _URL.search(sighting.what), _VIA.search(sighting.what)
        for raw in sighting.raw:
            with suppress(ValueError):
                answer = json.loads(raw)
                if isinstance(answer, dict) and {"id", "status", "error"} <= answer.keys():
                    quota = text(answer, "headers", "x-ratelimit-limit")
                    outcome = (answer["status"], str(answer["error"]), str(answer["id"]))
                    local = text(answer, "local")
                    found.append(
                        ClientRequest(url[1] if url else "", *outcome, number, quota, local, via[1] if via else "")
                    )
    return found


def _lines(sightings: Sequence[Sighting]) -> tuple[list[AccessRecord], list[ztunnel.ZtunnelLine]]:
    """The log lines among what was seen."""
    access: list[AccessRecord] = []
    connections: list[ztunnel.ZtunnelLine] = []
    for sighting in sightings:
        log = _LOG.match(sighting.who)
        for raw in sighting.raw:
            line = envoy_access.parse_access_line(raw) if log else None
            if log and line is not None:
                access.append(AccessRecord(log[1], line))
            elif (connection := ztunnel.parse_ztunnel_line(raw)) is not None:
                connections.append(connection)
    return access, connections
