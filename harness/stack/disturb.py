"""Breaking parts of the stack on purpose, and seeing them whole again: rolled, shot, away, frozen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import yaml

from harness import progress, timeouts
from harness.clients.mesh import MeshClient
from harness.clients.proxies import Envoy, Ztunnels
from harness.cluster.protocol import Cluster
from harness.command import run
from harness.errors import NotReady, Unjudged
from harness.kube import ApiUnavailable, Kube
from harness.logs.ztunnel import bind_failures
from harness.objects.manifests import Document
from harness.objects.workloads import pod_ready
from harness.stack import ready, topology
from harness.wait import pause, until

ZTUNNEL, ISTIOD = "DaemonSet/istio-system/ztunnel", "Deployment/istio-system/istiod"
CONTROLLER = "Deployment/envoy-gateway-system/envoy-gateway"
LIMITER, REDIS = "Deployment/envoy-gateway-system/envoy-ratelimit", "Deployment/redis-system/redis"
WAYPOINT, INGRESS = "Deployment/default/waypoint", "Deployment/default/bookinfo-ingress"
CONFIG = "ConfigMap/envoy-gateway-system/envoy-gateway-config"
RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"
PARTS = (ISTIOD, ZTUNNEL, REDIS, CONTROLLER, LIMITER, WAYPOINT, "Deployment/default/ratings-v1")
REMEDY = "remedy: delete that pod; leave the TCP listener on 15008 out of its Gateway (docs/port-15008.md)"


def rolled(kube: Kube, workload: str) -> None:
    """`kubectl rollout restart`, awaited: pods are replaced one by one, each asked to end."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    kube.patch(workload, {"spec": {"template": {"metadata": {"annotations": {RESTARTED_AT: now}}}}})
    ready.workload(kube, workload, within=timeouts.DISTURBED)


def shot(kube: Kube, workload: str) -> set[str]:
    """Deletes every pod of a workload without grace, and returns their names; kubelet gives them 2 s all the same."""
    obj = kube.get(workload)
    gone = {str(pod["metadata"]["name"]) for pod in ready.pods(kube, obj)}
    kube.delete([f"Pod/{obj['metadata']['namespace']}/{name}" for name in gone], gone=False, force=True)
    return gone


def killed(kube: Kube, workload: str) -> None:
    """Deletes every pod of a workload without grace, and waits until as many others are ready."""
    replaced(kube, workload, shot(kube, workload))


def replaced(kube: Kube, workload: str, gone: set[str]) -> None:
    """Waits until as many new pods as are gone are ready."""
    obj = kube.get(workload)
    until(
        lambda: [pod for pod in ready.pods(kube, obj) if pod["metadata"]["name"] not in gone and pod_ready(pod)],
        lambda pods: len(pods) >= len(gone),
        what=f"{workload} has {len(gone)} new ready pods",
        within=timeouts.DISTURBED,
        every=0.2,
        transient=(ApiUnavailable,),
        show=lambda pods: f"{len(pods)} of them",
    )


@contextmanager
def away(kube: Kube, deployment: str, *, grace: bool = True) -> Iterator[None]:
    """A Deployment without pods for the block, seen to be gone to the last; then as many as before, ready.

    Without `grace` its pods are deleted by force: the limiter, asked to end, takes 10 s or five minutes.
    """
    obj = kube.get(deployment)
    before = int(obj["spec"].get("replicas", 1)) or 1
    labels = ",".join(f"{k}={v}" for k, v in obj["spec"]["selector"]["matchLabels"].items())
    try:
        kube.patch(deployment, {"spec": {"replicas": 0}})
        if not grace:
            shot(kube, deployment)
        until(
            # Those on their way out count: they still answer.
            lambda: kube.objects("Pod", obj["metadata"]["namespace"], labels=labels),
            lambda pods: not pods,
            what=f"{deployment} has no pod left",
            within=timeouts.DISTURBED,
            every=0.2,
            transient=(ApiUnavailable,),
            show=lambda pods: f"{len(pods)} pods",
        )
        yield
    finally:
        kube.patch(deployment, {"spec": {"replicas": before}})
        ready.workload(kube, deployment, within=timeouts.DISTURBED)


@contextmanager
def frozen(cluster: Cluster) -> Iterator[None]:
    """The API server of a kind cluster stopped for the block (SIGSTOP): connected to, and silent.

    Longer than 10 s, and controllers that lead by a lease end and start again: Envoy Gateway too.
    """
    node = f"{cluster.name}-control-plane"
    run(["docker", "exec", node, "pkill", "-STOP", "-x", "kube-apiserver"], within=20)
    try:
        yield
    finally:
        run(["docker", "exec", node, "pkill", "-CONT", "-x", "kube-apiserver"], within=20)


def edited(kube: Kube, route: str, *, times: int, every: float = 0.4) -> None:
    """Changes an HTTPRoute of `default` that many times (a response header's value), then gives it its rules back."""
    found = kube.get(f"HTTPRoute/default/{route}")
    spec, named = found["spec"], {"name": route, "namespace": "default"}

    def write(rules: list[Document]) -> None:
        # Applied, not patched: a later apply of the manifest would else meet another owner of the rules.
        head = {"apiVersion": found["apiVersion"], "kind": found["kind"], "metadata": named}
        kube.apply([head | {"spec": spec | {"rules": rules}}])

    try:
        for n in range(times):
            write([rule | _marking(n) for rule in spec["rules"]])
            pause(every, why="edits of a route")
    finally:
        write(spec["rules"])


def _marking(n: int) -> Mapping[str, Any]:
    header = {"name": "x-edit", "value": str(n)}
    return {"filters": [{"type": "ResponseHeaderModifier", "responseHeaderModifier": {"set": [header]}}]}


@contextmanager
def fail_closed(kube: Kube, envoy: Envoy) -> Iterator[None]:
    """Envoy Gateway told to refuse what it cannot ask the limiter about (`rateLimit.failClosed`), for the block."""
    text = kube.get(CONFIG)["data"]["envoy-gateway.yaml"]
    config = yaml.safe_load(text)
    config["rateLimit"]["failClosed"] = True
    try:
        _configured(kube, yaml.safe_dump(config))
        _denies(envoy, there=True)
        yield
    finally:
        _configured(kube, text)
        _denies(envoy, there=False)


def _configured(kube: Kube, text: str) -> None:
    kube.patch(CONFIG, {"data": {"envoy-gateway.yaml": text}})
    rolled(kube, CONTROLLER)  # by itself it hears of the change 75 s later: kubelet's sync


def lets_go(envoy: Envoy, cluster: str, *, after: str = "1s") -> None:
    """Waits until Envoy's active cluster gives up connections that were idle so long."""
    until(
        lambda: [one for one in _active(envoy.config_dump()) if one.get("name") == cluster],
        lambda found: any(_has(one, "idle_timeout", after) for one in found),
        what=f"Envoy {envoy.gateway} lets go of idle connections of {cluster} after {after}",
        within=timeouts.XDS_PROPAGATION,
        transient=(Unjudged, ApiUnavailable),
        show=lambda found: f"{len(found)} such clusters",
    )


def _denies(envoy: Envoy, *, there: bool) -> None:
    until(
        lambda: _has(envoy.config_dump(), "failure_mode_deny", True),
        lambda found: found == there,
        what=f"Envoy {envoy.gateway} {'denies' if there else 'lets pass'} what the limiter does not answer",
        within=timeouts.DISTURBED,
        transient=(Unjudged, ApiUnavailable),
    )


def _active(dump: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    sections = dump.get("configs", [])
    return [entry["cluster"] for section in sections for entry in section.get("dynamic_active_clusters", [])]


def _has(tree: Any, key: str, value: Any) -> bool:
    if isinstance(tree, Mapping):
        return tree.get(key) == value or any(_has(one, key, value) for one in tree.values())
    return isinstance(tree, list) and any(_has(one, key, value) for one in tree)


def port_taken(ztunnel: Ztunnels) -> str:
    """What ztunnel says of ports that it could not have, with the remedy; a plain no if it had them all."""
    found = {
        f"ztunnel on {node} cannot bind {failure.address} ({failure.text}) in the pod with uid {failure.uid}"
        for node, text in ztunnel.logs().items()
        for failure in bind_failures(text)
    }
    return "; ".join([*sorted(found), REMEDY]) if found else "ztunnel has every port it wants"


def whole(kube: Kube, client: MeshClient, ztunnel: Ztunnels, waypoint: Envoy, url: str) -> None:
    """Waits until every part is ready and a call passes the waypoint. A pod whose port 15008 ztunnel cannot have is
    deleted: nothing else heals it.

    Raises:
        NotReady, Terminal: a part did not come back.
    """
    try:
        ready.workload(kube, ZTUNNEL, within=timeouts.DISTURBED / 4)
    except NotReady:
        culprits = _culprits(kube, ztunnel)
        progress.note(f"{port_taken(ztunnel)}: deleting {culprits}")
        kube.delete(culprits)
    for name in PARTS:
        ready.workload(kube, name, within=timeouts.DISTURBED)
    topology.proxy(kube, waypoint.gateway)
    topology.passes(client, waypoint, url)


def _culprits(kube: Kube, ztunnel: Ztunnels) -> list[str]:
    uids = {failure.uid for text in ztunnel.logs().values() for failure in bind_failures(text)}
    pods: list[Document] = kube.objects("Pod")
    return [
        f"Pod/{pod['metadata']['namespace']}/{pod['metadata']['name']}"
        for pod in pods
        if pod["metadata"]["uid"] in uids
    ]
