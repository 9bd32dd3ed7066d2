"""Cause of a failure: connections that ztunnel rejected, or carried outside the mesh. Pure.

ztunnel's words are those of its access log (`error=`): "connection closed due to policy rejection: allow policies
exist, but none allowed", and "... explicitly denied by: <namespace>/<name>" (src/proxy.rs, src/state.rs of ztunnel).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from harness.causes.state import (
    Cause,
    ClusterState,
    FailureFacts,
    describe,
    foreign_text,
    join_limited,
    labels,
    name_parts,
    object_key,
    selected_pods_text,
    selects,
)
from harness.logs.ztunnel import ZtunnelLine
from harness.objects.unstructured import Json, mapping, objects, strings, text
from harness.objects.workloads import OWNING_GATEWAY

MODE = "istio.io/dataplane-mode"
_DENIED = re.compile(r"explicitly denied by:?\s+(?:([^\s/\"]+)/)?([^\s/\"]+)")
# How istiod names the policies that it makes for ztunnel of PeerAuthentications (its ambient/authorization.go); no such
# AuthorizationPolicy exists. The first one is shared by all that have no rules by port.
_FROM_PEER_AUTHENTICATION = re.compile(r"^(?:istio_converted_static_strict|converted_peer_authentication_(.+))$")
_NONE_ALLOWED = "allow policies exist, but none allowed"


def rejected_by_foreign_policy(state: ClusterState, _: FailureFacts) -> list[Cause]:
    """Connections that a policy ended which is not the suite's, and which policy."""
    return [cause for cause in _rejections(state) if not _is_of_suite(state, cause)]


def accepted_beside_rejected(state: ClusterState, failure: FailureFacts) -> list[Cause]:
    """A client that reached a pod, past any waypoint, while a policy rejected others there: the policy allows it."""
    rejected = [line for line in state.connections if line.is_policy_rejection and line.direction == "inbound"]
    if "200" not in failure.found or not rejected:
        return []
    first, last = min(line.time for line in rejected), max(line.time for line in rejected)
    for line in state.connections:
        pod = state.find("Pod", line.src.namespace or "", line.src.workload or "")
        others = {one.src.identity for one in rejected if one.dst.workload == line.dst.workload}
        value = line.direction == "inbound" and line.is_ok and line.src.identity and first <= line.opened <= last
        if not value or not others or line.src.identity in others or (pod and labels(pod).get(OWNING_GATEWAY)):
            continue
        names = join_limited(sorted(one or "a client without identity" for one in others))
        to = f"pod {line.dst.namespace}/{line.dst.workload}"
        sentence = f"ztunnel accepted the connection of {line.src.identity} to {to}, where a policy rejected {names}"
        return [Cause(sentence)]
    return []


def rejected_by_suite_policy(state: ClusterState, failure: FailureFacts) -> list[Cause]:
    """Connections that policies of the suite's own ended, as it often wants; a cause only of requests that failed."""
    causes = [cause for cause in _rejections(state) if _is_of_suite(state, cause)]
    return causes if failure.failed_calls else []


def _is_of_suite(state: ClusterState, cause: Cause) -> bool:
    """The suite's own policy may be gone by now: a rejection that no policy explains is then its."""
    if cause.objects:
        return set(cause.objects) <= state.ours
    return any(name.partition("/")[0] in ("AuthorizationPolicy", "PeerAuthentication") for name in state.removed)


def _rejections(state: ClusterState) -> Iterator[Cause]:
    for line in state.connections:
        if not line.is_policy_rejection:
            continue
        error = line.error or ""
        client = line.src.identity or "a client without identity"
        to = f"pod {line.dst.namespace or '?'}/{line.dst.workload or line.dst.addr}"
        denied = _DENIED.search(error)
        if denied and (by := _FROM_PEER_AUTHENTICATION.match(denied[2])):
            if by[1]:
                strict = [f"PeerAuthentication/{denied[1]}/{by[1]}"]
            else:
                strict = [
                    object_key(one) for one in state.objects_of("PeerAuthentication") if _is_strict(one, line, state)
                ]
            which = join_limited([describe(*one.split("/")) for one in strict]) or "A PeerAuthentication of mode STRICT"
            sentence = f"{which} requires mTLS: ztunnel rejected the plaintext connection of {client} to {to}"
            yield Cause(sentence, tuple(strict))
            continue
        if denied:
            namespace, name = denied[1] or line.dst.namespace or "", denied[2]
            policy = describe("AuthorizationPolicy", namespace, name)
            sentence = f"{policy} denies {client}: ztunnel rejected its connection to {to}"
            yield Cause(sentence, (f"AuthorizationPolicy/{namespace}/{name}",))
            continue
        candidates = list(_allowing(state, line)) if _NONE_ALLOWED in error else []
        names = join_limited([describe(text(one, "kind"), *name_parts(one)) for one in candidates])
        which = f"none of the policies that select it allows that: {names}" if names else error
        sentence = f"ztunnel rejected the connection of {client} to {to}: {which}"
        yield Cause(sentence, tuple(object_key(one) for one in candidates))


def _is_strict(policy: Json, line: ZtunnelLine, state: ClusterState) -> bool:
    where = (line.dst.namespace, state.root_namespace)
    return text(policy, "spec", "mtls", "mode") == "STRICT" and name_parts(policy)[0] in where


def foreign_deny_policies(state: ClusterState, failure: FailureFacts) -> list[Cause]:
    """A DENY policy that is not the suite's, for failed requests of which no line of ztunnel was read."""
    if any(line.is_policy_rejection for line in state.connections) or not failure.failed_calls:
        return []
    if not any(call.status is None or call.status in (403, 502, 503) for call in failure.failed_calls):
        return []
    found = []
    for policy in state.objects_of("AuthorizationPolicy"):
        if text(policy, "spec", "action") != "DENY" or object_key(policy) in state.ours:
            continue
        principals = [
            name
            for rule in objects(policy, "spec", "rules")
            for source in objects(rule, "from")
            for name in strings(source, "source", "principals")
        ]
        whom = join_limited(principals) if principals else "connections"
        who = f"{describe('AuthorizationPolicy', *name_parts(policy))} ({foreign_text(policy, state.now)})"
        sentence = f"{who} denies {whom} to {selected_pods_text(policy, state.root_namespace)}"
        found.append(Cause(sentence, (object_key(policy),)))
    return found


def not_in_ambient(state: ClusterState, failure: FailureFacts) -> list[Cause]:
    """Pods that are outside of the mesh by their labels or their namespace's: of plain TCP connections, and of failures
    that speak of them."""
    found: list[Cause] = []
    plain = [line for line in state.connections if line.is_ok and not line.is_hbone and line.direction == "outbound"]
    speaks = any(word in failure.text for word in ("TCP", "HBONE", "ztunnel", "identity", "no connection"))
    if not plain and not speaks:
        return []
    namespaces = {name for line in plain for name in (line.src.namespace, line.dst.namespace) if name} or {state.home}
    if state.namespaces:  # the others do not matter here: the control planes' connections are plain TCP
        namespaces &= state.namespaces
    for namespace in sorted(namespaces):
        obj = state.find("Namespace", "", namespace)
        if obj is None:
            continue
        mode = labels(obj).get(MODE, "")
        if mode != "ambient" and f"Namespace/{namespace}" not in _enrolled_by_pods(state):
            how = f"has {MODE}={mode}" if mode else f"lacks the label {MODE}=ambient"
            sentence = f"Namespace {namespace} {how}: its pods are not in the mesh, so their connections are plain TCP"
            found.append(Cause(sentence, (f"Namespace/{namespace}",)))
    if found:
        return found
    out = [
        pod
        for pod in state.objects_of("Pod")
        if name_parts(pod)[0] in namespaces and labels(pod).get(MODE) == "none" and not _is_wanted_outside(state, pod)
    ]
    ours = [pod for pod in out if not plain or any(_about(line, pod) for line in plain)]
    return [
        Cause(
            f"Pod {'/'.join(name_parts(pod))} has the label {MODE}=none: ztunnel does not carry its connections",
            (object_key(pod),),
        )
        for pod in ours[:2]
    ]


def _is_wanted_outside(state: ClusterState, pod: Json) -> bool:
    """Whether the harness itself keeps the pod out of the mesh: by the label in the template of its Deployment."""
    templates = [
        labels(one, "spec", "template", "metadata", "labels")
        for one in state.wanted.values()
        if text(one, "kind") == "Deployment" and name_parts(one)[0] == name_parts(pod)[0]
    ]
    return any(found.get(MODE) == "none" and found.items() <= labels(pod).items() for found in templates)


def _enrolled_by_pods(state: ClusterState) -> set[str]:
    """Namespaces all of whose pods have the label of their own."""
    by: dict[str, list[bool]] = {}
    for pod in state.objects_of("Pod"):
        by.setdefault(f"Namespace/{name_parts(pod)[0]}", []).append(labels(pod).get(MODE) == "ambient")
    return {name for name, enrolled in by.items() if all(enrolled)}


def _about(line: ZtunnelLine, pod: Json) -> bool:
    namespace, name = name_parts(pod)
    return (namespace, name) in ((line.src.namespace, line.src.workload), (line.dst.namespace, line.dst.workload))


def _allowing(state: ClusterState, line: ZtunnelLine) -> Iterator[Json]:
    """The ALLOW policies, and strict PeerAuthentications, that select the pod that was called."""
    namespace, name = line.dst.namespace or "", line.dst.workload or ""
    pod = state.find("Pod", namespace, name)
    for policy in state.objects_of("AuthorizationPolicy"):
        if text(policy, "spec", "action") not in ("", "ALLOW") or mapping(policy, "spec", "targetRefs"):
            continue
        if any(objects(policy, "spec", "targetRefs")):
            continue
        if name_parts(policy)[0] in (namespace, state.root_namespace):
            selector = labels(policy, "spec", "selector", "matchLabels")
            if not selector or (pod is not None and selects(selector, pod)):
                yield policy
