"""Cause of a failure: objects of the harness that others changed or deleted meanwhile. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime

from harness.causes.state import (
    Cause,
    ClusterState,
    FailureFacts,
    age_text,
    describe,
    join_limited,
    labels,
    name_parts,
    object_key,
)
from harness.objects.unstructured import Json, at, objects, text
from harness.objects.waypoint_labels import USE_WAYPOINT, USE_WAYPOINT_NAMESPACE, WAYPOINT_FOR
from harness.objects.workloads import RESTARTED_AT

# What controllers, kubelet and the API server write themselves or in other words ("500m" for "0.5", a Secret's
# stringData in its data).
_NOT_COMPARED = ("status", "resources", "creationTimestamp", "managedFields", "stringData")
_TEMPLATE = ("spec", "template")
# Fields that no controller and no default sets: one that the harness did not write was added by somebody else.
_ADDITIONS = (
    ("spec", "parametersRef"),
    ("spec", "provider", "kubernetes", "envoyDeployment", "strategy"),
    *(
        (*path, "labels", label)
        for path in (("metadata",), (*_TEMPLATE, "metadata"))
        for label in (
            "istio.io/dataplane-mode",
            USE_WAYPOINT,
            USE_WAYPOINT_NAMESPACE,
            WAYPOINT_FOR,
            "istio.io/ingress-use-waypoint",
        )
    ),
)
OBSERVER = "live objects"  # who sees changes, in an observation
_SHOWN = 120  # characters of a value
_OF_POLICIES = 2  # differences of one object that are named


def deleted(state: ClusterState, _: FailureFacts) -> list[Cause]:
    """Objects that the harness applied, and that do not exist."""
    return [
        Cause(f"{describe(text(one, 'kind'), *name_parts(one))}, which the harness applied, does not exist", (name,))
        for name, one in state.wanted.items()
        if state.is_known_missing(text(one, "kind"), *name_parts(one))
    ]


def recreated(state: ClusterState, failure: FailureFacts) -> list[Cause]:
    """Objects that the harness deleted, and that exist again."""
    del failure
    found = []
    for name in sorted(state.removed - state.wanted.keys()):
        kind, rest = name.split("/", 1)
        namespace, _, short = rest.rpartition("/")
        obj = state.find(kind, namespace, short)
        if obj is not None and not text(obj, "metadata", "deletionTimestamp"):
            created = age_text(obj, state.now)
            sentence = f"{describe(kind, namespace, short)}, which the harness deleted, exists"
            found.append(Cause(f"{sentence} ({created})" if created else sentence, (name,)))
    return found


def replaced_pods(state: ClusterState, failure: FailureFacts) -> list[Cause]:
    """Workloads of the run's namespace, and ztunnel, of which more pods were created during a load that lost requests
    than the harness deleted or restarted. Not workloads that are as young."""
    if state.since is None or " lost, " not in failure.text:
        return []
    expected = Counter(name.rpartition("-")[0] for name in state.removed if name.startswith("Pod/"))
    young, workloads = Counter[str](), dict[str, str]()
    for pod in state.objects_of("Pod"):
        namespace, _ = name_parts(pod)
        owner: Json = next(iter(objects(pod, "metadata", "ownerReferences")), {})
        kind, workload = text(owner, "kind"), text(owner, "name")
        if kind == "ReplicaSet":
            kind, workload = "Deployment", workload.rpartition("-")[0]
        found = state.find(kind, namespace, workload)
        if (
            (namespace == state.home or labels(pod).get("app") == "ztunnel")
            and found is not None
            and _is_after(text(pod, "metadata", "creationTimestamp"), state.since)
            and not _is_after(text(found, "metadata", "creationTimestamp"), state.since)
            and not _is_after(labels(pod, "metadata", "annotations").get(RESTARTED_AT, ""), state.since)
        ):
            set_of_pods = object_key(pod).rpartition("-")[0]
            young[set_of_pods] += 1
            workloads[set_of_pods] = describe(kind, namespace, workload)
    which = join_limited(sorted({workloads[one] for one, number in young.items() if number > expected[one]}))
    return [Cause(f"Pods of {which} were replaced during the load, and not by the harness")] if which else []


def _is_after(written: str, moment: datetime) -> bool:
    with suppress(ValueError, TypeError):
        return datetime.fromisoformat(written) > moment
    return False


def foreign_pods(state: ClusterState, _: FailureFacts) -> list[Cause]:
    """Deployments of others whose pods a Service of the harness's selects."""
    found = []
    for service in state.wanted.values():
        namespace, selector = name_parts(service)[0], labels(service, "spec", "selector")
        for one in state.objects_of("Deployment") if text(service, "kind") == "Service" and selector else ():
            pods = labels(one, "spec", "template", "metadata", "labels")
            if (
                name_parts(one)[0] == namespace
                and selector.items() <= pods.items()
                and object_key(one) not in state.wanted
            ):
                what = f"{describe('Deployment', *name_parts(one))}, which the harness did not apply, has pods"
                found.append(
                    Cause(f"{what} that {describe('Service', *name_parts(service))} selects", (object_key(one),))
                )
    return found


def changed(state: ClusterState, _: FailureFacts) -> list[Cause]:
    """Objects whose fields have other values than the harness wrote, and which values."""
    found = []
    for one in state.wanted.values():
        live = state.find(text(one, "kind"), *name_parts(one))
        what = difference(one, live) if live is not None else ""
        if what:
            sentence = f"{describe(text(one, 'kind'), *name_parts(one))} is not as the harness applied it: {what}"
            found.append(Cause(sentence, (object_key(one),)))
    return found


def changed_until_deletion(_: ClusterState, failure: FailureFacts) -> list[Cause]:
    """The same of objects that are gone by now: what was observed before the harness deleted or restored them."""
    return [Cause(sentence) for sentence in failure.changes]


def change_text(wanted: Json, live: Json) -> str:
    """The observation that an object which is about to be deleted is not as the harness applied it; "" if it is."""
    what = difference(wanted, live)
    subject = describe(text(wanted, "kind"), *name_parts(wanted))
    return f"{subject} was not as the harness applied it: {what}" if what else ""


def difference(wanted: Json, live: Json) -> str:
    """The first differences: fields of `wanted` with another value, and fields that only others add. Not the data of a
    Secret, which no message may show."""
    secret = text(wanted, "kind") == "Secret"
    found = list(_compare({k: v for k, v in wanted.items() if not (secret and k == "data")}, live, ""))
    for path in _ADDITIONS:
        if path[:2] == _TEMPLATE and at(wanted, *_TEMPLATE) is None:
            continue  # the harness patched a workload that a chart made
        if at(live, *path) is not None and at(wanted, *path) is None:
            found.append(f"{'.'.join(path)} is {_value(at(live, *path))}, and the harness did not set it")
    for number, (one, other) in enumerate(
        zip(objects(wanted, "spec", "rules"), objects(live, "spec", "rules"), strict=False)
    ):
        if other.get("filters") and not one.get("filters"):  # a route's: nothing adds filters by default
            found.append(f"spec.rules[{number}].filters is {_value(other['filters'])}, and the harness did not set it")
    return "; ".join(found[:_OF_POLICIES])


def _compare(wanted: object, live: object, path: str) -> Iterator[str]:
    """ "spec.hostnames is absent, not ['ratings']", for each field of `wanted` that differs."""
    if isinstance(wanted, Mapping):
        found = live if isinstance(live, Mapping) else {}
        if not found and wanted and path:
            yield f"{path} is absent, not {_value(wanted)}"
            return
        for name, value in wanted.items():
            if name not in _NOT_COMPARED:
                yield from _compare(value, found.get(name), f"{path}.{name}" if path else str(name))
    elif _list(wanted) and _list(live) and len(wanted) == len(live):  # type: ignore[arg-type]  # both are sequences
        for number, (one, other) in enumerate(zip(wanted, live, strict=True)):  # type: ignore[call-overload]  # the same
            yield from _compare(one, other, f"{path}[{number}]")
    elif wanted != live and (wanted or live):
        is_ = f"is {_value(live)}" if live not in (None, "", [], {}) else "is absent"
        yield f"{path} {is_}, not {_value(wanted)}"


def _list(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _value(value: object) -> str:
    shown = ", ".join(map(str, value)) if _list(value) and not any(map(_is_map, value)) else str(value)  # type: ignore[call-overload]  # a sequence
    return shown if len(shown) <= _SHOWN else shown[: _SHOWN - 1] + "…"


def _is_map(value: object) -> bool:
    return isinstance(value, Mapping)
