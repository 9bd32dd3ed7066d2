"""Collects the state of a cluster into a folder; a part that fails is recorded, never raised.

Of what lives in namespaces only ours are looked into: a cluster may be others' as well, and theirs is not evidence.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path

import yaml

from harness import timeouts
from harness.clients.admin import Admin
from harness.cluster.protocol import Cluster, read_places
from harness.errors import HarnessError
from harness.kube import ApiUnavailable, Kube, ObjectMissing
from harness.objects import kind_namespace_name
from harness.objects.crds_and_admission_policies import DEFINITIONS
from harness.objects.manifests import Document
from harness.objects.namespace_mapping import WRITTEN, Placement
from harness.objects.unstructured import number, objects, text
from harness.report.redact import redact

# definitions are megabytes
KINDS = tuple(kind for kind in kind_namespace_name.KINDS if kind not in (*DEFINITIONS, *kind_namespace_name.UNREAD))
LOG_LIMIT = 2_000_000  # characters of one container's log: its end
ADMIN = {  # what to ask of which container, by port
    "envoy": (19000, ("/config_dump", "/stats", "/clusters", "/server_info")),
    "istio-proxy": (15000, ("/config_dump",)),
}


def own_namespaces(kube: Kube) -> tuple[str, ...]:
    """Ours: the run's and those that go with it, then the stack's."""
    return (*sorted(Placement(kube.namespace).namespaces), *kube.places.namespaces)


def gather(cluster: Cluster, into: Path, why: str, *, namespace: str = WRITTEN) -> None:
    """Writes objects, events, logs (those of the run before a restart too), admin pages and node logs below `into`.

    Bounded by timeouts.GATHER. What could not be read is listed in failures.txt. Never raises.
    """
    failures: list[str] = []
    try:
        into.mkdir(parents=True, exist_ok=True)
        (into / "why.txt").write_text(redact(f"{why}\n"))
        _gather(cluster, into, failures, namespace)
    except Exception as error:  # noqa: BLE001  # evidence is best effort: it must not hide what it is evidence of
        failures.append(f"gather itself: {type(error).__name__}: {error}")
    finally:
        if failures:
            with suppress(OSError):  # where nothing can be written, nothing can be reported either
                (into / "failures.txt").write_text(redact("\n".join(failures) + "\n"))


def _gather(cluster: Cluster, into: Path, failures: list[str], namespace: str) -> None:
    kube = Kube(cluster.kubeconfig, cluster.context, namespace=namespace, places=read_places(cluster))
    admin = Admin(cluster)
    lock = threading.Lock()

    def attempt(name: str, act: Callable[[], object]) -> None:
        try:
            act()
        except Exception as error:  # noqa: BLE001  # as above, for one probe
            with lock:
                failures.append(f"{name}: {type(error).__name__}: {str(error)[:300]}")

    def probe(name: str, act: Callable[[], str]) -> Future[None]:
        return pool.submit(attempt, name, lambda: _write(into / name, act()))

    ends = time.monotonic() + timeouts.GATHER
    pool = ThreadPoolExecutor(max_workers=4)
    try:
        jobs = [pool.submit(attempt, f"cluster {cluster.name}", lambda: cluster.gather(into))]
        listings = [pool.submit(_pods, kube, namespace, failures) for namespace in own_namespaces(kube)]
        jobs += [probe(f"objects/{k}.yaml", lambda k=k: _objects(kube, k, failures)) for k in KINDS]  # type: ignore[misc]  # the default binds the loop's value
        listed, unlisted = wait(listings, timeout=timeouts.GATHER)
        pods = [pod for listing in listed for pod in listing.result()]
        for namespace, name, container, restarted in (c for pod in pods for c in _containers(pod)):
            where = f"logs/{namespace}/{name}/{container}"
            jobs.append(probe(f"{where}.log", _log(kube, namespace, name, container, previous=False)))
            if restarted:
                jobs.append(probe(f"{where}.previous.log", _log(kube, namespace, name, container, True)))
            port, paths = ADMIN.get(container, (0, ()))
            for path in paths:
                jobs.append(probe(f"admin/{namespace}/{name}{path}.txt", _ask(admin, namespace, name, port, path)))
        late = len(unlisted) + len(wait(jobs, timeout=max(0, ends - time.monotonic())).not_done)
        if late:
            failures.append(f"{late} probes did not end within {timeouts.GATHER:g}s")
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        admin.close()


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(redact(text))


def _objects(kube: Kube, kind: str, failures: list[str]) -> str:
    """The objects of a kind as YAML: those in our namespaces, or of what lives in none, all. What only some namespaces
    do not tell is a failure, and the others' objects are there."""
    found: list[Document] = []
    untold: list[HarnessError] = []
    for namespace in own_namespaces(kube) if kind_namespace_name.KINDS[kind][1] else ("",):
        try:
            found += kube.list_objects(kind, namespace)
        except ObjectMissing:
            return "# this kind is not defined here\n"
        except HarnessError as error:
            untold.append(error)
            if isinstance(error, ApiUnavailable):  # it does not answer for the next one either, and each may take long
                break
    if untold and not found:
        raise untold[0]
    failures += [f"objects/{kind}.yaml: {type(error).__name__}: {str(error)[:300]}" for error in untold]
    if kind == "Namespace":
        found = [one for one in found if one["metadata"]["name"] in own_namespaces(kube)]
    # Lines are not broken: a secret that is cut in two is not recognized.
    return yaml.dump_all(found, Dumper=yaml.CSafeDumper, sort_keys=False, width=10**6)


def _pods(kube: Kube, namespace: str, failures: list[str]) -> list[Document]:
    try:
        return kube.list_objects("Pod", namespace)
    except Exception as error:  # noqa: BLE001  # as above
        failures.append(f"pods of {namespace}: {error}")
        return []


def _containers(pod: Document) -> list[tuple[str, str, str, bool]]:
    restarts = {text(s, "name"): number(s, "restartCount") for s in objects(pod, "status", "containerStatuses")}
    where = text(pod, "metadata", "namespace"), text(pod, "metadata", "name")
    names = (text(container, "name") for container in objects(pod, "spec", "containers"))
    return [(*where, name, restarts.get(name, 0) > 0) for name in names]


def _log(kube: Kube, namespace: str, pod: str, container: str, previous: bool) -> Callable[[], str]:
    return lambda: kube.read_log(namespace, pod, container, previous=previous)[-LOG_LIMIT:]


def _ask(admin: Admin, namespace: str, pod: str, port: int, path: str) -> Callable[[], str]:
    return lambda: admin.get(namespace, pod, port, path)
