"""The minimal ClusterRole that an audit needs, as YAML. Pure."""

from __future__ import annotations

from collections import defaultdict

import yaml

from harness.audit.read import CONFIG, KINDS, MESH

NAME = "mesh-e2e-audit"


def cluster_role(*, logs: bool = False, config: bool = False) -> str:
    """Lists of the kinds that are read, two ConfigMaps, with `logs` pods/log, and with `config` port-forwards to pods:
    to "create" one changes no object."""
    by_group: dict[str, list[str]] = defaultdict(list)
    for kind in KINDS.values():
        by_group[kind.group].append(kind.plural)
    rules = [{"apiGroups": [g], "resources": sorted(plurals), "verbs": ["list"]} for g, plurals in by_group.items()]
    rules.append({"apiGroups": [""], "resources": ["configmaps"], "resourceNames": [CONFIG, MESH], "verbs": ["get"]})
    if logs:
        rules.append({"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]})
    if config:
        rules.append({"apiGroups": [""], "resources": ["pods/portforward"], "verbs": ["create", "get"]})
        rules.append({"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]})
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": NAME},
        "rules": rules,
    }
    return str(yaml.safe_dump(role, sort_keys=False))
