"""Prepared kind nodes: containerd's folder with a bundle's images unpacked, made once and given to each new node.

One Docker volume holds a folder for each node image and list of archives, as containerd leaves it, and for each cluster
a folder for each node. A node's folder is the prepared one in hard links, so it costs neither time nor space, since
containerd replaces files and never writes into them, except its databases, which are copied. kind mounts the folder
into the node at /var/lib/containerd, which Docker does not count as a use of the volume: a container that never runs
does, so that `docker volume prune` leaves a running cluster its images.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness import progress, timeouts
from harness.cluster.image_archive_loader import mark
from harness.command import run
from harness.errors import CommandFailed, SetupFailed

VOLUME = "mesh-e2e-prepared"
CONTAINERD = "/var/lib/containerd"
KEPT = 3  # prepared folders that stay, those used last

# $0 is the new folder, $1… the archives. The node image's own images are kept. ctr's progress goes to standard error.
# The unfinished folder is touched, since another run removes those used longest ago.
_PREPARE = """set -e
part="$0-part-$(hostname)"
cp -a /var/lib/containerd "$part"; touch "$part"
containerd --root "$part" --state /run/preparing --address /run/preparing.sock >/run/containerd.log 2>&1 &
n=0; until ctr --address /run/preparing.sock version >/dev/null 2>&1; do
  n=$((n+1)); [ $n -le 120 ] || { tail -5 /run/containerd.log >&2; exit 1; }; sleep 0.25; done
for archive; do
  ctr --address /run/preparing.sock --namespace k8s.io images import --all-platforms --digests "$archive" >/dev/null
done
kill $!; wait $! || true
mv -T "$part" "$0" 2>/dev/null || [ -d "$0" ]; rm -rf "$part"
"""
# $0 is the prepared folder, $1 the cluster's, $2 how many prepared folders stay, $3… the nodes.
_LINK = """set -e
prepared=$0; cluster=$1; kept=$2; shift 2
touch "$prepared"; rm -rf "$cluster"; mkdir -p "$cluster"
for node; do
  cp -al "$prepared" "$cluster/$node"
  find "$cluster/$node" -name '*.db' | while read -r file; do cp -a "$file" "$file-"; mv "$file-" "$file"; done
done
cd "$(dirname "$prepared")"; ls -t | tail -n "+$((kept+1))" | xargs -r rm -rf
"""


@dataclass(frozen=True, slots=True)
class PreparedNodes:
    """Prepares nodes of one image with these archives."""

    image: str
    archives: Sequence[Path]

    def prepare(self) -> None:
        """Makes the prepared folder, unless it is there.

        Raises:
            SetupFailed: an archive could not be imported, or Docker cannot do this on this machine.
        """
        folder = self._folder()
        if self._sh("[ -d $0 ]", folder, check=False) == 0:
            progress.note("nodes start from prepared images")
            return
        with progress.stage("nodes prepared"):
            folders = sorted({str(archive.resolve().parent) for archive in self.archives})
            mounts = [word for one in folders for word in ("--volume", f"{one}:{one}:ro")]
            self._sh("mkdir -p $(dirname $0)", folder)
            self._sh(_PREPARE, folder, *(str(archive.resolve()) for archive in self.archives), mounts=mounts)

    def link(self, cluster: str, nodes: Sequence[str]) -> Mapping[str, str]:
        """Makes a folder for each node. Returns their paths for Docker, by node."""
        self._sh(_LINK, self._folder(), f"/prepared/nodes/{cluster}", str(KEPT), *nodes)
        _remove_holder(cluster)  # of a killed run
        run(["docker", "create", "--name", _holder(cluster), "--volume", f"{VOLUME}:/prepared", self.image])
        where = run(["docker", "volume", "inspect", "--format", "{{.Mountpoint}}", VOLUME]).stdout.strip()
        return {node: f"{where}/nodes/{cluster}/{node}" for node in nodes}

    def _folder(self) -> str:
        image = run(["docker", "image", "inspect", "--format", "{{.Id}}", self.image]).stdout.strip()
        key = hashlib.sha256("\n".join([image, *sorted(map(mark, self.archives))]).encode()).hexdigest()[:16]
        return f"/prepared/images/{key}"

    def _sh(self, script: str, *words: str, mounts: Sequence[str] = (), check: bool = True) -> int:
        return _sh(self.image, script, *words, mounts=mounts, check=check)


def remove_folders(image: str, cluster: str) -> None:
    """Removes the folders of a cluster's nodes, once its containers are gone."""
    _sh(image, "rm -rf $0", f"/prepared/nodes/{cluster}", check=False)
    _remove_holder(cluster)


def _holder(cluster: str) -> str:
    """The container that holds the volume for a cluster."""
    return f"{VOLUME}-{cluster}"


def _remove_holder(cluster: str) -> None:
    run(["docker", "rm", "--force", _holder(cluster)], check=False)


def _sh(image: str, script: str, *words: str, mounts: Sequence[str] = (), check: bool = True) -> int:
    argv = ["docker", "run", "--rm", "--privileged", "--network", "none", "--volume", f"{VOLUME}:/prepared", *mounts]
    argv += ["--entrypoint", "sh", image, "-c", script, *words]
    try:
        return run(argv, within=timeouts.IMAGE_LOAD, check=check).code
    except CommandFailed as failed:
        raise SetupFailed(
            f"nodes could not be prepared: {failed.output.strip()[-400:]}", remedy="run without PREPARED=1"
        ) from failed
