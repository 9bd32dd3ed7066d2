"""Pull-through registry caches for kind clusters. The only module that uses testcontainers.

One registry container for each registry that the version set's images come from, on kind's network, its layers in a
named volume, left running for the next run (`make clean` removes it; the volume stays). `cluster.pulling` points the
nodes to them. Caches belong to a state folder (STATE=), by name and label: runs with another one have caches of their
own, with their own logins, and `make clean` removes none of theirs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path

from docker.errors import DockerException, NotFound
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer
from testcontainers.core.docker_client import DockerClient

from harness.errors import SetupFailed
from harness.registry.credentials import Login
from harness.registry.private import PrivateRegistry

# renovate: datasource=docker depName=library/registry
IMAGE = "docker.io/library/registry:3.0.0"
NETWORK = "kind"
LABEL = "mesh-e2e-cache"  # its value is the number of the state folder that the cache belongs to
UPSTREAMS = {"docker.io": "https://registry-1.docker.io"}  # where a registry's own name is not its host
CA = "/etc/mesh-e2e/ca.crt"
STARTED = "registry-caches-started"  # in the state folder: without this file, no cache was ever started from it


def start_caches(
    registries: Iterable[str],
    private: PrivateRegistry | None,
    direct: Mapping[str, str],
    known: Mapping[str, Login],
    state: Path,
) -> dict[str, str]:
    """Starts (or finds) a cache for each registry. Returns their names, which the nodes resolve, by registry.

    `direct` has the URL of a registry as containers on kind's network reach it, where that is not its own name. With
    a login a cache serves what that login may pull, to all that reach kind's network.

    Raises:
        SetupFailed: Docker would not start one.
    """
    testcontainers_config.ryuk_disabled = True  # its reaper would take the caches away with this process
    names = {}
    state.mkdir(parents=True, exist_ok=True)
    (state / STARTED).touch()
    for registry in registries:
        env = {"REGISTRY_PROXY_REMOTEURL": direct.get(registry) or UPSTREAMS.get(registry, f"https://{registry}")}
        if registry in known:
            env |= dict(zip(("REGISTRY_PROXY_USERNAME", "REGISTRY_PROXY_PASSWORD"), known[registry], strict=True))
        names[registry] = _start(registry, env, private, _number(state))
    return names


def remove_caches(state: Path) -> list[str]:
    """Removes every cache of this state folder; their volumes stay. Returns their names.

    Docker is not asked if no cache was ever started from this folder: `make clean` needs no Docker then.

    Raises:
        SetupFailed: Docker does not answer, or could not remove one: what is left is unknown.
    """
    if not (state / STARTED).exists():
        return []
    try:
        found = DockerClient().client.containers.list(all=True, filters={"label": f"{LABEL}={_number(state)}"})
        for one in found:
            one.remove(force=True)
    except DockerException as error:
        raise SetupFailed(
            f"registry caches (CACHE=1) may be left: Docker says {error}",
            remedy=f"start Docker, then `make clean` again; or `docker ps -a --filter label={LABEL}={_number(state)}`",
        ) from error
    (state / STARTED).unlink()
    return [str(one.name) for one in found]


def _number(state: Path) -> str:
    return sha256(str(state.expanduser().resolve()).encode()).hexdigest()[:8]


def _start(registry: str, env: Mapping[str, str], private: PrivateRegistry | None, number: str) -> str:
    plain = re.sub(r"[^a-zA-Z0-9_.-]", "_", registry)  # a port's colon is in no container's name
    name = f"mesh-e2e-cache-{plain}-{number}"
    try:
        client = DockerClient().client
        try:
            there = client.containers.get(name)
            if {f"{key}={value}" for key, value in env.items()} == _proxied(there.attrs):
                there.start()
                return name
            there.remove(force=True)  # its upstream or login is another now; what it holds is in the volume
        except NotFound:
            pass
        _container(name, env, private, {LABEL: number}).start()
    except DockerException as error:
        raise SetupFailed(f"cache {name} did not start: {error}", remedy="leave CACHE=1 out") from error
    return name


def _proxied(attrs: Mapping[str, Mapping[str, list[str] | None]]) -> set[str]:
    return {one for one in attrs["Config"]["Env"] or [] if one.startswith("REGISTRY_PROXY_")}


def _container(
    name: str, env: Mapping[str, str], private: PrivateRegistry | None, labels: Mapping[str, str]
) -> DockerContainer:
    made = (
        DockerContainer(private.rewrite(IMAGE) if private else IMAGE)
        .with_name(name)
        .with_volume_mapping(name, "/var/lib/registry", "rw")
        .with_kwargs(labels=dict(labels), network=NETWORK, restart_policy={"Name": "unless-stopped"})
    )
    for key, value in env.items():
        made = made.with_env(key, value)
    if private and private.ca:  # Go's TLS takes its authorities from this file instead of the system's
        made = made.with_env("SSL_CERT_FILE", CA).with_volume_mapping(str(private.ca.resolve()), CA, "ro")
    return made
