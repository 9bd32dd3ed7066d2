"""Runs the Gateway API conformance suite as a Job in the cluster, and collects its files."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from harness import cluster_records, progress, timeouts
from harness.cluster.protocol import Cluster
from harness.command import run
from harness.conformance.run_files import Recording, kubectl_of, read_backend_logs, read_ztunnel_lines
from harness.conformance.suite_verdicts import NAMESPACES
from harness.errors import BadInput, Inconclusive, NotReady
from harness.kube import ApiUnavailable, Kube
from harness.objects.kind_namespace_name import Ref, parse_ref
from harness.objects.manifests import Document
from harness.objects.namespace_mapping import Placement
from harness.objects.unstructured import text
from harness.objects.workloads import find_trouble, is_pod_ready
from harness.undo.temporary_changes import Manifests
from harness.undo.undo_log import UndoLog
from harness.version_sets import Conformance, VersionSet
from harness.wait import until
from harness.waits import gateways

SUITE_NAMESPACES = tuple(
    f"{NAMESPACES}{name}" for name in ("infra", "app-backend", "web-backend", "mesh", "mesh-consumer")
)
CONTAINER, LABEL = "suite", "app=conformance"
ENROLLED = "ambient.istio.io/redirection"  # istio-cni's annotation on a pod whose traffic ztunnel carries
PROJECT = "https://github.com/envoyproxy/gateway"
_STATE = 'grep -c "^=== RUN   TestConformance/[A-Za-z0-9]*$" log; cat code 2>/dev/null; true'


@dataclass(frozen=True, slots=True)
class Variant:
    """A way to run the suite: the labels of its namespaces, the profiles and features, and manifests of ours."""

    name: str
    profiles: tuple[str, ...]
    labels: tuple[str, ...] = ()
    manifests: tuple[str, ...] = ()
    mesh: bool = False  # whether the suite's tests are those of a mesh

    @property
    def meshed(self) -> bool:
        """Whether the suite's pods are to be in the mesh."""
        return bool(self.labels)


GATEWAY, MESH = ("GATEWAY-HTTP", "GATEWAY-GRPC", "GATEWAY-TLS"), ("MESH-HTTP", "MESH-GRPC")
AMBIENT = "istio.io/dataplane-mode=ambient"
WAYPOINT = ("istio.io/use-waypoint=waypoint", f"istio.io/use-waypoint-namespace={NAMESPACES}mesh")
VARIANTS = {
    one.name: one
    for one in (
        Variant("outside", GATEWAY),
        Variant("inside", GATEWAY, (AMBIENT,)),
        Variant("mesh", MESH, (AMBIENT, *WAYPOINT), ("conformance/waypoint.yaml",), mesh=True),
    )
}


def arguments(
    variant: Variant, suite: Conformance, version: str, *, only: str = "", skip: Sequence[str] = ()
) -> list[str]:
    """The suite's command line; `version` is Envoy Gateway's, `only` the one test to run, `skip` those left out."""
    found = {
        "gateway-class": "",  # filled in where the class is placed
        "conformance-profiles": ",".join(variant.profiles),
        "supported-features": ",".join(suite.mesh if variant.mesh else suite.gateway),
        "skip-tests": ",".join((*suite.skip, *skip)),
        "namespace-labels": ",".join(variant.labels),
        "run-test": only,
        "mode": {"outside": "default", "inside": "ambient"}.get(variant.name, "ambient-waypoint"),
        "organization": "envoyproxy",
        "project": "envoy-gateway",
        "url": PROJECT,
        "version": f"v{version}",
        "contact": f"{PROJECT}/issues",
        "report-output": "report.yaml",
    }
    # Its base resources stay until their logs have been read; we delete them.
    given = [f"-{name}={value}" for name, value in found.items() if value]
    return ["-test.v", "-test.timeout=0", *given, "-cleanup-base-resources=false"]


def refuse_others(kube: Kube) -> None:
    """
    Raises:
        BadInput: a namespace of the suite's names is there: it is not ours.
    """
    there = [name for name in SUITE_NAMESPACES if kube.find(parse_ref(f"Namespace/{name}"))]
    if there:
        raise BadInput(
            f"namespaces of the conformance suite already exist: {', '.join(there)}",
            remedy="delete them if they are not needed: the suite's manifests fix their names",
        )


def run_suite(
    cluster: Cluster,
    kube: Kube,
    versions: VersionSet,
    variant: Variant,
    binary: Path,
    kubectl: str,
    *,
    only: str = "",
    skip: Sequence[str] = (),
    before_undo: Callable[[Exception], None] = lambda _: None,
) -> Recording:
    """Runs the suite once and deletes all that it made. A suite that does not end in time is recorded as far as it got.
    `before_undo` gets an error before anything is deleted.

    Raises:
        SetupFailed: its pod did not start.
        ApiUnavailable, Inconclusive: its files could not be read.
    """
    suite = versions.conformance
    assert suite is not None  # the command has refused that
    made, placement = UndoLog(cluster.home / cluster_records.APPLIED), Placement(kube.namespace)
    manifests = Manifests(kube, versions, made, placement)
    began = datetime.now(UTC)
    with manifests.while_applied("conformance/suite.yaml"), _suite_deleted(kube), _evidence_first(before_undo):
        gateway_class = placement.text("GatewayClass/eg-conformance").partition("/")[2]
        given = arguments(variant, suite, versions.envoy_gateway, only=only, skip=skip)
        argv = [*given, f"-gateway-class={gateway_class}"]
        if variant.manifests:
            _apply_waypoint(kube, manifests, variant)
        (job,) = manifests.read("conformance/job.yaml")
        with _job(kube, made, with_arguments(job, argv)) as pod, _evidence_first(before_undo):
            _copy(kube, kubectl, binary, pod)
            _wait_for_end(kube, pod)
            log, report = (_read(kube, pod, name) for name in ("log", "report.yaml"))
        own = [one for name in SUITE_NAMESPACES for one in kube.list_objects("Pod", name)]
        enrolled = sum(one["metadata"].get("annotations", {}).get(ENROLLED) == "enabled" for one in own)
        backends = read_backend_logs(kube, kubectl, own)
    # ztunnel writes of a connection when it closes: Envoy's do when it is deleted.
    return Recording(log, report, backends, read_ztunnel_lines(kube, began), len(own), enrolled)


def with_arguments(job: Document, argv: Sequence[str]) -> Document:
    """The Job with the suite's command line."""
    found = copy.deepcopy(job)
    found["spec"]["template"]["spec"]["containers"][0]["args"] = list(argv)
    return found


def _apply_waypoint(kube: Kube, manifests: Manifests, variant: Variant) -> None:
    """The waypoint lives in a namespace of the suite and goes with it."""
    home = f"{NAMESPACES}mesh"
    label, _, value = AMBIENT.partition("=")
    kube.patch(f"Namespace/{home}", {"metadata": {"labels": {label: value}}})
    for name in variant.manifests:
        kube.apply(manifests.read(name))
    gateways.wait_for_proxy_pod(Kube(kube.kubeconfig, kube.context, namespace=home), "waypoint")


@contextmanager
def _evidence_first(before_undo: Callable[[Exception], None]) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        before_undo(error)
        raise


@contextmanager
def _suite_deleted(kube: Kube) -> Iterator[None]:
    """Deletes the suite's namespaces, its Gateways first: a class with Gateways cannot be deleted."""
    try:
        yield
    finally:
        with progress.stage("conformance: deleting the suite's namespaces"):
            found = [one for name in SUITE_NAMESPACES for one in kube.list_objects("Gateway", name)]
            kube.delete([*found], gone=True)
            kube.delete([parse_ref(f"Namespace/{name}") for name in SUITE_NAMESPACES], gone=False)
            for name in SUITE_NAMESPACES:
                until(
                    lambda name=name: kube.find(parse_ref(f"Namespace/{name}")),  # type: ignore[misc]  # the default binds the loop's value
                    lambda there: there is None,
                    what=f"namespace {name} is gone",
                    within=timeouts.NAMESPACE_GONE,
                    transient=(ApiUnavailable,),
                    show=lambda there: "there" if there else "gone",
                )


@contextmanager
def _job(kube: Kube, made: UndoLog, job: Document) -> Iterator[str]:
    """Applies the Job and yields its pod's name once it runs; at the end its pod ends and both are deleted."""
    notes = made.remember(kube, [job])
    kube.apply([job])
    pod = ""
    try:
        found = until(
            lambda: kube.list_pods(kube.namespace, LABEL),
            lambda pods: any(is_pod_ready(one) for one in pods),
            what="the conformance Job's pod is ready",
            within=timeouts.ROLLOUT,
            transient=(ApiUnavailable,),
            hopeless=lambda pods: next(
                (one.text for pod in pods for one in find_trouble(pod) if one.stands <= timeouts.TROUBLE_GRACE), None
            ),
            show=lambda pods: ", ".join(text(one, "status", "phase") for one in pods) or "no pod",
        )
        pod = next(str(one["metadata"]["name"]) for one in found if is_pod_ready(one))
        yield pod
    finally:
        # The API server keeps a deleted Job's pods.
        made.undo(kube, notes)
        kube.delete([Ref("Pod", pod, kube.namespace, "v1")] if pod else [], force=True)


def _copy(kube: Kube, kubectl: str, binary: Path, pod: str) -> None:
    with progress.stage(f"conformance: copying {binary.name}"):
        at = f"{kube.namespace}/{pod}:/suite/conformance.test"
        argv = [*kubectl_of(kube, kubectl), "cp", "--container", CONTAINER, str(binary.resolve()), at]
        run(argv, within=timeouts.CONFORMANCE_COPY)
        argv = ["sh", "-c", "chmod 755 conformance.test && touch go"]
        done = kube.exec_in_pod(kube.namespace, pod, CONTAINER, argv, within=timeouts.EXEC)
        if done.code != 0:
            raise Inconclusive(f"the suite's binary cannot be made executable in its pod: {done.stderr.strip()}")


def _wait_for_end(kube: Kube, pod: str) -> None:
    """Waits until the suite has ended, or its time is over."""

    def look() -> Sequence[str]:
        return kube.exec_in_pod(
            kube.namespace, pod, CONTAINER, ["sh", "-c", _STATE], within=timeouts.EXEC
        ).stdout.split()

    try:
        seen = until(
            look,
            lambda words: len(words) > 1,
            what="the conformance suite has ended",
            within=timeouts.CONFORMANCE,
            every=5,
            transient=(ApiUnavailable, Inconclusive),
            show=lambda words: f"{words[0] if words else 0} tests begun",
        )
        progress.note(f"the suite ended with code {seen[1]}")
    except NotReady as error:
        progress.note(f"{error}: judged as far as it got")


def _read(kube: Kube, pod: str, name: str) -> str:
    done = kube.exec_in_pod(kube.namespace, pod, CONTAINER, ["cat", name], within=timeouts.EXEC)
    return done.stdout if done.code == 0 else ""
