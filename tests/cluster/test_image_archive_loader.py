"""Images of a kind cluster's nodes: loaded while Kubernetes boots, or there from the start on prepared nodes."""

import os
import subprocess
from pathlib import Path

import pytest
import yaml

from harness import cluster_records, version_sets
from harness.cluster import prepared_nodes
from harness.cluster.choose import choose_cluster
from harness.cluster.kind import KindCluster
from harness.errors import BadInput, SetupFailed
from harness.settings import Settings
from tests.fakes.programs import Programs

IMAGE = "kindest/node:v1.34.3"
VOLUME = "/var/lib/docker/volumes/mesh-e2e-prepared/_data"


@pytest.fixture(autouse=True)
def tools(programs: Programs) -> Programs:
    """Everything that a kind cluster takes; no node has an image yet."""
    programs.have("docker", "kind", "helm", "kubectl")
    programs.answer("docker", "exec", "ls", code=2)
    programs.answer("docker", "image", "inspect", out="sha256:1234\n")
    programs.answer("docker", "volume", "inspect", out=f"{VOLUME}\n")
    return programs


@pytest.fixture
def archives(tmp_path: Path) -> list[Path]:
    """Image archives of a bundle."""
    for name in ("pilot.tar", "ztunnel.tar"):
        (tmp_path / name).write_text(name)
    return [tmp_path / "pilot.tar", tmp_path / "ztunnel.tar"]


def cluster(settings: Settings, archives: list[Path], **changes: object) -> KindCluster:
    return KindCluster(settings.model_copy(update={"cluster_name": "foo", **changes}), IMAGE, archives=archives)


def loaded(tools: Programs) -> set[tuple[str, str]]:
    return {(Path(call.argv[2]).name, call.after("--nodes")) for call in tools.calls("kind", "load")}


ALL = {("pilot.tar", "foo-worker"), ("ztunnel.tar", "foo-worker"), ("ztunnel.tar", "foo-control-plane")}


def test_bundle_is_loaded_while_kubernetes_boots(settings: Settings, tools: Programs, archives: list[Path]) -> None:
    """`kind create` ends only after the nodes have the archives: each node those that it runs, with their marks."""
    marks = tools.home / "marks"
    marks.mkdir()
    tools.script("docker", f'for word; do [ "$word" != mkdir ] || : >{marks}/$$; done')
    waits = f"n=0; while set -- {marks}/*; [ $# -lt 3 ] && [ $n -lt 300 ]; do n=$((n+1)); sleep 0.1; done"
    tools.script("kind", f'[ "$1" != create ] || {{ {waits}; }}')

    cluster(settings, archives).create()

    assert loaded(tools) == ALL
    assert len(tools.calls("docker", "mkdir")) == 3


def test_boot_is_not_held_up_by_a_load_that_fails(settings: Settings, tools: Programs, archives: list[Path]) -> None:
    """It is tried again when the installation needs the image, and raises then."""
    tools.answer("kind", "load", code=1, err="ERROR: no space left on device")
    made = cluster(settings, archives)
    made.create()
    tools.nodes = ["foo-control-plane", "foo-worker"]

    with pytest.raises(SetupFailed, match="no space left on device"):
        made.load_images(archives)


def test_prepared_nodes_load_nothing(settings: Settings, tools: Programs, archives: list[Path]) -> None:
    """kind mounts a folder for each node, made of the prepared one; each node is marked as holding the archives."""
    cluster(settings, archives, prepared=True).create()

    config = yaml.safe_load(Path(tools.call("kind", "create").after("--config")).read_text())
    mounted = [node["extraMounts"][0] for node in config["nodes"]]
    assert mounted == [
        {"hostPath": f"{VOLUME}/nodes/foo/foo-{role}", "containerPath": "/var/lib/containerd"}
        for role in ("control-plane", "worker")
    ]
    assert tools.calls("kind", "load") == []
    assert [len(call.argv) for call in tools.calls("docker", "mkdir")] == [6, 6]  # docker exec node mkdir -p and two


def test_nodes_are_prepared_once(settings: Settings, tools: Programs, archives: list[Path]) -> None:
    """Only if there is no folder for this node image and these archives."""
    cluster(settings, archives, prepared=True).create()
    tools.answer("docker", "run", "[ -d $0 ]", code=1)

    cluster(settings, archives, prepared=True, cluster_name="bar").create()

    scripts = [call.after("-c") for call in tools.calls("docker", "run")]
    assert [prepared_nodes._PREPARE in script for script in scripts] == [False, False, False, False, True, False]


def test_folders_go_with_the_cluster(settings: Settings, tools: Programs, archives: list[Path]) -> None:
    """Also when `make clean` takes it, which knows only the record."""
    cluster(settings, archives, prepared=True).create()
    (record,) = cluster_records.read_records(settings.state)
    assert record.details["prepared"] == IMAGE

    KindCluster(settings.model_copy(update={"cluster_name": "foo"}), "").delete()

    removed = tools.calls("docker", "run", "rm -rf $0")
    assert [call.argv[-1] for call in removed] == ["/prepared/nodes/foo"]
    assert IMAGE in removed[0].argv


def test_volume_is_in_use_while_the_cluster_is(settings: Settings, tools: Programs, archives: list[Path]) -> None:
    """By a container that never runs, so that `docker volume prune` does not take the nodes' images away."""
    made = cluster(settings, archives, prepared=True)
    made.create()
    held = tools.call("docker", "create")
    assert held.after("--volume") == "mesh-e2e-prepared:/prepared"
    assert len(tools.calls("docker", "rm", held.after("--name"))) == 1  # what a killed run left

    made.delete()

    assert len(tools.calls("docker", "rm", held.after("--name"))) == 2


def test_what_cannot_be_prepared_names_the_remedy(settings: Settings, tools: Programs, archives: list[Path]) -> None:
    """containerd's own words, and nothing is created."""
    tools.answer("docker", "run", code=1, err="ctr: failed to ingest: no space left on device")

    with pytest.raises(SetupFailed, match=r"no space left on device[\s\S]*without PREPARED=1"):
        cluster(settings, archives, prepared=True).create()

    assert tools.clusters == []


def test_only_bundles_are_prepared(settings: Settings) -> None:
    """Without one it is refused before anything is made."""
    with pytest.raises(BadInput, match="with a bundle"):
        choose_cluster(settings.model_copy(update={"prepared": True}), version_sets.load().pick())


def test_nodes_folder_is_the_prepared_one_in_hard_links(tmp_path: Path) -> None:
    """Files are shared and databases are not; prepared folders over the number that stays go, the oldest first."""
    images = tmp_path / "images"
    for age, name in enumerate(["old", "older", "key"]):
        (images / name / "blobs").mkdir(parents=True)
        (images / name / "blobs" / "layer").write_text("layer")
        (images / name / "meta.db").write_text("database")
        os.utime(images / name, (1e9 - age, 1e9 - age))

    argv = ["sh", "-c", prepared_nodes._LINK, images / "key", tmp_path / "nodes" / "foo", "2", "a", "b"]
    subprocess.run(argv, check=True, env={"PATH": "/usr/bin:/bin"})

    kept = images / "key"
    for node in ("a", "b"):
        folder = tmp_path / "nodes" / "foo" / node
        assert (folder / "blobs" / "layer").samefile(kept / "blobs" / "layer")
        assert (folder / "meta.db").read_text() == "database"
        assert not (folder / "meta.db").samefile(kept / "meta.db")
    assert sorted(one.name for one in images.iterdir()) == ["key", "old"]
