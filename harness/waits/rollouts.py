"""Waits until all pods of a workload are ready; fails early on errors that do not heal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress

from harness import record_replay, timeouts
from harness.kube import ApiUnavailable, Kube, ObjectMissing, RequestRejected
from harness.objects.conditions import is_true
from harness.objects.failure_events import find_event_trouble as told_by_events
from harness.objects.image_pulls import NEVER
from harness.objects.kind_namespace_name import parse_ref
from harness.objects.manifests import Document
from harness.objects.unstructured import text
from harness.objects.workloads import PULLS, Trouble, find_trouble, is_scaled_to_zero, rollout_progress, selector
from harness.wait import scaled_bound, until

SCALED_DOWN = "scaled to 0, so nothing makes its pods: `kubectl scale` it up again"


def wait_for_rollout(kube: Kube, name: str, *, within: float = timeouts.ROLLOUT) -> None:
    """Waits until a Deployment or DaemonSet ("Deployment/default/ratings-v1") has rolled out.

    Raises:
        Terminal: a pod of it is in trouble that stood for its grace and does not heal: pod, container, image, message,
            or the message of the Event that reports it. Or it is asked to have no pods at all.
        NotReady: it did not roll out in time; trouble that may heal (a registry's rate limit) is in the message.
    """
    since: dict[tuple[str, str, float], float] = {}
    causes: dict[tuple[str, str], Trouble] = {}
    events = _Events(kube)

    def look() -> tuple[bool, str, list[Trouble]]:
        try:
            obj = kube.get(name)
        except ObjectMissing:
            return False, "not created yet", []
        if is_scaled_to_zero(obj):
            return False, SCALED_DOWN, []
        progress = rollout_progress(obj)
        if progress.done:
            return True, progress.text, []
        found = read_pods(kube, obj)
        return False, progress.text, [*(t for pod in found for t in find_trouble(pod)), *events.trouble(obj, found)]

    def hopeless(seen: tuple[bool, str, list[Trouble]]) -> str | None:
        if seen[1] == SCALED_DOWN:
            return SCALED_DOWN
        now = record_replay.monotonic()
        # By container, not by reason: kubelet reports one failing pull as ErrImagePull and ImagePullBackOff in turn,
        # before Kubernetes 1.31 with its cause only in the first.
        standing = {}
        for one in seen[2]:
            if one.reason in PULLS:
                key = one.pod, one.container
                one = causes.setdefault(key, one) if one.stands == NEVER and not one.advice else one
                causes[key] = one
            standing[one.pod, one.container or one.reason, one.stands] = one
        for over in set(since) - set(standing):
            del since[over]
        for stood, one in standing.items():
            if now - since.setdefault(stood, now) >= scaled_bound(one.stands):
                return one.text
        return None

    until(
        look,
        lambda seen: seen[0],
        what=f"{name} is rolled out",
        within=within,
        hopeless=hopeless,
        transient=(ApiUnavailable,),
        show=lambda seen: "; ".join([seen[1], *(t.text for t in seen[2][:2])]),
    )


class _Events:
    """Events about a workload that is not ready, read EVENTS_AFTER seconds after the first look, and as often."""

    def __init__(self, kube: Kube) -> None:
        self._kube, self._due = kube, record_replay.monotonic() + timeouts.EVENTS_AFTER
        self._read: list[Document] = []

    def trouble(self, obj: Document, found: list[Document]) -> tuple[Trouble, ...]:
        """What they say now keeps its pods from starting; nothing where reading Events is not allowed."""
        if record_replay.monotonic() >= self._due:
            self._due = record_replay.monotonic() + timeouts.EVENTS_AFTER
            with suppress(RequestRejected, ObjectMissing):
                self._read = self._kube.list_objects("Event", obj["metadata"]["namespace"], fields="type=Warning")
        return told_by_events(obj, found, self._read)


def wait_for_rollouts(kube: Kube, names: Iterable[str]) -> None:
    """Waits for one workload after the other."""
    for name in names:
        wait_for_rollout(kube, name)


def read_pods(kube: Kube, obj: Document) -> list[Document]:
    """The pods that a workload's selector finds, those on their way out left out."""
    return kube.list_pods(text(obj, "metadata", "namespace"), selector(obj))


def wait_for_definition(kube: Kube, name: str) -> None:
    """Waits until a CustomResourceDefinition is established: its objects can be applied."""
    until(
        lambda: kube.find(parse_ref(f"CustomResourceDefinition/{name}")),
        lambda found: is_true(found, "Established"),
        what=f"CustomResourceDefinition/{name} is established",
        within=timeouts.STATUS,
        every=0.2,
        transient=(ApiUnavailable,),
        show=lambda found: "there" if found else "absent",
    )


def wait_for_nodes(kube: Kube) -> None:
    """Waits until every node is Ready."""

    def look() -> Sequence[str]:
        found = kube.list_objects("Node")
        return [n["metadata"]["name"] for n in found if not is_true(n, "Ready")] if found else ["no node"]

    until(
        look,
        lambda waiting: not waiting,
        what="every node is Ready",
        within=timeouts.ROLLOUT,
        transient=(ApiUnavailable,),
        show=lambda waiting: f"not ready: {', '.join(waiting)}",
    )
