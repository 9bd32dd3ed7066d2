"""The discovery documents of the emulated API: versions, groups, resources. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from harness.cluster.emulated.api.kinds import Object, ResourceKind

_VERBS = ["delete", "get", "list", "patch"]


def version(kubernetes: str) -> Object:
    """The body of /version for a Kubernetes version such as 1.34.4."""
    major, minor = kubernetes.split(".")[:2]
    return {
        "major": major,
        "minor": minor,
        "gitVersion": f"v{kubernetes}",
        "gitCommit": "emulated",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "none",
        "compiler": "none",
        "platform": "linux/amd64",
    }


def groups(kinds: Iterable[ResourceKind]) -> Object:
    """The body of /apis. The first version seen of a group is its preferred one."""
    versions: dict[str, list[str]] = {}
    for kind in kinds:
        if kind.group and kind.version not in versions.setdefault(kind.group, []):
            versions[kind.group].append(kind.version)
    found = []
    for group, served in versions.items():
        listed = [{"groupVersion": f"{group}/{one}", "version": one} for one in served]
        found.append({"name": group, "versions": listed, "preferredVersion": listed[0]})
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": found}


def resources(kinds: Iterable[ResourceKind], group: str, version: str) -> Object | None:
    """The body of /api/v1 or /apis/<group>/<version>; None when nothing is served there."""
    found: list[Object] = []
    for kind in kinds:
        if (kind.group, kind.version) != (group, version):
            continue
        common = {"namespaced": kind.namespaced, "singularName": kind.name.lower()}
        found.append(common | {"name": kind.plural, "kind": kind.name, "verbs": _VERBS})
        for sub in kind.subresources:
            of = {"exec": "PodExecOptions"}.get(sub, kind.name)
            found.append({"namespaced": True, "singularName": "", "verbs": ["get"], "kind": of, "name": f"pods/{sub}"})
    if not found:
        return None
    api_version = f"{group}/{version}" if group else version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": api_version, "resources": found}
