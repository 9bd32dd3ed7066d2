"""The emulated controllers of Deployments and DaemonSets, and the scheduler."""

from __future__ import annotations

import math
from collections import defaultdict

from harness.cluster.emulated.api import defaults
from harness.cluster.emulated.api.kinds import Object
from harness.cluster.emulated.api.store import Store, now
from harness.cluster.emulated.controllers import pod_states
from harness.cluster.emulated.controllers.conditions import at, merged


class Workloads:
    """The Deployment, ReplicaSet and DaemonSet controllers."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._owned: dict[str, list[Object]] = {}

    def sync(self) -> None:
        self._owned = defaultdict(list)
        for pod in self.store.all("pods"):
            for reference in pod["metadata"].get("ownerReferences") or ():
                self._owned[reference["uid"]].append(pod)
        for deployment in self.store.all("deployments.apps"):
            self._deployment(deployment)
        for daemon_set in self.store.all("daemonsets.apps"):
            self._daemon_set(daemon_set)

    def _deployment(self, deployment: Object) -> None:
        spec, meta = deployment["spec"], deployment["metadata"]
        wanted, hash_ = spec["replicas"], pod_states.template_hash(spec["template"])
        sets = [
            one
            for one in self.store.all("replicasets.apps", meta["namespace"])
            if any(ref["uid"] == meta["uid"] for ref in one["metadata"].get("ownerReferences") or ())
        ]
        current = next((one for one in sets if one["metadata"]["labels"]["pod-template-hash"] == hash_), None)
        if current is None:
            current = self._replica_set(deployment, hash_, len(sets) + 1)
        new = _staying(self._owned[current["metadata"]["uid"]])
        old = [pod for one in sets if one is not current for pod in _staying(self._owned[one["metadata"]["uid"]])]
        surge, unavailable = math.ceil(wanted * 0.25), math.floor(wanted * 0.25)
        for _ in range(min(wanted - len(new), wanted + surge - len(new) - len(old))):
            self._pod(current, spec["template"], {"pod-template-hash": hash_})
        for surplus in sorted(new, key=pod_states.ready)[: max(0, len(new) - wanted)]:
            self._delete(surplus)
        available = sum(pod_states.ready(pod) for pod in new + old)
        for pod in sorted(old, key=pod_states.ready):
            if pod_states.ready(pod):
                if available - 1 < wanted - unavailable:
                    break
                available -= 1
            self._delete(pod)
        for one in sets:
            self._count(one, wanted if one is current else 0)
        self._report(deployment, current, new, old)

    def _replica_set(self, deployment: Object, hash_: str, revision: int) -> Object:
        meta, spec, label = deployment["metadata"], deployment["spec"], {"pod-template-hash": hash_}
        template = spec["template"]
        labels = (template["metadata"].get("labels") or {}) | label
        reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": meta["name"], "uid": meta["uid"]}
        made = self.store.create(
            self.store.named("ReplicaSet", "apps"),
            {
                "apiVersion": "apps/v1",
                "kind": "ReplicaSet",
                "metadata": {
                    "name": f"{meta['name']}-{hash_}",
                    "namespace": meta["namespace"],
                    "labels": labels,
                    "annotations": {"deployment.kubernetes.io/revision": str(revision)},
                    "ownerReferences": [reference | {"controller": True, "blockOwnerDeletion": True}],
                },
                "spec": {
                    "replicas": spec["replicas"],
                    "selector": {"matchLabels": spec["selector"]["matchLabels"] | label},
                    "template": template | {"metadata": template["metadata"] | {"labels": labels}},
                },
            },
        )
        annotations = (meta.get("annotations") or {}) | {"deployment.kubernetes.io/revision": str(revision)}
        kind = self.store.named("Deployment", "apps")
        fresh = self.store.get(kind, meta["namespace"], meta["name"])
        self.store.update(kind, fresh | {"metadata": fresh["metadata"] | {"annotations": annotations}})
        return made

    def _count(self, replica_set: Object, wanted: int) -> None:
        kind, meta = self.store.named("ReplicaSet", "apps"), replica_set["metadata"]
        live = self.store.find(kind.storage, meta["namespace"], meta["name"])
        if live is None:
            return
        live = self.store.update(kind, live | {"spec": live["spec"] | {"replicas": wanted}})
        mine = _staying(self._owned[meta["uid"]])
        ready = sum(pod_states.ready(pod) for pod in mine)
        status = {"replicas": len(mine), "readyReplicas": ready, "availableReplicas": ready}
        seen = {"observedGeneration": live["metadata"]["generation"]}
        self.store.update(kind, live | {"status": status | seen}, status=True)

    def _report(self, deployment: Object, current: Object, new: list[Object], old: list[Object]) -> None:
        kind, meta = self.store.named("Deployment", "apps"), deployment["metadata"]
        live = self.store.get(kind, meta["namespace"], meta["name"])
        wanted = deployment["spec"]["replicas"]
        ready = sum(pod_states.ready(pod) for pod in new + old)
        done = len(new) == wanted and not old and ready >= wanted
        enough = ready >= wanted - math.floor(wanted * 0.25)
        name = current["metadata"]["name"]
        minimum = ("MinimumReplicasAvailable", "Deployment has minimum availability.")
        lacking = ("MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
        finished = ("NewReplicaSetAvailable", f'ReplicaSet "{name}" has successfully progressed.')
        under_way = ("ReplicaSetUpdated", f'ReplicaSet "{name}" is progressing.')
        conditions = [
            _said("Available", enough, *(minimum if enough else lacking)),
            _said("Progressing", True, *(finished if done else under_way)),
        ]
        numbers = {
            "replicas": len(new) + len(old),
            "updatedReplicas": len(new),
            "readyReplicas": ready,
            "availableReplicas": ready,
            "unavailableReplicas": max(0, wanted - ready),
        }
        before = at(live, "status", "conditions")
        times = {one["type"]: one for one in before or ()}
        written = [
            one | {"lastUpdateTime": times.get(one["type"], {}).get("lastUpdateTime") or now()}
            for one in merged([{k: v for k, v in c.items() if k != "lastUpdateTime"} for c in before or ()], conditions)
        ]
        status = {k: v for k, v in numbers.items() if v} | {"conditions": written}
        status["observedGeneration"] = live["metadata"]["generation"]
        self.store.update(kind, live | {"status": status}, status=True)

    def _daemon_set(self, daemon_set: Object) -> None:
        spec, meta = daemon_set["spec"], daemon_set["metadata"]
        hash_ = pod_states.template_hash(spec["template"])
        nodes = [node["metadata"]["name"] for node in self.store.all("nodes")]
        mine = self._owned[meta["uid"]]
        by_node = {pod["spec"]["nodeName"]: pod for pod in mine}
        labels = {"controller-revision-hash": hash_, "pod-template-generation": str(meta["generation"])}
        for node in nodes:
            if node not in by_node:
                self._pod(daemon_set, spec["template"], labels, node=node)
        staying = _staying(mine)
        stale = [pod for pod in staying if pod["metadata"]["labels"].get("controller-revision-hash") != hash_]
        if stale and all(pod_states.ready(pod) for pod in staying) and len(staying) == len(nodes):
            self._delete(stale[0])  # one node after the other
        ready = sum(pod_states.ready(pod) for pod in mine)
        kind = self.store.named("DaemonSet", "apps")
        live = self.store.get(kind, meta["namespace"], meta["name"])
        status = {
            "currentNumberScheduled": len(staying),
            "desiredNumberScheduled": len(nodes),
            "numberAvailable": ready,
            "numberMisscheduled": 0,
            "numberReady": ready,
            "observedGeneration": meta["generation"],
            "updatedNumberScheduled": len(staying) - len(stale),
        }
        self.store.update(kind, live | {"status": status}, status=True)

    def _pod(self, owner: Object, template: Object, labels: Object, *, node: str = "") -> None:
        kind = self.store.named("Pod")
        pod = pod_states.from_template(owner, template, labels)
        defaults.fill(kind, pod)
        place(self.store, pod, node)
        self.store.create(kind, pod)

    def _delete(self, pod: Object) -> None:
        meta = pod["metadata"]
        self.store.delete(self.store.named("Pod"), meta["namespace"], meta["name"])


def place(store: Store, pod: Object, node: str = "") -> None:
    """Gives a pod its node, or the status that says why it has none."""
    if node:
        pod["spec"] = pod["spec"] | {"nodeName": node}
        pod["status"] = {"phase": "Pending"}
        return
    tolerated = {one.get("key") for one in pod["spec"].get("tolerations") or () if one.get("operator") == "Exists"}
    nodes, reasons = store.all("nodes"), []
    for one in nodes:
        tainted = [t for t in one["spec"].get("taints") or () if not tolerated & {t["key"], None}]
        name = one["metadata"]["name"]
        used = sum(pod_states.cpu(other) for other in store.all("pods") if other["spec"].get("nodeName") == name)
        labels = one["metadata"]["labels"]
        if tainted:
            reasons.append(f"1 node(s) had untolerated taint {{{tainted[0]['key']}: {tainted[0].get('value', '')}}}")
        elif not (pod["spec"].get("nodeSelector") or {}).items() <= labels.items():
            reasons.append("1 node(s) didn't match Pod's node affinity/selector")
        elif used + pod_states.cpu(pod) > int(one["status"]["allocatable"]["cpu"]) * 1000:
            reasons.append("1 Insufficient cpu")
        else:
            pod["spec"] = pod["spec"] | {"nodeName": name}
            pod["status"] = {"phase": "Pending"}
            return
    message = (
        f"0/{len(nodes)} nodes are available: {', '.join(sorted(reasons))}. no new claims to deallocate, preemption: "
        f"0/{len(nodes)} nodes are available: {len(nodes)} Preemption is not helpful for scheduling."
    )
    pod["status"] = pod_states.unschedulable(pod, message)


def _staying(found: list[Object]) -> list[Object]:
    return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]


def _said(type_: str, status: bool, reason: str, message: str) -> Object:
    return {"type": type_, "status": "True" if status else "False", "reason": reason, "message": message}
