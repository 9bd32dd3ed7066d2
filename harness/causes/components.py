"""Cause of a failure: pods that are not ready, DNS that fails, a port that ztunnel could not bind. Pure."""

from __future__ import annotations

import re

from harness.causes.state import (
    Cause,
    ClusterState,
    FailureFacts,
    join_limited,
    labels,
    name_parts,
    object_key,
    selects,
)
from harness.objects.unstructured import Json, maybe_number, text
from harness.objects.workloads import OWNING_GATEWAY, find_trouble, is_pod_ready, node_name

COREDNS_NAMESPACE = "kube-system"
STACK = (  # what serves whom: labels, name in messages
    ({"app": "ztunnel"}, "ztunnel"),
    ({"app": "istiod"}, "istiod"),
    ({"control-plane": "envoy-gateway"}, "Envoy Gateway"),
    ({"app.kubernetes.io/name": "envoy-ratelimit"}, "the rate limit service"),
    ({"app": "redis"}, "Redis"),
)
_UNRESOLVED = re.compile(
    r"Could not resolve host|Temporary failure in name resolution|EAI_AGAIN|Name or service not known|no such host"
    r"|curl: \(6\)|curl exit(?:ed)?(?: with)? 6\b|exit(?: status| code)? 6\b|Resolving timed out"
)


def is_dns_failure(failure: FailureFacts) -> bool:
    """Whether the failure is about a name that was not resolved."""
    return any(_UNRESOLVED.search(error) for error in (failure.text, *(call.error for call in failure.calls)))


def unresolved(state: ClusterState, failure: FailureFacts) -> list[Cause]:
    """DNS does not resolve the host that was called."""
    failed_calls = [call for call in failure.calls if _UNRESOLVED.search(call.error)]
    if not is_dns_failure(failure):
        return []
    host = failed_calls[0].url.partition("://")[2].partition("/")[0] if failed_calls else ""
    sentence = f"DNS does not resolve {host or 'the host that was called'}"
    if "Deployment" in state.objects:
        deployment = next(
            (one for one in state.objects_of("Deployment") if labels(one).get("k8s-app") == "kube-dns"), None
        )
        if deployment is not None:
            wanted = maybe_number(deployment, "spec", "replicas")
            ready = maybe_number(deployment, "status", "readyReplicas") or 0
            if wanted == 0:
                return [
                    Cause(
                        f"{sentence}: Deployment {'/'.join(name_parts(deployment))} is scaled to 0",
                        (object_key(deployment),),
                    )
                ]
            if not ready:
                return [Cause(f"{sentence}: no pod of CoreDNS is ready", (object_key(deployment),))]
    return [Cause(sentence)]


def unbound_ports(state: ClusterState, _: FailureFacts) -> list[Cause]:
    """Ports that a node's ztunnel could not bind in a pod's network namespace: it is not ready meanwhile."""
    found = {}
    existing = {text(pod, "metadata", "uid") for pod in state.objects_of("Pod")}
    for one in state.bind_failures:
        if one.uid and existing and one.uid not in existing:
            continue  # that pod is gone, and its port with it
        pod = next(
            (pod for pod in state.objects_of("Pod") if one.uid and text(pod, "metadata", "uid") == one.uid), None
        )
        where = (
            f"pod {'/'.join(name_parts(pod))}" if pod is not None else f"a pod (uid {one.uid})" if one.uid else "a pod"
        )
        sentence = f"ztunnel could not bind {one.address} in {where}: {one.text}"
        found[sentence] = Cause(sentence, (object_key(pod),) if pod is not None else ())
    return list(found.values())[:1]


def not_ready(state: ClusterState, _: FailureFacts) -> list[Cause]:
    """Components of the stack without a ready pod, or with one that is not ready. Pods that do not exist are known only
    from the Deployment."""
    found = []
    for selector, what in STACK:
        pods = [pod for pod in state.objects_of("Pod") if selects(selector, pod)]
        pods = [pod for pod in pods if not text(pod, "metadata", "deletionTimestamp")]
        bad = [pod for pod in pods if not is_pod_ready(pod)]
        for pod in bad[:1]:
            why = next((one.text for one in find_trouble(pod)), "")
            on = f" on node {node_name(pod)}" if node_name(pod) else ""
            sentence = f"{what}{on} is not ready: pod {'/'.join(name_parts(pod))}{f', {why}' if why else ''}"
            found.append(Cause(_capital(sentence), (object_key(pod),)))
        if not pods and (workload := _workload(state, selector)) is not None:
            wanted = maybe_number(workload, "spec", "replicas")
            if wanted == 0:
                sentence = (
                    f"{what} has no pod: {text(workload, 'kind')} {'/'.join(name_parts(workload))} is scaled to 0"
                )
            else:
                sentence = (
                    f"{what} has no pod: {text(workload, 'kind')} {'/'.join(name_parts(workload))} wants {wanted or 1}"
                )
            found.append(Cause(_capital(sentence), (object_key(workload),)))
    return found + [
        cause for one in state.objects_of("Deployment") if object_key(one) in state.ours for cause in _application(one)
    ]


def _application(deployment: Json) -> list[Cause]:
    """A Deployment of the suite's manifests without a ready pod."""
    subject = f"Deployment {'/'.join(name_parts(deployment))}"
    if maybe_number(deployment, "spec", "replicas") == 0:
        return [Cause(f"{subject} is scaled to 0", (object_key(deployment),))]
    if not maybe_number(deployment, "status", "readyReplicas") and "status" in deployment:
        return [Cause(f"{subject} has no ready pod", (object_key(deployment),))]
    return []


def differing_replicas(state: ClusterState, _: FailureFacts) -> list[Cause]:
    """A Gateway with several proxy pods of which failed requests met only some."""
    found = []
    failed: dict[str, set[str]] = {}
    good: dict[str, set[str]] = {}
    for access in state.access:
        bad = access.line.status >= 400 or access.line.flags not in ("", "-")
        (failed if bad else good).setdefault(access.gateway, set()).add(access.line.proxy_ip)
    for gateway, addresses in failed.items():
        pods = [pod for pod in state.objects_of("Pod") if labels(pod).get(OWNING_GATEWAY) == gateway]
        by_ip = {text(pod, "status", "podIP"): "/".join(name_parts(pod)) for pod in pods}
        only = sorted(by_ip[ip] for ip in addresses - good.get(gateway, set()) if ip in by_ip)
        if len(pods) > 1 and only and good.get(gateway):
            sentence = (
                f"only requests through {join_limited(only)} failed, of {len(pods)} proxy pods of Gateway {gateway}"
            )
            found.append(Cause(sentence))
    return found


def _workload(state: ClusterState, selector: dict[str, str]) -> Json | None:
    both = [*state.objects_of("Deployment"), *state.objects_of("DaemonSet")]
    return next(
        (one for one in both if selector.items() <= labels(one, "spec", "template", "metadata", "labels").items()), None
    )


def _capital(sentence: str) -> str:
    return sentence[0].upper() + sentence[1:] if not sentence.startswith(("ztunnel", "istiod")) else sentence
