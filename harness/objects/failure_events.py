"""Finds failures that only Kubernetes Events show, such as pods without a sandbox or volume. Pure.

A pod's status says only ContainerCreating then. An Event stays for an hour after what it reports, so one counts only
as long as the object shows that it still holds: the pod has no sandbox yet, or there is no pod at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from harness import timeouts
from harness.objects.conditions import is_true
from harness.objects.image_pulls import NEVER
from harness.objects.unstructured import Json, mapping, objects, one_line, text
from harness.objects.workloads import Trouble, pod_ip, pod_name

# istiod writes it into each namespace once it runs; ztunnel and others wait for it meanwhile.
MADE_LATER = ("istio-ca-root-cert",)
_KERNEL = re.compile(r"missing kernel module|not supported, missing|modprobe|can't initialize ip6?tables")
_GONE = re.compile(r'(?:configmap|secret)s? "([^"]+)" not found|references non-existent')
_WEBHOOK = re.compile(r"failed calling webhook|no endpoints available|connection refused")


def find_event_trouble(workload: Json, pods: Iterable[Json], events: Iterable[Json]) -> tuple[Trouble, ...]:
    """What Events say keeps a workload's pods from starting, the last of each kind."""
    pods, warnings = list(pods), sorted((e for e in events if text(e, "type") == "Warning"), key=_time)
    found: dict[tuple[str, str], Trouble] = {}
    for pod in pods:
        if _starts(pod):
            mine = (event for event in warnings if _is_about(event, pod))
            found |= {(one.pod, one.reason): one for event in mine for one in _of_pod(pod, event)}
    if not pods:
        made = text(workload, "metadata", "creationTimestamp")[:19]
        mine = (e for e in warnings if _is_about_maker(e, workload) and _time(e)[:19] >= made)
        found |= {(one.pod, one.reason): one for event in mine for one in _of_maker(workload, event)}
    return tuple(found.values())


def _starts(pod: Json) -> bool:
    """Whether the pod has a node and no sandbox yet. Older clusters have no such condition: there its IP decides."""
    statuses = {text(one, "type"): text(one, "status") for one in objects(pod, "status", "conditions")}
    sandbox = (
        statuses.get("PodReadyToStartContainers") == "True" if "PodReadyToStartContainers" in statuses else pod_ip(pod)
    )
    return text(pod, "status", "phase") == "Pending" and not sandbox and not is_true(pod, "Ready")


def _of_pod(pod: Json, event: Json) -> Iterator[Trouble]:
    reason, message = text(event, "reason"), text(event, "message")
    if reason == "FailedCreatePodSandBox":
        # It also happens in passing while the CNI plugin starts; what the kernel lacks does not come.
        stands = timeouts.TROUBLE_GRACE if _KERNEL.search(message) else timeouts.SANDBOX_GRACE
        advice = "the node's kernel lacks what ambient needs: load its modules" if _KERNEL.search(message) else ""
    elif reason in ("FailedMount", "FailedAttachVolume"):
        gone = _GONE.search(message)
        stands = timeouts.MOUNT_GRACE if gone and gone.group(1) not in MADE_LATER else NEVER
        advice = ""
    else:
        return
    yield Trouble(pod_name(pod), "", "", reason, one_line(message), stands, advice)


def _of_maker(workload: Json, event: Json) -> Iterator[Trouble]:
    if text(event, "reason") == "FailedCreate":
        message = text(event, "message")
        stands = NEVER if _WEBHOOK.search(message) else timeouts.TROUBLE_GRACE
        yield Trouble(f"of {text(workload, 'kind')} {pod_name(workload)}", "", "", "FailedCreate", message, stands)


def _is_about(event: Json, pod: Json) -> bool:
    about, meta = mapping(event, "involvedObject"), mapping(pod, "metadata")
    named = text(about, "kind") == "Pod" and text(about, "name") == text(meta, "name")
    return named and text(about, "uid") in ("", text(meta, "uid"))


def _is_about_maker(event: Json, workload: Json) -> bool:
    """A DaemonSet creates its pods itself, a Deployment's are created by its ReplicaSets."""
    kind, name = text(event, "involvedObject", "kind"), text(event, "involvedObject", "name")
    own = text(workload, "metadata", "name")
    return (kind, name) == (text(workload, "kind"), own) or (kind == "ReplicaSet" and name.rpartition("-")[0] == own)


def _time(event: Json) -> str:
    """When it happened last, as the API writes times; they sort as they are."""
    times = (text(event, *path) for path in (("series", "lastObservedTime"), ("lastTimestamp",), ("eventTime",)))
    return next((time for time in times if time), "")
