"""Cause of a failure: status conditions that are not True, or policies that are Accepted but not enforced. Pure.

Accepted is a controller's word: Envoy may not have the configuration yet, or may have rejected it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from harness.causes.foreign_policies import KINDS, targets
from harness.causes.state import Cause, ClusterState, FailureFacts, describe, labels, name_parts, object_key, selects
from harness.objects.conditions import Condition, conditions, is_true
from harness.objects.unstructured import Json, mapping, maybe_number, objects, one_line, text
from harness.objects.workloads import OWNING_GATEWAY

_ATTACHED = re.compile(r"attached to waypoint ([^/\s]+/[^/\s]+)")
# "Envoy waypoint holds max_pending_requests 0 for httproute/default/ratings/rule/0", "Envoy x limits ingress-bookinfo"
_HOLDS = re.compile(r"Envoy (\S+) (holds max_pending_requests (\S+) for|limits|no longer limits) (\S+?)(?::|$)", re.M)
_IN_FORCE = re.compile(
    r"(rate limit|circuit breaker|client headers|route) is (no longer )?in force at (\S+?)(?::|$)", re.M
)
_BEFORE = re.compile(r"(rate limit|circuit breaker|client headers|route) is in force at (\S+) before ")
_JUDGED = re.compile(r"assert '(unmet|terminal)' == 'met'")
_SLOW = re.compile(r"Accepted took ([\d.]+)s, its budget is")
_SILENT = re.compile(r"https?://(\S+?)(?::\d+)?/\S* answers nothing: not within")
_FIELD = {"rate limit": "rateLimit", "circuit breaker": "circuitBreaker", "client headers": "headers", "route": "rules"}


def unmet(state: ClusterState, failure: FailureFacts) -> list[Cause]:
    """Conditions of the objects that the test looked at: of an older generation, or False with a reason that the
    failure quotes."""
    found = []
    for name in failure.read:
        kind, _, rest = name.partition("/")
        namespace, _, short = rest.rpartition("/")
        obj = state.find(kind, namespace, short)
        for condition in conditions(obj) if obj is not None else ():
            about = f" for {condition.about}" if condition.about else ""
            subject = (
                f"{describe(kind, namespace, short)} has {condition.type}={condition.status} {condition.reason}{about}"
            )
            if _old(obj, condition):
                generation = maybe_number(obj, "metadata", "generation")
                sentence = (
                    f"{subject} for generation {condition.observed_generation}, and its spec is of "
                    f"{generation}: its controller has not judged it since"
                )
                found.append(Cause(sentence, (name,)))
            elif condition.status == "False" and (condition.reason in failure.found or _JUDGED.search(failure.text)):
                found.append(Cause(f"{subject}: {one_line(condition.message)}", (name,)))
    return found


def bound_elsewhere(state: ClusterState, failure: FailureFacts) -> list[Cause]:
    """Services that istiod has bound to another waypoint than their label names."""
    found = []
    for service in state.objects_of("Service"):
        own = labels(service)
        namespace = own.get("istio.io/use-waypoint-namespace") or name_parts(service)[0]
        wanted = f"{namespace}/{own.get('istio.io/use-waypoint', '')}"
        for condition in conditions(service):
            attached = _ATTACHED.search(condition.message)
            if attached and attached[1] != wanted and object_key(service) in failure.read:
                sentence = (
                    f"istiod has bound {describe('Service', *name_parts(service))} to waypoint {attached[1]}, and "
                    f"its label names {wanted}"
                )
                found.append(Cause(sentence, (object_key(service),)))
    return found


def not_enforced(state: ClusterState, failure: FailureFacts) -> list[Cause]:
    """A policy that is Accepted and not in Envoy's configuration; or configuration of a policy that is gone."""
    holds, in_force = _HOLDS.search(failure.text), _IN_FORCE.search(failure.text)
    if holds:
        gateway, field = holds[1], "circuitBreaker" if holds[3] else "rateLimit"
        gone = holds[2].startswith("no longer") or holds[3] == "None"
    elif in_force:
        gateway, field, gone = in_force[3], _FIELD[in_force[1]], bool(in_force[2])
    else:
        return []
    those = list(_setting(state, field))
    if gone:
        left = [one for one in those if object_key(one) not in state.wanted]
        whose = (
            f"{describe(text(left[0], 'kind'), *name_parts(left[0]))} still sets it"
            if left
            else "no object sets it any more"
        )
        return [Cause(f"Envoy of Gateway {gateway} still has {field}, and {whose}", tuple(map(object_key, left)))]
    mine = [one for one in those if object_key(one) in state.wanted]
    mine = [one for one in mine if object_key(one) in failure.read] or mine
    return [
        Cause(
            f"{describe(text(one, 'kind'), *name_parts(one))} is Accepted, and Envoy of Gateway {gateway} does "
            f"not have its {field}",
            (object_key(one),),
        )
        for one in mine
        if any(condition.type == "Accepted" and condition.status == "True" for condition in conditions(one))
    ]


def in_force_before(state: ClusterState, failure: FailureFacts) -> list[Cause]:
    """Who sets what is in force already, before the suite's own policy was applied."""
    found = _BEFORE.search(failure.text)
    field = _FIELD[found[1]] if found else ""
    return [
        Cause(
            f"{describe(text(one, 'kind'), *name_parts(one))}, which the harness did not apply, sets {field}",
            (object_key(one),),
        )
        for one in (_setting(state, field) if field else ())
        if object_key(one) not in state.wanted
    ]


def not_enforced_by_ztunnel(state: ClusterState, failure: FailureFacts) -> list[Cause]:
    """A policy of the suite's that selects a pod to which connections are accepted still."""
    found = _SILENT.search(failure.text)
    pod = next((one for one in state.objects_of("Pod") if found and text(one, "status", "podIP") == found[1]), None)
    return [
        Cause(
            f"{describe(text(one, 'kind'), *name_parts(one))} selects pod {'/'.join(name_parts(pod))}, and ztunnel "
            "accepts connections "
            "to it still",
            (object_key(one),),
        )
        for kind in ("AuthorizationPolicy", "PeerAuthentication")
        for one in state.objects_of(kind)
        if pod is not None
        and object_key(one) in state.wanted
        and selects(labels(one, "spec", "selector", "matchLabels"), pod)
    ]


def slow(_: ClusterState, failure: FailureFacts) -> list[Cause]:
    """Policies whose controller took longer than its budget to accept them."""
    found = _SLOW.search(failure.text)
    names = [name for name in failure.read if name.partition("/")[0] in (*KINDS, "HTTPRoute")]
    if found is None or not names:
        return []
    kind, namespace, name = names[-1].split("/")  # the last was timed
    subject = describe(kind, namespace, name)
    return [
        Cause(f"{subject} was Accepted only {found[1]}s after it was applied: its controller is slow", (names[-1],))
    ]


def without_address(state: ClusterState, failure: FailureFacts) -> list[Cause]:
    """Gateways that the test looked at, Programmed without an address; Services to which no load balancer has assigned
    one, where a Gateway waits for it."""
    found = []
    for name in failure.read:
        kind, _, rest = name.partition("/")
        gateway = state.find(kind, *rest.split("/")) if kind == "Gateway" and rest.count("/") == 1 else None
        if gateway is not None and is_true(gateway, "Programmed") and not list(objects(gateway, "status", "addresses")):
            sentence = f"{describe('Gateway', *name_parts(gateway))} has Programmed=True, and its status has no address"
            found.append(Cause(sentence, (name,)))
    for service in state.objects_of("Service") if "AddressNotAssigned" in failure.text else ():
        assigned = list(objects(service, "status", "loadBalancer", "ingress"))
        if text(service, "spec", "type") == "LoadBalancer" and OWNING_GATEWAY in labels(service) and not assigned:
            sentence = (
                f"{describe('Service', *name_parts(service))} is of type LoadBalancer and has no address: the "
                "cluster's load balancer assigned none"
            )
            found.append(Cause(sentence, (object_key(service),)))
    return found


def counters(state: ClusterState, failure: FailureFacts) -> list[Cause]:
    """Counters that did not move, though access lines have requests that they count."""
    counted = [one for one in state.access if {"RL", "UO"} & set(one.line.flags.split(","))]
    still = [one for one in failure.counters if re.search(r"moved by 0\b", one)]
    if not counted or not still or not re.search(r"assert \(?0(\.0)?\b", failure.text):
        return []
    flags = "/".join(sorted({one.line.flags for one in counted}))
    return [Cause(f"{one}, and access logs have {len(counted)} requests with flag {flags}") for one in still[:2]]


def _old(obj: Json | None, condition: Condition) -> bool:
    generation = maybe_number(obj, "metadata", "generation")
    return (
        condition.observed_generation is not None
        and generation is not None
        and condition.observed_generation < generation
    )


def _setting(state: ClusterState, field: str) -> Iterator[Json]:
    """The policies, or routes, that set this field and have a target."""
    for kind in (*KINDS, "HTTPRoute"):
        for one in state.objects_of(kind):
            route = kind == "HTTPRoute"
            if field in mapping(one, "spec") and route == (field == "rules") and (route or list(targets(one))):
                yield one
