"""A kind cluster of our own, with programs that only note what they were given."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import yaml

from harness import cluster_records, reaper
from harness.cluster.kind import KindCluster
from harness.cluster.protocol import Release
from harness.cluster_records import Record
from harness.errors import BadInput, CommandFailed
from harness.registry.private import PrivateRegistry
from harness.settings import Settings
from harness.version_sets import Chart
from harness.wait import until
from tests.fakes.programs import Programs
from tests.patience import SOON

IMAGE = "kindest/node:v1.34.4"


@pytest.fixture(autouse=True)
def tools(programs: Programs) -> Programs:
    """Everything that a kind cluster takes."""
    programs.have("docker", "kind", "helm", "kubectl")
    return programs


def kind(settings: Settings, name: str = "foo", **changes: object) -> KindCluster:
    """A cluster of that name."""
    return KindCluster(settings.model_copy(update={"cluster_name": name, **changes}), IMAGE)


def ours(settings: Settings, name: str = "foo", pid: int = 2**22 + 1) -> None:
    """A record of a run that is over, or of that process."""
    cluster_records.write_record(settings.state, Record("kind", name, pid, time.time()))


def test_cluster_is_made_with_all_of_our_own(settings: Settings, tools: Programs) -> None:
    """Name, image, configuration and kubeconfig are reported to kind; the kubeconfig lies in our folder."""
    cluster = kind(settings, workers=2)

    cluster.create()

    made = tools.call("kind", "create")
    assert made.argv[:2] == ["create", "cluster"]
    assert made.after("--name") == "foo"
    assert made.after("--image") == IMAGE
    assert made.after("--kubeconfig") == str(cluster.kubeconfig) == str(settings.state / "kind-foo" / "kubeconfig")
    config = yaml.safe_load(Path(made.after("--config")).read_text())
    assert [node["role"] for node in config["nodes"]] == ["control-plane", "worker", "worker"]
    assert cluster.kubeconfig.exists()
    assert cluster.context == "kind-foo"
    assert tools.clusters == ["foo"]
    assert not cluster.reused


def test_nodes_pull_while_kubernetes_boots(settings: Settings, tools: Programs) -> None:
    """As soon as containerd runs in them: the workers all images, the control plane what runs there."""
    images = ["docker.io/istio/pilot:1", "docker.io/istio/ztunnel:1"]
    made = KindCluster(settings.model_copy(update={"cluster_name": "foo", "workers": 2}), IMAGE, images)

    made.create()

    by_node: dict[str, list[str]] = {}
    for call in tools.calls("docker", "--detach"):
        by_node.setdefault(next(word for word in call.argv if word.startswith("foo-")), []).extend(
            word for word in call.argv if word in images
        )
    assert {node: sorted(found) for node, found in by_node.items()} == {
        "foo-control-plane": images[1:],
        "foo-worker": images,
        "foo-worker2": images,
    }


@pytest.mark.parametrize("code", [0, 1])
def test_charts_are_pulled_while_kubernetes_boots(settings: Settings, tools: Programs, code: int) -> None:
    """A chart that cannot be had then is no end: its release says so when it is its turn."""
    tools.answer("helm", "pull", code=code)
    chart = Chart("base", "oci://r.io/base", "1.29.1")

    KindCluster(settings.model_copy(update={"cluster_name": "foo"}), IMAGE, charts=[chart]).create()

    assert tools.call("helm", "pull").argv[1:4] == ["oci://r.io/base", "--version", "1.29.1"]
    assert tools.clusters == ["foo"]


def test_registry_that_does_not_answer_comes_first(settings: Settings, tools: Programs) -> None:
    """Before a cluster or a record of one is made."""
    with pytest.raises(BadInput, match="localhost:1 does not answer"):
        KindCluster(settings, IMAGE, registry=PrivateRegistry("localhost:1", plain_http=True)).create()

    assert tools.clusters == []
    assert cluster_records.read_records(settings.state) == []


def test_cluster_is_recorded_as_ours(settings: Settings) -> None:
    """The record names the cluster and this process."""
    kind(settings).create()

    (record,) = cluster_records.read_records(settings.state)
    assert (record.kind, record.name, record.pid, record.is_alive) == ("kind", "foo", os.getpid(), True)


def test_named_programs_are_run(settings: Settings, tools: Programs) -> None:
    """The kind program may go by another name."""
    tools.have("kind-0.31")
    tools.lose("kind")

    kind(settings, kind_bin="kind-0.31").create()

    assert tools.calls("kind-0.31", "create")


def test_record_is_written_before_anything_is_made(settings: Settings, tools: Programs) -> None:
    """If `kind create` fails half-way, the record is there for `make clean` to find."""
    tools.answer("kind", "create", err="ERROR: failed to create cluster: node(s) already exist\n", code=1)

    with pytest.raises(CommandFailed, match="failed to create cluster"):
        kind(settings).create()

    assert [r.name for r in cluster_records.read_records(settings.state)] == ["foo"]
    assert tools.clusters == ["foo"]
    kind(settings).delete()
    assert tools.clusters == []


def test_interrupted_creation_ends_kind_and_leaves_a_record(settings: Settings, tools: Programs) -> None:
    """Ctrl-C during `kind create` ends kind, and what it left is found by the record."""
    tools.answer("kind", "create", hang=2 * SOON)

    def interrupt() -> None:
        until(lambda: tools.calls("kind", "create"), bool, what="kind runs", within=SOON, every=0.01)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        kind(settings).create()

    running = tools.call("kind", "create").pid
    until(
        lambda: Path(f"/proc/{running}").exists(), lambda there: not there, what="kind ended", within=SOON, every=0.01
    )
    assert [r.name for r in cluster_records.read_records(settings.state)] == ["foo"]


def test_killed_run_is_reaped(settings: Settings, tools: Programs) -> None:
    """What a killed process was making is taken away by its record, and nothing else is."""
    code = f"""
import sys
sys.path.insert(0, {str(Path.cwd())!r})
from pathlib import Path
from harness.cluster.kind import KindCluster
from harness.settings import Settings
KindCluster(Settings(state=Path({str(settings.state)!r}), cluster_name="foo"), {IMAGE!r}).create()
"""
    tools.clusters = ["somebodys"]
    tools.answer("kind", "create", hang=2 * SOON)
    run = subprocess.Popen([sys.executable, "-c", code])
    until(lambda: tools.calls("kind", "create"), bool, what="kind runs", within=SOON, every=0.01)
    (record,) = cluster_records.read_records(settings.state)
    assert record.is_alive
    run.kill()
    run.wait()
    os.kill(tools.call("kind", "create").pid, signal.SIGKILL)
    tools.clusters = ["somebodys", "foo"]  # as --retain leaves it

    reaped = reaper.delete_left_clusters(settings)

    assert [(one.record.name, one.outcome) for one in reaped] == [("foo", "gone")]
    assert tools.clusters == ["somebodys"]
    assert cluster_records.read_records(settings.state) == []


def test_cluster_of_exactly_this_name_is_reused(
    settings: Settings, tools: Programs, notes: list[tuple[str, str]]
) -> None:
    """One of ours that is there is taken as it is, and that is reported."""
    ours(settings)
    tools.clusters = ["foo-2", "foo"]
    cluster = kind(settings)

    cluster.create()

    assert tools.calls("kind", "create") == []
    exported = tools.call("kind", "export")
    assert (exported.after("--name"), exported.after("--kubeconfig")) == ("foo", str(cluster.kubeconfig))
    assert cluster.reused
    assert any("reused" in text for _, text in notes)


def test_api_server_of_a_reused_cluster_goes_on(settings: Settings, tools: Programs) -> None:
    """A run that was killed while it had it stopped left it so."""
    ours(settings)
    tools.clusters = ["foo"]

    kind(settings).create()

    assert "-CONT" in tools.call("docker", "pkill").argv


@pytest.mark.parametrize("others", [["foo-2"], ["a-foo"], ["foofoo"], ["fo", "oo"]])
def test_cluster_of_another_name_is_not(settings: Settings, tools: Programs, others: list[str]) -> None:
    """foo is not foo-2."""
    ours(settings)
    tools.clusters = others

    kind(settings).create()

    assert tools.clusters == [*others, "foo"]


def test_cluster_that_we_did_not_make_is_refused(settings: Settings, tools: Programs) -> None:
    """A cluster without our record is somebody's: it is not used."""
    tools.clusters = ["foo"]
    ours(settings, "foo-2")

    with pytest.raises(BadInput, match="a kind cluster named foo exists, but this harness did not create it") as caught:
        kind(settings).create()

    assert "CLUSTER_NAME" in caught.value.remedy
    assert tools.calls("kind", "export") == []
    assert [r.name for r in cluster_records.read_records(settings.state)] == ["foo-2"]


def test_refused_cluster_survives_the_undoing(settings: Settings, tools: Programs) -> None:
    """Whoever fails to create deletes afterwards: somebody's cluster is there all the same."""
    tools.clusters = ["foo"]
    cluster = kind(settings)
    with pytest.raises(BadInput):
        cluster.create()

    cluster.delete()

    assert tools.clusters == ["foo"]
    assert tools.calls("kind", "delete") == []


def test_users_own_of_the_same_name_is_refused(settings: Settings, tools: Programs) -> None:
    """Ours was deleted and another made of its name by hand: that one is neither used nor taken away."""
    control_plane = ("docker", "container", "inspect", "foo-control-plane")
    tools.answer(*control_plane, out="0a1b\n")
    kind(settings).create()
    (record,) = cluster_records.read_records(settings.state)
    assert record.details == {"container": "0a1b"}
    cluster_records.write_record(settings.state, Record("kind", "foo", 2**22 + 1, time.time(), record.details))
    tools.answer(*control_plane, out="2c3d\n")
    cluster = kind(settings)

    with pytest.raises(BadInput, match="a kind cluster named foo exists, but this harness did not create it"):
        cluster.create()
    cluster.delete()

    assert tools.clusters == ["foo"]
    assert tools.calls("kind", "delete") == []
    assert cluster_records.read_records(settings.state) == []


@pytest.mark.parametrize("now", ["0a1b\n", ""], ids=["the same", "half gone"])
def test_ours_is_known_by_its_container(settings: Settings, tools: Programs, now: str) -> None:
    """The one that was recorded goes, also where its control plane's container went before."""
    cluster_records.write_record(settings.state, Record("kind", "foo", 2**22 + 1, time.time(), {"container": "0a1b"}))
    tools.clusters = ["foo"]
    tools.answer("docker", "container", "inspect", out=now, code=0 if now else 1)

    kind(settings).delete()

    assert tools.clusters == []


def test_cluster_in_use_is_refused(settings: Settings, tools: Programs, other_process: int) -> None:
    """One that another run uses now is not taken, nor deleted, nor is its record."""
    ours(settings, pid=other_process)
    tools.clusters = ["foo"]
    cluster = kind(settings)

    with pytest.raises(BadInput, match=f"kind cluster foo is in use by process {other_process}"):
        cluster.create()
    cluster.delete()

    assert tools.clusters == ["foo"]
    (record,) = cluster_records.read_records(settings.state)
    assert record.pid == other_process


def test_own_cluster_may_be_asked_for_again(settings: Settings, tools: Programs) -> None:
    """The process that made it may create it again: it is reused."""
    kind(settings).create()
    cluster = kind(settings)

    cluster.create()

    assert cluster.reused
    assert len(tools.calls("kind", "create")) == 1


def test_node_image_that_cannot_be_had_is_bad_input(settings: Settings, tools: Programs) -> None:
    """Neither in Docker nor to be pulled: said before anything is made, with what to do."""
    tools.answer("docker", "inspect", code=1, err="No such image")
    tools.answer("docker", "pull", code=1, err="Error: dial tcp: lookup registry-1.docker.io: no such host")

    with pytest.raises(
        BadInput, match=rf"node image {IMAGE} is neither in Docker nor to be pulled: .*no such host"
    ) as caught:
        kind(settings).create()

    assert caught.value.exit_code == 2
    assert "NODE_IMAGE" in caught.value.remedy
    assert tools.calls("kind", "create") == []
    assert tools.clusters == []
    assert cluster_records.read_records(settings.state) == []


def test_node_image_is_pulled_where_it_lacks(settings: Settings, tools: Programs, notes: list[tuple[str, str]]) -> None:
    """An image that Docker lacks is pulled before kind would, and that is reported."""
    tools.answer("docker", "inspect", code=1)

    kind(settings).create()

    assert tools.call("docker", "pull").argv[-1] == IMAGE
    assert any("pulling it" in text for _, text in notes)


@pytest.mark.parametrize("program", ["docker", "kind", "helm", "kubectl"])
def test_missing_program_is_reported_before_anything_is_made(settings: Settings, tools: Programs, program: str) -> None:
    """Each program that a run takes is looked for first, and fetched only where there is a way to it."""
    tools.lose(program)

    with pytest.raises(BadInput, match=rf"^`docker` is not on PATH|^{program} v.* cannot be fetched"):
        kind(settings).create()

    assert tools.clusters == []


def test_docker_that_does_not_answer(settings: Settings, tools: Programs) -> None:
    """A Docker that is not started is bad input."""
    tools.answer("docker", "version", code=1, err="Cannot connect to the Docker daemon")

    with pytest.raises(BadInput, match="Docker does not answer"):
        kind(settings).create()


def test_delete_takes_the_cluster_and_forgets_it(settings: Settings, tools: Programs) -> None:
    """After it neither cluster, kubeconfig nor record is left; other clusters are."""
    tools.clusters = ["foo-2"]
    ours(settings, "foo-2")
    cluster = kind(settings)
    cluster.create()

    cluster.delete()
    cluster.delete()

    assert tools.clusters == ["foo-2"]
    assert not cluster.kubeconfig.exists()
    assert [r.name for r in cluster_records.read_records(settings.state)] == ["foo-2"]
    assert tools.call("kind", "delete").after("--name") == "foo"


def test_delete_that_fails_keeps_the_record(settings: Settings, tools: Programs) -> None:
    """A cluster that could not be taken away is still known."""
    cluster = kind(settings)
    cluster.create()
    tools.answer("kind", "delete", code=1, err="docker: permission denied")

    with pytest.raises(CommandFailed):
        cluster.delete()

    assert [r.name for r in cluster_records.read_records(settings.state)] == ["foo"]


@pytest.mark.parametrize("variable", [False, True], ids=["HOME", "KUBECONFIG"])
def test_users_kubeconfig_is_not_touched(
    settings: Settings, tools: Programs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: bool
) -> None:
    """Neither ~/.kube/config nor the file of KUBECONFIG is written: making, reusing, deleting."""
    users = tmp_path / "home" / ".kube" / "config"
    if variable:
        users = tmp_path / "users"
        monkeypatch.setenv("KUBECONFIG", str(users))
    users.parent.mkdir(exist_ok=True)
    users.write_text("the user's own")

    kind(settings).create()
    kind(settings).create()
    kind(settings).delete()

    assert users.read_text() == "the user's own"
    assert list((tmp_path / "home").rglob("config")) in ([], [users])


# -- a cluster that stands -----------------------------------------------------------------------------------------


def archives(folder: Path, *names: str) -> list[Path]:
    """Image archives."""
    for name in names:
        (folder / name).write_text(name)
    return [folder / name for name in names]


def test_images_go_to_the_nodes_that_run_them(settings: Settings, tools: Programs, tmp_path: Path) -> None:
    """Every archive goes to each worker; the control plane takes what is scheduled there only."""
    tools.nodes = ["foo-control-plane", "foo-worker"]
    tools.answer("docker", "exec", "ls", code=2)

    kind(settings).load_images(archives(tmp_path, "pilot.tar", "ztunnel.tar"))

    loaded = {(Path(c.argv[2]).name, c.after("--nodes")) for c in tools.calls("kind", "load")}
    assert loaded == {
        ("pilot.tar", "foo-worker"), ("ztunnel.tar", "foo-worker"), ("ztunnel.tar", "foo-control-plane"),
    }  # fmt: skip


def test_images_go_everywhere_when_asked(settings: Settings, tools: Programs, tmp_path: Path) -> None:
    """The control plane takes them as well: something of theirs is about to be put there."""
    tools.nodes = ["foo-control-plane", "foo-worker"]
    tools.answer("docker", "exec", "ls", code=2)

    kind(settings).load_images(archives(tmp_path, "envoy.tar"), everywhere=True)

    assert {c.after("--nodes") for c in tools.calls("kind", "load")} == {"foo-control-plane", "foo-worker"}


def test_single_node_takes_every_image(settings: Settings, tools: Programs, tmp_path: Path) -> None:
    """A control plane alone runs everything."""
    tools.nodes = ["foo-control-plane"]
    tools.answer("docker", "exec", "ls", code=2)

    kind(settings).load_images(archives(tmp_path, "pilot.tar", "ztunnel.tar"))

    assert len(tools.calls("kind", "load")) == 2


def test_image_that_a_node_has_is_not_loaded_again(settings: Settings, tools: Programs, tmp_path: Path) -> None:
    """A node that has our mark of an archive is left alone; an archive that changed is loaded again."""
    tools.nodes = ["foo-worker"]
    tools.answer("docker", "exec", "ls", code=2)
    files = archives(tmp_path, "pilot.tar")
    kind(settings).load_images(files)
    mark = Path(tools.call("docker", "mkdir").argv[-1]).name
    tools.answer("docker", "exec", "ls", out=f"{mark}\n")

    kind(settings).load_images(files)
    assert len(tools.calls("kind", "load")) == 1
    files[0].write_text("another image")
    kind(settings).load_images(files)
    assert len(tools.calls("kind", "load")) == 2


def test_image_that_cannot_be_loaded_fails_the_step(settings: Settings, tools: Programs, tmp_path: Path) -> None:
    """kind's own words are in the error, and the node is not marked."""
    tools.nodes = ["foo-worker"]
    tools.answer("docker", "exec", "ls", code=2)
    tools.answer("kind", "load", code=1, err="ERROR: no space left on device")

    with pytest.raises(CommandFailed, match="no space left on device"):
        kind(settings).load_images(archives(tmp_path, "pilot.tar"))

    assert tools.calls("docker", "mkdir") == []


def test_no_archives_no_loads(settings: Settings, tools: Programs) -> None:
    """Without a bundle nothing is loaded."""
    tools.nodes = ["foo-worker"]

    kind(settings).load_images([])

    assert tools.calls("kind", "load") == []


def test_helm_speaks_to_this_cluster(settings: Settings, tools: Programs) -> None:
    """Releases are installed through our kubeconfig and context."""
    cluster = kind(settings)
    tools.answer("helm", "version", out="v3.19.0")
    tools.answer("helm", "list", out="[]")

    cluster.install(Release("base", "base.tgz", "1.29.1", "istio-system", {"a": 1}))
    cluster.uninstall(Release("base", "base.tgz", "1.29.1", "istio-system"))

    made = tools.call("helm", "upgrade")
    assert made.env["KUBECONFIG"] == str(cluster.kubeconfig)
    assert made.after("--kube-context") == "kind-foo"
    assert json.loads(made.stdin) == {"a": 1}
    assert tools.call("helm", "uninstall").argv[1] == "base"


def test_facts_name_the_tools(settings: Settings, tools: Programs) -> None:
    """A report has the versions of kind and Docker, the node image and the number of nodes."""
    tools.answer("kind", "version", out="kind v0.31.0\n")
    tools.answer("docker", "version", out="28.0.1\n")

    assert kind(settings, workers=1).facts() == {
        "kind": "kind v0.31.0", "docker": "28.0.1", "node image": IMAGE, "nodes": "2",
    }  # fmt: skip


def test_node_logs_are_gathered(settings: Settings, tools: Programs, tmp_path: Path) -> None:
    """kind exports its nodes' logs below the folder."""
    kind(settings).gather(tmp_path)

    assert tools.call("kind", "export").argv[2] == str(tmp_path / "kind")


@pytest.mark.parametrize("fault", ["fails", "is gone", "has no folder"])
def test_gathering_never_raises(settings: Settings, tools: Programs, tmp_path: Path, fault: str) -> None:
    """Evidence is best effort: a failure is written down where that is possible."""
    into = tmp_path / "into"
    if fault != "has no folder":
        into.mkdir()
    if fault == "is gone":
        tools.lose("kind")
    tools.answer("kind", "export", code=1, err="ERROR: unknown cluster")

    kind(settings).gather(into)

    assert fault == "has no folder" or "kind" in (into / "kind-export-failed.txt").read_text()


@pytest.mark.parametrize("found", ["v1.33.1\n", "v1.34.40"])
def test_kept_cluster_of_another_kubernetes_is_refused(settings: Settings, tools: Programs, found: str) -> None:
    """A report would state a version that does not run. It stays, also when the refused run ends."""
    tools.clusters, tools.nodes = ["foo"], ["foo-control-plane", "foo-worker"]
    ours(settings)
    tools.answer("docker", "exec", "foo-control-plane", "/kind/version", out=found)
    cluster = KindCluster(settings.model_copy(update={"cluster_name": "foo"}), IMAGE, kubernetes="1.34.4")

    with pytest.raises(BadInput, match=f"kept with Kubernetes {found.strip()[1:]}, the version set says 1.34.4") as no:
        cluster.create()
    cluster.delete()

    assert "make clean" in no.value.remedy
    assert tools.clusters == ["foo"]


@pytest.mark.parametrize(
    ("found", "asked"),
    [("v1.34.4\n", "1.34.4"), ("v1.34.4+own", "1.34.4"), ("v1.33.1", ""), ("", "1.34.4")],
    ids=["the same", "built by oneself", "any is right with a node image of one's own", "cannot be told"],
)
def test_kept_cluster_of_the_sets_kubernetes_is_reused(
    settings: Settings, tools: Programs, found: str, asked: str
) -> None:
    tools.clusters, tools.nodes = ["foo"], ["foo-control-plane"]
    ours(settings)
    tools.answer("docker", "exec", "/kind/version", out=found, code=0 if found else 1)
    cluster = KindCluster(settings.model_copy(update={"cluster_name": "foo"}), IMAGE, kubernetes=asked)

    cluster.create()

    assert cluster.reused
    assert not tools.calls("kind", "create")


def test_half_made_cluster_is_created_again(settings: Settings, tools: Programs, notes: list[tuple[str, str]]) -> None:
    """What a run left that was killed inside `kind create` is taken away and made again, not reused."""
    tools.answer("kind", "create", code=1, err="killed")
    with pytest.raises(CommandFailed):
        kind(settings).create()
    tools.clusters = ["foo"]
    tools.answer("kind", "create")
    cluster = kind(settings)

    cluster.create()

    assert not cluster.reused
    assert tools.call("kind", "delete").after("--name") == "foo"
    assert any("left incomplete" in text for _, text in notes)


@pytest.mark.parametrize(("workers", "cannot"), [(1, []), (0, ["two nodes"]), (2, ["two nodes"])])
def test_what_needs_two_nodes_is_judged_on_two(settings: Settings, workers: int, cannot: list[str]) -> None:
    """Elsewhere a proxy that is replaced may come up on a node that the client outside does not ask."""
    assert [one for one in kind(settings, workers=workers).cannot_judge if one.endswith("nodes")] == cannot


def test_load_balancer_has_addresses_of_its_nodes_network(settings: Settings, tools: Programs) -> None:
    """With LB=1 its claims are judged and those about a cluster without one are not; without LB=1 it is the reverse."""
    networks = {"kind": {"IPAddress": "172.18.0.2", "IPPrefixLen": 16, "GlobalIPv6Address": ""}}
    tools.answer("docker", "inspect", "foo-control-plane", out=json.dumps(networks))

    with_one, without = kind(settings, lb=True), kind(settings)

    assert with_one.address_pools == ["172.18.255.232-172.18.255.239"]
    assert list(with_one.cannot_judge) == ["no load balancer", "replicas"]
    assert (without.address_pools, list(without.cannot_judge)) == ((), ["load balancer", "replicas"])
