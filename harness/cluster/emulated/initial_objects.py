"""The objects of an empty emulated cluster: namespaces, nodes, Service kubernetes."""

from __future__ import annotations

from collections.abc import Mapping

from harness.cluster.emulated.api import defaults
from harness.cluster.emulated.api.kinds import Object
from harness.cluster.emulated.api.store import Store, now


def create_initial_objects(store: Store, hosts: Mapping[str, str], kubernetes: str) -> None:
    """Puts it in. `hosts` maps node names to addresses, `kubernetes` is the version they say they are."""
    for name in ("default", "kube-system", "kube-public", "kube-node-lease"):
        labels = {"kubernetes.io/metadata.name": name}
        body: Object = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
        store.create(store.named("Namespace"), body)
    for name, address in hosts.items():
        store.create(store.named("Node"), node(name, address, kubernetes))
    labels = {"component": "apiserver", "provider": "kubernetes"}
    ports = [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": 6443}]
    service: Object = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "kubernetes", "namespace": "default", "labels": labels},
        "spec": {"type": "ClusterIP", "ports": ports},
    }
    kind = store.named("Service")
    defaults.fill(kind, service)
    store.create(kind, service)


def node(name: str, address: str, kubernetes: str) -> Object:
    """A node as kind makes it; the control plane's is tainted, and two cores is what each has."""
    labels = {"kubernetes.io/arch": "amd64", "kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}
    spec: Object = {"providerID": f"emulated://{name}"}
    if name.endswith("-control-plane"):
        labels["node-role.kubernetes.io/control-plane"] = ""
        spec["taints"] = [{"effect": "NoSchedule", "key": "node-role.kubernetes.io/control-plane"}]
    room = {"cpu": "2", "memory": "24684084Ki", "pods": "110"}
    states = {
        "MemoryPressure": ("False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        "DiskPressure": ("False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        "PIDPressure": ("False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        "Ready": ("True", "KubeletReady", "kubelet is posting ready status"),
    }
    conditions = [
        {"type": t, "status": s, "reason": r, "message": m, "lastHeartbeatTime": now(), "lastTransitionTime": now()}
        for t, (s, r, m) in states.items()
    ]
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "spec": spec,
        "status": {
            "addresses": [{"address": address, "type": "InternalIP"}, {"address": name, "type": "Hostname"}],
            "allocatable": room,
            "capacity": room,
            "conditions": conditions,
            "nodeInfo": {
                "architecture": "amd64",
                "containerRuntimeVersion": "emulated://1",
                "kernelVersion": "emulated",
                "kubeletVersion": f"v{kubernetes}",
                "operatingSystem": "linux",
                "osImage": "emulated",
            },
        },
    }
