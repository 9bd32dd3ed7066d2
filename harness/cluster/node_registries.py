"""Registry configuration of kind nodes: containerd's hosts.toml, kubelet credentials, and pulls while a node boots.

Sources: containerd docs/hosts.md; kind's documentation of private registries and of a local registry.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness import progress, timeouts
from harness.cluster import registry_caches
from harness.command import run
from harness.errors import SetupFailed
from harness.registry.credentials import Login, docker_config, logins
from harness.registry.private import PrivateRegistry
from harness.registry.reference import parse_reference
from harness.wait import until

CERTS = "/etc/containerd/certs.d"
KUBELET_CONFIG = "/var/lib/kubelet/config.json"
LOG = "/var/lib/mesh-e2e/pulls.log"
CACHE_PORT = 5000
CONTROL_PLANE_IMAGES = ("install-cni", "ztunnel", "curl", "fortio")  # what is scheduled beside the control plane
STREAMS = 2  # images that a node pulls at a time before its kubelet does; that one pulls one after the other
# crictl pulls as the kubelet does, with a login; ctr is there also in a node image without crictl.
_PULL = """mkdir -p "$(dirname "$0")"; n=0
if command -v crictl; then up='crictl info' pull='crictl pull'
else up='ctr version' pull='ctr --namespace k8s.io images pull --hosts-dir /etc/containerd/certs.d'; fi >>"$0"
until $up >/dev/null 2>&1 || [ $n -ge 240 ]; do n=$((n+1)); sleep 0.25; done
for image; do $pull "$image" >>"$0" 2>&1 || echo "not pulled: $image" >>"$0"; done"""
_WRITE = 'umask 077; mkdir -p "$(dirname "$0")" && cat >"$0"'


@dataclass(frozen=True, slots=True)
class Host:
    """One place that containerd asks for a registry's images: its URL and the file of its authority on the node."""

    url: str
    ca: str = ""


def hosts_toml(hosts: Sequence[Host]) -> str:
    """containerd's hosts.toml: the places in the order in which they are asked; after them the registry itself."""
    parts = []
    for host in hosts:
        ca = f'  ca = "{host.ca}"\n' if host.ca else ""
        parts.append(f'[host."{host.url}"]\n  capabilities = ["pull", "resolve"]\n{ca}')
    return "\n".join(parts)


def configure_registries(
    nodes: Sequence[str], images: Iterable[str], private: PrivateRegistry | None, *, cached: Path | None
) -> None:
    """Points nodes to where the images come from: the private registry, caches, credentials of `docker login`.

    `cached` is the state folder that the caches belong to; None: no caches.

    Raises:
        SetupFailed: a registry on this machine is out of the nodes' reach, or a cache did not start.
        BadInput: Docker's credentials cannot be read.
    """
    registries = sorted({parse_reference(image).registry for image in images})
    known = logins(registries)
    direct = {private.host: _direct(private, nodes[0])} if private else {}
    cache = registry_caches.start_caches(registries, private, direct, known, cached) if cached else {}
    for node in nodes:
        for registry in registries:
            hosts = [Host(f"http://{cache[registry]}:{CACHE_PORT}")] if registry in cache else []
            if private and registry == private.host and (direct[registry] != f"https://{registry}" or private.ca):
                ca = f"{CERTS}/{registry}/ca.crt" if private.ca else ""
                if private.ca:
                    write_node_file(node, ca, private.ca.read_text())
                hosts.append(Host(direct[registry], ca))
            if hosts:
                write_node_file(node, f"{CERTS}/{registry}/hosts.toml", hosts_toml(hosts))
        if known:
            _log_in(node, known)


def configure_during_boot(
    nodes: Sequence[str],
    images: Sequence[str],
    private: PrivateRegistry | None,
    *,
    cached: Path | None,
    ended: threading.Event,
) -> None:
    """Attaches nodes and lets them pull as soon as containerd runs in them, while Kubernetes is still to come; gives up
    when `ended` is set, which is when `kind create` has ended.

    Raises:
        SetupFailed, BadInput: as `configure_registries`.
    """
    wait_for_containerd(nodes, ended)
    with progress.stage("images: pulls begin"):
        configure_registries(nodes, images, private, cached=cached)
        for node in nodes:
            pull_early(node, [image for image in images if needs_image(node, nodes, image)])


def wait_for_containerd(nodes: Sequence[str], ended: threading.Event) -> None:
    """Waits until containerd runs in each node, or `ended` is set: `kind create` has ended."""
    for node in nodes:
        until(
            lambda node=node: ended.is_set() or _runs_containerd(node),  # type: ignore[misc]  # the default binds the loop's value
            bool,
            what=f"containerd runs in {node}",
            within=timeouts.CLUSTER_CREATE,
            every=0.5,
        )


def needs_image(node: str, nodes: Sequence[str], image: str) -> bool:
    """The control plane takes only what runs there, unless it is the only node. An archive has its image's name."""
    return len(nodes) == 1 or "control-plane" not in node or any(w in image for w in CONTROL_PLANE_IMAGES)


def _runs_containerd(node: str) -> bool:
    return run(["docker", "exec", node, "test", "-S", "/run/containerd/containerd.sock"], check=False).code == 0


def pull_early(node: str, images: Sequence[str]) -> None:
    """Lets a node pull images by itself from now on. What fails here the kubelet tries again, and says why."""
    by_login: dict[Login | None, list[str]] = {}
    known = logins({parse_reference(image).registry for image in images})
    for image in images:
        by_login.setdefault(known.get(parse_reference(image).registry), []).append(image)
    for login, some in by_login.items():
        words, env = ([], {}) if login is None else (["--env", "CRICTL_CREDS"], {"CRICTL_CREDS": ":".join(login)})
        for stream in range(min(STREAMS, len(some))):  # the value of the variable is in no argument
            argv = ["docker", "exec", "--detach", *words, node, "sh", "-c", _PULL, LOG, *some[stream::STREAMS]]
            if run(argv, env=env, check=False).code != 0:
                progress.note(f"node {node} could not begin to pull images: its kubelet will")


def write_node_file(node: str, path: str, text: str) -> None:
    """Writes a file in a node, for root alone; the text goes through standard input."""
    run(["docker", "exec", "-i", node, "sh", "-c", _WRITE, path], stdin=text)


def _log_in(node: str, known: Mapping[str, Login]) -> None:
    config = docker_config(known)
    there = run(["docker", "exec", node, "cat", KUBELET_CONFIG], check=False)
    if there.code == 0 and there.stdout == config:
        return
    write_node_file(node, KUBELET_CONFIG, config)
    # It keeps what it read for five minutes. While the node boots there is none to start again.
    run(["docker", "exec", node, "systemctl", "try-restart", "kubelet"], check=False)


def _direct(private: PrivateRegistry, node: str) -> str:
    """The private registry's URL as a node reaches it."""
    if not private.loopback:
        return private.url
    scheme, port = private.url.partition(":")[0], _port(private.host)
    addresses = [*_gateways(), "host.docker.internal"]
    urls = [f"{scheme}://{address}:{port}" for address in addresses]
    found = next((url for url in urls if _answers(node, url)), None) or _container(node, scheme, port)
    if found is None:
        raise SetupFailed(
            f"registry {private.host} is on this machine's loopback address, and no node reaches it there; "
            f"asked: {', '.join(urls)}",
            remedy=f"let it listen on all addresses (0.0.0.0:{port}), or run it as a container that publishes {port}",
        )
    progress.note(f"registry {private.host} is {found} for the nodes")
    return found


def _port(host: str) -> int:
    _, colon, port = host.rpartition(":")
    return int(port) if colon and port.isdigit() else 80


def _gateways() -> list[str]:
    """This machine's addresses in kind's network."""
    form = "{{range .IPAM.Config}}{{.Gateway}} {{end}}"
    found = run(["docker", "network", "inspect", registry_caches.NETWORK, "--format", form], check=False).stdout.split()
    return [f"[{address}]" if ":" in address else address for address in found]


def _answers(node: str, url: str) -> bool:
    argv = ["docker", "exec", node, "curl", "--silent", "--insecure", "--output", "/dev/null", "--max-time", "3"]
    return run([*argv, f"{url}/v2/"], check=False).code == 0


def _container(node: str, scheme: str, port: int) -> str | None:
    """The URL of a container that publishes the port, put into kind's network as kind's documentation does it."""
    found = run(["docker", "ps", "--filter", f"publish={port}", "--format", "{{.Names}}"], check=False).stdout.split()
    for name in found:
        output = run(["docker", "inspect", "--format", "{{json .NetworkSettings.Ports}}", name], check=False).stdout
        ports = json.loads(output or "null") or {}
        inner = [p.partition("/")[0] for p, to in ports.items() if any(t["HostPort"] == str(port) for t in to or [])]
        if not inner:
            continue
        if run(["docker", "network", "connect", registry_caches.NETWORK, name], check=False).code == 0:
            progress.note(f"container {name} is now in network {registry_caches.NETWORK}, where nodes reach it")
        if _answers(node, url := f"{scheme}://{name}:{inner[0]}"):
            return url
    return None
