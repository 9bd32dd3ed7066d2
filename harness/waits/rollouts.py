"""Ready is our own word: every pod of a workload, with what cannot heal named within seconds."""

from __future__ import annotations

import time
from collections.abc import Sequence

from harness import timeouts
from harness.kube import ApiUnavailable, Kube, Missing
from harness.objects.conditions import is_true
from harness.objects.manifests import Document
from harness.objects.refs import ref
from harness.objects.workloads import Trouble, rolled_out, scaled_to_none, selector, trouble
from harness.wait import patient, until

SCALED_DOWN = "scaled to 0, so nothing makes its pods: `kubectl scale` it up again"


def wait_for_rollout(kube: Kube, name: str, *, within: float = timeouts.ROLLOUT) -> None:
    """Waits until a Deployment or DaemonSet ("Deployment/default/ratings-v1") has rolled out.

    Raises:
        Terminal: a pod of it is in trouble that stood for TROUBLE_GRACE seconds: pod, container, image, message. Or it
            is asked to have no pods at all.
        NotReady: it did not roll out in time.
    """
    since: dict[tuple[str, str], float] = {}

    def look() -> tuple[bool, str, list[Trouble]]:
        try:
            obj = kube.get(name)
        except Missing:
            return False, "not created yet", []
        if scaled_to_none(obj):
            return False, SCALED_DOWN, []
        progress = rolled_out(obj)
        return (
            progress.done,
            progress.text,
            [] if progress.done else [t for pod in read_pods(kube, obj) for t in trouble(pod)],
        )

    def hopeless(seen: tuple[bool, str, list[Trouble]]) -> str | None:
        if seen[1] == SCALED_DOWN:
            return SCALED_DOWN
        now = time.monotonic()
        # By container, not by reason: kubelet tells of one failing pull as ErrImagePull and ImagePullBackOff in turn.
        standing = {(t.pod, t.container): t for t in seen[2]}
        for key in set(since) - set(standing):
            del since[key]
        for key, one in standing.items():
            if now - since.setdefault(key, now) >= patient(timeouts.TROUBLE_GRACE):
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


def read_pods(kube: Kube, obj: Document) -> list[Document]:
    """The pods that a workload's selector finds, those on their way out left out."""
    return kube.pods(obj["metadata"]["namespace"], selector(obj))


def wait_for_definition(kube: Kube, name: str) -> None:
    """Waits until a CustomResourceDefinition is established: its objects can be applied."""
    until(
        lambda: kube.find(ref(f"CustomResourceDefinition/{name}")),
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
        found = kube.objects("Node")
        return [n["metadata"]["name"] for n in found if not is_true(n, "Ready")] if found else ["no node"]

    until(
        look,
        lambda waiting: not waiting,
        what="every node is Ready",
        within=timeouts.ROLLOUT,
        transient=(ApiUnavailable,),
        show=lambda waiting: f"not ready: {', '.join(waiting)}",
    )
