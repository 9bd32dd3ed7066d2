"""Reads status conditions of all shapes, and judges one condition.

Four shapes are read: `.status.conditions` (Gateway, GatewayClass, Service, Deployment), `.status.parents[]`
(routes), `.status.ancestors[]` (policies) and `.status.listeners[]` (Gateway). Seen in tests/recordings/objects
and negative; the reasons are in the sources of Envoy Gateway 1.5-1.9 and Istio 1.27-1.30.

A condition that is met is the controller's word only: Accepted is not yet enforced by Envoy.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NoReturn

from harness.objects.unstructured import Json, mapping, maybe_number, name_of, objects, one_line, text
from harness.objects.waypoint_labels import WAYPOINT_BOUND

State = Literal["met", "unmet", "stale", "absent", "terminal"]

# False with one of these reasons stays False until a spec is changed.
# Everything else (AddressNotAssigned, NoResources, BackendNotFound, RefNotPermitted, NoReadyListeners,
# WaypointIsNotReady, Pending ...) heals when another object or a pod arrives, and is merely unmet.
TERMINAL: dict[str, frozenset[str]] = {
    "Accepted": frozenset(
        {
            "Invalid",
            "InvalidParameters",
            "UnsupportedProtocol",
            "UnsupportedValue",
            "UnsupportedAddress",
            "NotAllowedByListeners",
            "NoMatchingParent",
            "NoMatchingListenerHostname",
            "Conflicted",
            "TargetNotFound",
            "ListenersNotValid",
        }
    ),
    "Programmed": frozenset({"Invalid"}),
    "ResolvedRefs": frozenset({"InvalidKind", "InvalidRouteKinds", "PortNotSpecified", "UnsupportedValue"}),
    WAYPOINT_BOUND: frozenset({"AttachmentDenied", "UnsupportedTrafficType"}),
}

# Terminal by reason, yet it heals: the first when an EnvoyProxy applied in the same breath reaches Envoy Gateway's
# cache, the second when kubelet has carried a changed ConfigMap to Envoy Gateway (75 s on the real cluster).
HEALS = ("failed to find", "enable Ratelimit in the EnvoyGateway config")

# Envoy Gateway 1.7.5 leaves Accepted out on a listener that clashes with another (negative/gateway-neg-conflicted).
LISTENER_TYPES = frozenset({"Accepted", "Programmed", "ResolvedRefs"})


@dataclass(frozen=True, slots=True)
class Condition:
    """One status condition.

    about says whose: "" for `.status.conditions`, "Gateway/default/waypoint" (with "/<sectionName>" behind it where
    there is one) for a parent or an ancestor, "listener/ratings" for a listener.
    observed_generation is the spec's generation that the condition is about; None where there is none (Service).
    """

    type: str
    status: str
    reason: str
    message: str
    observed_generation: int | None
    about: str


@dataclass(frozen=True, slots=True)
class ConditionResult:
    """What an object's status says about one condition.

    stale = true or false of an older spec; absent = no such condition; terminal = False and waiting does not help.
    condition is the one that decided, None when absent. text is one line that quotes the status's own message.
    """

    state: State
    condition: Condition | None
    text: str

    @property
    def met(self) -> bool:
        """Whether the condition has the wanted status for the current spec, wherever it was asked for."""
        return self.state == "met"

    def __bool__(self) -> NoReturn:
        """Refuse: "not met" is four different things, and `if judge(...)` would hide which."""
        raise TypeError(f"a Judgement has no truth value, ask .met or .state: {self.text}")


def conditions(obj: Json) -> tuple[Condition, ...]:
    """Every condition in the object's status, in the order of the object; () when there is none."""
    return tuple(condition for _, found in _entries(obj) for condition in found)


def is_true(obj: Json | None, type: str) -> bool:
    """Whether `.status.conditions` has this type with status True. A status without conditions (null, empty or
    absent, as a new CustomResourceDefinition's) says nothing, and nothing is not true."""
    found = objects(obj, "status", "conditions")
    return any(text(one, "type") == type and text(one, "status") == "True" for one in found)


def judge_condition(obj: Json, type: str, *, status: str = "True", about: str | None = None) -> ConditionResult:
    """Whether the condition of this type has this status, for the current generation.

    With about=None everything that should carry the condition is asked (each parentRef and each listener of the
    spec too) and all must be met: a route accepted by one of its two parents is not met. about="" asks
    `.status.conditions` alone, about="Gateway/default/x" that parent in all its sections.
    While manifests are being applied a terminal state can flicker: look twice, seconds apart, before giving up.
    """
    entries = [
        (place, found)
        for place, found in _entries(obj)
        if about is None or place == about or (about and place.startswith(about + "/"))
    ]
    listed = {place for place, _ in entries}
    judged: list[ConditionResult] = []
    for place, found in entries:
        matching = [c for c in found if c.type == type]
        judged += [_judge_one(obj, condition, status) for condition in matching]
        if not matching and _must_carry(place, type, alone=len(entries) == 1 or about is not None):
            judged.append(_missing(obj, type, place, found))
    if about is None:
        judged += [_missing(obj, type, place, ()) for place in _wanted(obj, type) if place not in listed]
    if not judged:
        return _missing(obj, type, about or "", ())
    worst = min(judged, key=lambda judgement: _ORDER.index(judgement.state))
    also = [j.text for j in judged if j is not worst and not j.met]
    return ConditionResult(worst.state, worst.condition, "; also ".join([worst.text, *also]))


_ORDER: tuple[State, ...] = ("terminal", "unmet", "stale", "absent", "met")


def _entries(obj: Json) -> Iterator[tuple[str, tuple[Condition, ...]]]:
    """(about, conditions) for each part of the status that can hold conditions."""
    status = mapping(obj, "status")
    if isinstance(status.get("conditions"), list):
        # Deployments keep the observed generation once for all their conditions.
        yield "", _read(status, "", maybe_number(status, "observedGeneration"))
    for listener in objects(status, "listeners"):
        place = f"listener/{text(listener, 'name')}"
        yield place, _read(listener, place, None)
    for shape, ref in (("parents", "parentRef"), ("ancestors", "ancestorRef")):
        for entry in objects(status, shape):
            place = _place(mapping(entry, ref), obj)
            yield place, _read(entry, place, None)


def _read(holder: Json, about: str, observed: int | None) -> tuple[Condition, ...]:
    return tuple(
        Condition(
            type=text(raw, "type"),
            status=text(raw, "status"),
            reason=text(raw, "reason"),
            message=text(raw, "message"),
            # A 0 is an answer (nothing seen yet), only silence takes the status's own number.
            observed_generation=observed if own is None else own,
            about=about,
        )
        for raw in objects(holder, "conditions")
        for own in (maybe_number(raw, "observedGeneration"),)
    )


def _place(ref: Json, obj: Json) -> str:
    """A parentRef or ancestorRef in words; Gateway API's defaults are kind Gateway and the object's namespace."""
    namespace = text(ref, "namespace") or text(obj, "metadata", "namespace")
    section = text(ref, "sectionName")
    place = f"{text(ref, 'kind') or 'Gateway'}/{namespace}/{text(ref, 'name')}"
    return f"{place}/{section}" if section else place


def _wanted(obj: Json, type: str) -> Iterator[str]:
    """The places of the spec that ought to carry the condition."""
    for ref in objects(obj, "spec", "parentRefs"):
        yield _place(ref, obj)
    if type in LISTENER_TYPES and mapping(obj, "status").get("listeners"):
        for listener in objects(obj, "spec", "listeners"):
            yield f"listener/{text(listener, 'name')}"


def _must_carry(place: str, type: str, *, alone: bool) -> bool:
    """Whether silence about this type at this place counts: a Gateway has ResolvedRefs on its listeners only."""
    if place.startswith("listener/"):
        return alone or type in LISTENER_TYPES
    return alone or place != "" or type in {"Accepted", "Programmed"}


def _judge_one(obj: Json, condition: Condition, status: str) -> ConditionResult:
    generation, observed = maybe_number(obj, "metadata", "generation"), condition.observed_generation
    where = f" [{condition.about}]" if condition.about else ""
    message = f'{condition.type}={condition.status} {condition.reason} "{one_line(condition.message)}"'
    seen = f" (generation {generation}, observed {observed})" if generation is not None else ""
    line = f"{name_of(obj)}{where}: {message}{seen}"
    if generation is not None and observed is not None and observed < generation:
        return ConditionResult("stale", condition, line)
    if condition.status == status:
        return ConditionResult("met", condition, line)
    heals = any(sign in condition.message for sign in HEALS)
    refused = status == "True" and condition.status == "False" and not heals
    terminal = refused and condition.reason in TERMINAL.get(condition.type, ())
    return ConditionResult("terminal" if terminal else "unmet", condition, line)


def _missing(obj: Json, type: str, place: str, found: tuple[Condition, ...]) -> ConditionResult:
    """The judgement of silence; a listener that says Conflicted instead says why, and will not heal."""
    for condition in found:
        if condition.type == "Conflicted" and condition.status == "True":
            verdict = _judge_one(obj, condition, "False")
            return ConditionResult("stale" if verdict.state == "stale" else "terminal", condition, verdict.text)
    where = f" [{place}]" if place else ""
    others = ", ".join(f"{c.type}={c.status}" for c in found) or "no conditions"
    generation = maybe_number(obj, "metadata", "generation")
    seen = f" (generation {generation})" if generation is not None else ""
    return ConditionResult("absent", None, f"{name_of(obj)}{where}: {type} absent, status has {others}{seen}")
