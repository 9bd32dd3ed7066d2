"""Pull-through caches of registries, so that the second cluster pulls nothing. The one home of testcontainers.

One registry container for each registry that the version set's images come from, on kind's network, its layers in a
named volume, left running for the next run (`make clean` takes it away; the volume stays). Each node is told of them by
containerd's certs.d, as kind's own documentation does.
"""

from __future__ import annotations

from collections.abc import Iterable

from docker.errors import DockerException, NotFound
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer
from testcontainers.core.docker_client import DockerClient

from harness.command import run
from harness.errors import SetupFailed

# renovate: datasource=docker depName=library/registry
IMAGE = "docker.io/library/registry:3.0.0"
NETWORK = "kind"
LABEL = {"mesh-e2e": "cache"}
UPSTREAMS = {"docker.io": "https://registry-1.docker.io"}  # where a registry's own name is not its host


def attach(nodes: Iterable[str], images: Iterable[str]) -> list[str]:
    """Starts (or finds) a cache for each registry of the images, and points the nodes to them. Returns their names.

    Raises:
        SetupFailed: Docker would not start one.
    """
    testcontainers_config.ryuk_disabled = True  # its reaper would take the caches away with this process
    registries = sorted({image.partition("/")[0] for image in images})
    caches = [_start(registry) for registry in registries]
    for node in nodes:
        for registry, cache in zip(registries, caches, strict=True):
            _point(node, registry, cache)
    return caches


def remove() -> list[str]:
    """Takes every cache of ours away; their volumes stay. Returns their names; [] where Docker does not answer."""
    try:
        found = DockerClient().client.containers.list(all=True, filters={"label": "mesh-e2e=cache"})
        for one in found:
            one.remove(force=True)
    except DockerException:
        return []
    return [str(one.name) for one in found]


def _start(registry: str) -> str:
    name = f"mesh-e2e-cache-{registry}"
    try:
        try:
            DockerClient().client.containers.get(name).start()
        except NotFound:
            _container(registry, name).start()
    except DockerException as error:
        raise SetupFailed(f"cache {name} did not start: {error}", remedy="leave CACHE=1 out") from error
    return name


def _container(registry: str, name: str) -> DockerContainer:
    upstream = UPSTREAMS.get(registry, f"https://{registry}")
    return (
        DockerContainer(IMAGE)
        .with_name(name)
        .with_env("REGISTRY_PROXY_REMOTEURL", upstream)
        .with_volume_mapping(f"mesh-e2e-cache-{registry}", "/var/lib/registry", "rw")
        .with_kwargs(labels=LABEL, network=NETWORK, restart_policy={"Name": "unless-stopped"})
    )


def _point(node: str, registry: str, cache: str) -> None:
    folder = f"/etc/containerd/certs.d/{registry}"
    hosts = f'[host."http://{cache}:5000"]\n  capabilities = ["pull", "resolve"]\n'
    run(["docker", "exec", node, "mkdir", "-p", folder])
    run(["docker", "exec", "-i", node, "cp", "/dev/stdin", f"{folder}/hosts.toml"], stdin=hosts)
