"""Changes environment variables of a Deployment for a while, and restores them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from harness.objects.manifests import Document
from harness.objects.unstructured import objects, text
from harness.objects.workloads import pod_containers
from harness.undo.temporary_changes import Manifests
from harness.waits import rollouts


@contextmanager
def while_environment_set(manifests: Manifests, deployment: str, container: str, **variables: str) -> Iterator[None]:
    """Gives a Deployment's container environment variables for the block, and what it had before afterwards; rolled
    out both times."""
    name = f"Deployment/{manifests.kube.namespace}/{deployment}"
    before: list[Document] = pod_containers(manifests.kube.get(name))
    added = [{"name": key, "value": value} for key, value in variables.items()]
    changed = [c | {"env": [*objects(c, "env"), *added]} if text(c, "name") == container else c for c in before]
    try:
        with manifests.while_patched(name, {"spec": {"template": {"spec": {"containers": changed}}}}):
            rollouts.wait_for_rollout(manifests.kube, name)
            yield
    finally:
        rollouts.wait_for_rollout(manifests.kube, name)
