"""The emulated Service controller: addresses, node ports, EndpointSlices, and nodes for bare pods."""

from __future__ import annotations

import zlib
from collections.abc import Callable

from harness.cluster.emulated.api.kinds import Object
from harness.cluster.emulated.api.selectors import having
from harness.cluster.emulated.api.store import Store
from harness.cluster.emulated.controllers import pod_states
from harness.cluster.emulated.controllers.conditions import at
from harness.cluster.emulated.controllers.workloads import place

_NODE_PORTS = range(30000, 32768)


class Services:
    """The Service, EndpointSlice, ServiceAccount, namespace and scheduler parts of Kubernetes."""

    def __init__(self, store: Store, address: Callable[[], str]) -> None:
        self.store, self._address = store, address
        self._addresses: dict[str, str] = {}  # by uid: a replaced Service keeps its address

    def sync(self) -> None:
        self._bare_pods()
        for namespace in self.store.all("namespaces"):
            self._account(namespace["metadata"]["name"])
            if not at(namespace, "status", "phase"):
                kind = self.store.named("Namespace")
                self.store.update(kind, namespace | {"status": {"phase": "Active"}}, status=True)
        for crd in self.store.all("customresourcedefinitions.apiextensions.k8s.io"):
            if not at(crd, "status", "conditions"):
                self._establish(crd)
        for service in self.store.all("services"):
            service = self._allocate(service)
            if service["spec"].get("selector"):
                self._slice(service)

    def _account(self, namespace: str) -> None:
        if not self.store.find("serviceaccounts", namespace, "default"):
            meta = {"name": "default", "namespace": namespace}
            account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta}
            self.store.create(self.store.named("ServiceAccount"), account)

    def _establish(self, crd: Object) -> None:
        kind = self.store.named("CustomResourceDefinition", "apiextensions.k8s.io")
        established = (
            ("NamesAccepted", "NoConflicts", "no conflicts found"),
            ("Established", "InitialNamesAccepted", "the initial names have been accepted"),
        )
        conditions = [
            {
                "type": t,
                "status": "True",
                "reason": r,
                "message": m,
                "lastTransitionTime": crd["metadata"]["creationTimestamp"],
            }
            for t, r, m in established
        ]
        stored = [one["name"] for one in crd["spec"]["versions"] if one.get("storage")]
        status = {"acceptedNames": crd["spec"]["names"], "conditions": conditions, "storedVersions": stored}
        self.store.update(kind, crd | {"status": status}, status=True)

    def _bare_pods(self) -> None:
        kind = self.store.named("Pod")
        for pod in self.store.all("pods"):
            if pod["spec"].get("nodeName") or "deletionTimestamp" in pod["metadata"]:
                continue
            placed = pod | {"status": pod.get("status") or {}}
            place(self.store, placed)
            self.store.update(kind, placed)
            live = self.store.get(kind, pod["metadata"]["namespace"], pod["metadata"]["name"])
            self.store.update(kind, live | {"status": placed["status"]}, status=True)

    def _allocate(self, service: Object) -> Object:
        spec, kind, uid = dict(service["spec"]), self.store.named("Service"), service["metadata"]["uid"]
        if spec.get("clusterIP") in (None, ""):
            spec["clusterIP"] = self._addresses.get(uid) or self._address()
        self._addresses[uid] = spec["clusterIP"]
        spec["clusterIPs"] = [spec["clusterIP"]]
        if spec["type"] != "ClusterIP":
            spec["ports"] = self._node_ports(service)
        else:
            spec["ports"] = [{k: v for k, v in port.items() if k != "nodePort"} for port in spec["ports"]]
        service = self.store.update(kind, service | {"spec": spec})
        status = {"loadBalancer": {}} | (service.get("status") or {})
        return self.store.update(kind, service | {"status": status}, status=True)

    def _node_ports(self, service: Object) -> list[Object]:
        taken = {
            port["nodePort"]
            for other in self.store.all("services")
            if other["metadata"]["uid"] != service["metadata"]["uid"]
            for port in other["spec"]["ports"]
            if "nodePort" in port
        }
        ports = []
        for port in service["spec"]["ports"]:
            chosen = port.get("nodePort")
            if chosen is None:
                start = zlib.crc32(f"{service['metadata']['uid']}/{port['port']}".encode()) % len(_NODE_PORTS)
                candidates = (_NODE_PORTS[(start + n) % len(_NODE_PORTS)] for n in range(len(_NODE_PORTS)))
                chosen = next(one for one in candidates if one not in taken)
            taken.add(chosen)
            ports.append(port | {"nodePort": chosen})
        return ports

    def _slice(self, service: Object) -> None:
        meta, spec = service["metadata"], service["spec"]
        selected = having(spec["selector"])
        backing = [
            pod
            for pod in self.store.all("pods", meta["namespace"])
            if selected(pod) and at(pod, "status", "podIP") and "deletionTimestamp" not in pod["metadata"]
        ]
        endpoints = [_endpoint(pod) for pod in backing]
        ports = [
            {"name": port.get("name", ""), "port": number, "protocol": "TCP"}
            for port in spec["ports"]
            if (number := target_port(port, backing)) is not None
        ]
        slices = self.store.all("endpointslices.discovery.k8s.io", meta["namespace"])
        have = next(
            (one for one in slices if one["metadata"]["labels"]["kubernetes.io/service-name"] == meta["name"]), None
        )
        kind = self.store.named("EndpointSlice", "discovery.k8s.io")
        if have:
            self.store.update(kind, have | {"endpoints": endpoints, "ports": ports})
            return
        own = {
            "kubernetes.io/service-name": meta["name"],
            "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
        }
        reference = {"apiVersion": "v1", "kind": "Service", "name": meta["name"], "uid": meta["uid"]}
        self.store.create(
            kind,
            {
                "apiVersion": "discovery.k8s.io/v1",
                "kind": "EndpointSlice",
                "addressType": "IPv4",
                "metadata": {
                    "name": f"{meta['name']}-{pod_states.suffix()}",
                    "generateName": f"{meta['name']}-",
                    "namespace": meta["namespace"],
                    "labels": (meta.get("labels") or {}) | own,
                    "ownerReferences": [reference | {"controller": True, "blockOwnerDeletion": True}],
                },
                "endpoints": endpoints,
                "ports": ports,
            },
        )


def target_port(port: Object, backing: list[Object]) -> int | None:
    """The number of a Service port's target; a name is looked up in the pods' containers (None: not there)."""
    target = port.get("targetPort", port["port"])
    if isinstance(target, int):
        return target
    declared = (p for pod in backing for c in pod["spec"]["containers"] for p in c.get("ports") or ())
    return next((one["containerPort"] for one in declared if one.get("name") == target), None)


def _endpoint(pod: Object) -> Object:
    meta, ready = pod["metadata"], pod_states.ready(pod)
    return {
        "addresses": [pod["status"]["podIP"]],
        "conditions": {"ready": ready, "serving": ready, "terminating": False},
        "nodeName": pod["spec"]["nodeName"],
        "targetRef": {"kind": "Pod", "name": meta["name"], "namespace": meta["namespace"], "uid": meta["uid"]},
    }
