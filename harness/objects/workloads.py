"""Reads Pods, Deployments and DaemonSets: ready, rolled out, failing, restarted.

`helm --wait` is content with a one-node DaemonSet whose only pod cannot pull its image, and burns its whole timeout
on an image that does not exist. The pod's status had the cause after 2 s: that is what `find_trouble` reads.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from harness import timeouts
from harness.errors import SetupFailed
from harness.objects import image_pulls
from harness.objects.conditions import is_true
from harness.objects.unstructured import Json, mapping, maybe_number, name_of, number, objects, one_line, text

RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"  # a pod's annotation after `kubectl rollout restart`
OWNING_GATEWAY = "gateway.envoyproxy.io/owning-gateway-name"  # Envoy Gateway's label on a proxy's pod

# What kubelet writes as a waiting reason when a container cannot come up as it is described.
# ContainerCreating and PodInitializing are the only others in tests/recordings, and are no trouble.
WAITING = frozenset(
    {
        "ImagePullBackOff",
        "ErrImagePull",
        "ErrImageNeverPull",
        "RegistryUnavailable",
        "SignatureValidationFailed",
        "InvalidImageName",
        "ImageInspectError",
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
        "CrashLoopBackOff",
    }
)
PULLS = frozenset({"ImagePullBackOff", "ErrImagePull", "RegistryUnavailable"})
TERMINATED = frozenset({"OOMKilled", "StartError", "ContainerCannotRun"})


@dataclass(frozen=True, slots=True)
class Trouble:
    """One reason why a pod is not running as described; container is "" when it is about the whole pod."""

    pod: str
    container: str
    image: str
    reason: str
    message: str
    stands: float = timeouts.TROUBLE_GRACE  # seconds after which waiting does not help (pulls.NEVER)
    advice: str = ""

    @property
    def text(self) -> str:
        """One line: who, why, with which image, kubelet's own words, and what to do where that is known."""
        who = f"{self.pod} ({self.container})" if self.container else self.pod
        image = f" {self.image}" if self.image else ""
        quoted = f': "{one_line(self.message)}"' if self.message else ""
        return f"Pod {who}: {self.reason}{image}{quoted}" + (f" ({self.advice})" if self.advice else "")


@dataclass(frozen=True, slots=True)
class RolloutProgress:
    """How far a rollout is; text such as "2/3 ready, 1 updated" says so in numbers of pods."""

    done: bool
    text: str


def find_trouble(pod: Json) -> tuple[Trouble, ...]:
    """What kubelet and the scheduler say is wrong with the pod now; () when they say nothing.

    A crash that is over (the container is ready again) is a restart, not trouble.
    """
    return tuple(_pod_trouble(pod)) + tuple(t for c in _containers(pod) for t in _container_trouble(pod, c))


def is_pod_ready(pod: Json) -> bool:
    """Whether the pod is Running, its Ready condition True, and nobody has asked for its deletion."""
    return (
        text(pod, "status", "phase") == "Running"
        and not mapping(pod, "metadata").get("deletionTimestamp")
        and is_true(pod, "Ready")
    )


def rollout_progress(workload: Json) -> RolloutProgress:
    """Whether every wanted pod of a Deployment or DaemonSet is of the current spec and available.

    One that wants 0 pods is not done: the DaemonSet has not seen a node yet, the Deployment was scaled down and nothing
    of it serves. Raises ValueError for any other kind.
    """
    status, kind = mapping(workload, "status"), text(workload, "kind")
    if kind == "Deployment":
        replicas = maybe_number(workload, "spec", "replicas")
        wanted = 1 if replicas is None else replicas
        existing, updated = number(status, "replicas"), number(status, "updatedReplicas")
        ready, available = number(status, "readyReplicas"), number(status, "availableReplicas")
        settled = existing == wanted > 0
    elif kind == "DaemonSet":
        wanted = number(status, "desiredNumberScheduled")
        existing, updated = number(status, "currentNumberScheduled"), number(status, "updatedNumberScheduled")
        ready, available = number(status, "numberReady"), number(status, "numberAvailable")
        settled = wanted > 0
    else:
        raise ValueError(f"{name_of(workload)} is neither a Deployment nor a DaemonSet")
    line = f"{ready}/{wanted} ready, {updated} updated"
    generation, observed = number(workload, "metadata", "generation"), number(status, "observedGeneration")
    if observed < generation:
        return RolloutProgress(False, f"{line} (generation {generation}, observed {observed})")
    if existing > wanted:
        line += f", {existing - wanted} old left"
    if ready > available:
        line += f", {available} available"
    return RolloutProgress(settled and updated == ready == available == wanted, line)


def is_scaled_to_zero(workload: Json) -> bool:
    """Whether it is a Deployment that is asked to have no pod: waiting makes none."""
    return text(workload, "kind") == "Deployment" and maybe_number(workload, "spec", "replicas") == 0


def _containers(pod: Json) -> Iterator[Json]:
    for shape in ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses"):
        yield from objects(pod, "status", shape)


def _conditions(pod: Json) -> Iterator[Json]:
    return objects(pod, "status", "conditions")


def pod_name(pod: Json) -> str:
    """ "namespace/name"."""
    return f"{text(pod, 'metadata', 'namespace')}/{text(pod, 'metadata', 'name')}"


def pod_ip(pod: Json) -> str:
    """The pod's address; "" before it has one."""
    return text(pod, "status", "podIP")


def node_name(pod: Json) -> str:
    """The node on which the pod runs; "" before it is scheduled."""
    return text(pod, "spec", "nodeName")


def addresses(nodes: Iterable[Json]) -> list[str]:
    """The addresses of nodes; their host names are left out."""
    found = (one for node in nodes for one in objects(node, "status", "addresses") if text(one, "type").endswith("IP"))
    return [text(one, "address") for one in found if text(one, "address")]


def selector(obj: Json) -> str:
    """The label selector of a workload or a Service as the API takes it ("app=x,version=v1").

    Raises:
        SetupFailed: it selects nothing. The API takes an empty selector for every pod, which would read as its own.
    """
    spec = mapping(obj, "spec", "selector")
    labels = spec if text(obj, "kind") == "Service" else mapping(spec, "matchLabels")
    if not labels:
        raise SetupFailed(f"{name_of(obj)} selects no pods: its selector is empty")
    return ",".join(f"{key}={value}" for key, value in labels.items())


def pod_containers(workload: Json) -> list[dict[str, Any]]:
    """The containers of a workload's pod template."""
    found = objects(workload, "spec", "template", "spec", "containers")
    return [container for container in found if isinstance(container, dict)]


def target_port(entry: Json, pod: Json) -> int | None:
    """The pod's port behind an entry of a Service's `spec.ports`: its number, or that of the container port of its
    name; None where no container of the pod has a port of that name."""
    name = text(entry, "targetPort")
    if not name or name.isdigit():
        return int(name) if name else maybe_number(entry, "targetPort") or maybe_number(entry, "port")
    ports = (port for container in objects(pod, "spec", "containers") for port in objects(container, "ports"))
    return next((maybe_number(port, "containerPort") for port in ports if text(port, "name") == name), None)


def _pod_trouble(pod: Json) -> Iterator[Trouble]:
    for condition in _conditions(pod):
        if text(condition, "type") == "PodScheduled" and text(condition, "reason") == "Unschedulable":
            yield Trouble(pod_name(pod), "", "", "Unschedulable", text(condition, "message"))
    if text(pod, "status", "phase") == "Failed":
        reason = text(pod, "status", "reason") or "Failed"
        yield Trouble(pod_name(pod), "", "", reason, text(pod, "status", "message"))


def _container_trouble(pod: Json, status: Json) -> Iterator[Trouble]:
    """At most one trouble for a container: what it waits for, else how it ended."""
    waiting, ended = mapping(status, "state", "waiting"), mapping(status, "state", "terminated")
    last = mapping(status, "lastState", "terminated")
    reason, message = text(waiting, "reason"), text(waiting, "message")
    if reason in WAITING:
        if last:  # A crash loop says only "back-off"; the exit code and its reason lie in the last state.
            message += f" (last exit {number(last, 'exitCode')} {text(last, 'reason')})"
    elif text(ended, "reason") in TERMINATED:
        reason, message = text(ended, "reason"), text(ended, "message")
    elif text(last, "reason") in TERMINATED and status.get("ready") is not True:
        reason, message = text(last, "reason"), text(last, "message")
    else:
        return
    pull = image_pulls.judge_pull_failure(message) if reason in PULLS else image_pulls.Pull(timeouts.TROUBLE_GRACE, "")
    yield Trouble(pod_name(pod), text(status, "name"), text(status, "image"), reason, message, pull.stands, pull.advice)
