"""Somebody's cluster: by its context's exact name, looked at before anything else, little touched."""

import json
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness import cluster_records, reaper, timeouts, version_sets
from harness.cluster.choose import choose_cluster
from harness.cluster.existing import ExistingCluster
from harness.cluster.kind import KindCluster
from harness.cluster.protocol import Release
from harness.errors import BadInput, CommandFailed
from harness.kube import Kube
from harness.objects.kind_namespace_name import ref_of
from harness.objects.namespace_mapping import MANAGED_BY, Placement
from harness.settings import Settings
from harness.undo.undo_log import UndoLog
from tests.fakes.api import FakeApi, named
from tests.fakes.programs import Programs

BASE = Release("base", "oci://x/base", "1.29.1", "istio-system", {"a": 1})


@pytest.fixture(autouse=True)
def tools(programs: Programs) -> Programs:
    """What an existing cluster takes."""
    programs.have("kubectl", "helm")
    programs.answer("helm", "version", out="v4.0.0")
    programs.answer("helm", "list", out="[]")
    return programs


@pytest.fixture
def asked(settings: Settings, api: FakeApi, tmp_path: Path) -> dict[str, Any]:
    """What is asked for: the fake server's context."""
    return {"cluster": "existing", "kubeconfig": api.kubeconfig(tmp_path / "theirs"), "context": "fake"}


GUEST = named("Service/default/guest")


def existing(settings: Settings, asked: dict[str, Any], **changes: object) -> ExistingCluster:
    """That cluster."""
    return ExistingCluster(settings.model_copy(update=asked | changes))


def releases(tools: Programs, *names: str) -> None:
    """What helm lists."""
    listed = [dict(zip(("namespace", "name"), n.split("/"), strict=True), chart="x", status="deployed") for n in names]
    tools.answer("helm", "list", out=json.dumps(listed))


def test_context_must_be_named(settings: Settings, asked: dict[str, Any]) -> None:
    """The current context is never assumed."""
    with pytest.raises(BadInput, match="selected by the exact name of its context") as caught:
        existing(settings, asked, context="")

    assert "CONTEXT=name" in caught.value.remedy


def test_kubeconfig_must_be_there(settings: Settings, asked: dict[str, Any], tmp_path: Path) -> None:
    """A missing file is named; without one the user's own is meant."""
    with pytest.raises(BadInput, match=r"kubeconfig .*gone does not exist"):
        existing(settings, asked, kubeconfig=tmp_path / "gone")
    with pytest.raises(BadInput, match=r"home/\.kube/config does not exist"):
        existing(settings, asked, kubeconfig=None)


def test_cluster_is_looked_at_and_nothing_is_made(settings: Settings, asked: dict[str, Any], api: FakeApi) -> None:
    """Creating asks for the version, and changes nothing."""
    cluster = existing(settings, asked)

    cluster.create()

    assert cluster.facts() == {
        "context": "fake",
        "namespace": "mesh-e2e",
        "kubernetes": "1.34.4",
        "installs": "false",
    }
    assert {seen.method for seen in api.requests} == {"GET"}
    assert (cluster.kind, cluster.name, cluster.context) == ("existing", "fake", "fake")


def test_run_is_recorded_though_it_installs_nothing(settings: Settings, asked: dict[str, Any]) -> None:
    """Its tests apply things: `make clean` finds what a killed one left by its record."""
    existing(settings, asked).create()

    (record,) = cluster_records.read_records(settings.state)
    assert (record.kind, record.pid, record.details["context"]) == ("existing", os.getpid(), "fake")


def test_doctor_checks_what_earlier_runs_left(settings: Settings, asked: dict[str, Any]) -> None:
    """A stack that was kept of another version set is rejected by the check that `mesh-e2e doctor` runs too."""
    cluster = ExistingCluster(settings.model_copy(update=asked), label="this set")
    check = next(one.check for one in cluster.requirements if one.what == "earlier runs there")
    assert check() == "nothing of theirs is left"
    record = cluster_records.Record("existing", cluster.home.name.removeprefix("existing-"), 2**22 + 1, time.time())
    cluster_records.write_record(settings.state, replace(record, details={"set": "another set"}))
    (cluster.home / "release-istio-system-istiod").touch()

    with pytest.raises(BadInput, match="was kept with set another set, this run asks for set this set"):
        check()


def test_cluster_in_use_is_refused(settings: Settings, asked: dict[str, Any], api: FakeApi, other_process: int) -> None:
    """Two runs would undo each other: the second is reported, and takes nothing away when it ends."""
    existing(settings, asked).create()
    (record,) = cluster_records.read_records(settings.state)
    theirs = replace(record, pid=other_process, made=time.time())
    cluster_records.write_record(settings.state, theirs)
    cluster = existing(settings, asked, install=True)
    cluster.remember([GUEST])
    api.put(GUEST)

    with pytest.raises(BadInput, match=f"namespace mesh-e2e of context fake is in use by process {other_process}"):
        cluster.create()
    cluster.delete()

    assert "Service/default/guest" in api.objects
    assert cluster_records.read_records(settings.state) == [theirs]


def test_what_a_killed_run_applied_is_reaped(settings: Settings, asked: dict[str, Any], api: FakeApi) -> None:
    """Also of a run that installed nothing: what its tests had applied goes, what was there before stays."""
    api.put(named("Service/default/theirs"))
    cluster = existing(settings, asked)
    cluster.create()
    kube = Kube(cluster.kubeconfig, cluster.context)
    UndoLog(cluster.home / cluster_records.APPLIED).remember(kube, [GUEST, named("Service/default/theirs")])
    api.put(GUEST)
    (record,) = cluster_records.read_records(settings.state)
    cluster_records.write_record(settings.state, replace(record, pid=2**22 + 1))

    reaped = reaper.delete_left_clusters(settings)

    assert [one.outcome for one in reaped] == ["gone"]
    assert set(api.objects) == {"Service/default/theirs"}
    assert reaper.delete_left_clusters(settings) == []


def test_runs_in_two_namespaces_go_side_by_side(settings: Settings, asked: dict[str, Any], api: FakeApi) -> None:
    """Each has a record and notes of its own, and what one made stays when the other's is taken away."""
    names, clusters = ("one", "two"), {}
    for name in names:
        clusters[name] = existing(settings, asked, namespace=name)
        clusters[name].create()
        clusters[name].remember([named(f"Namespace/{name}")])
        api.put(named(f"Namespace/{name}"))
    by_name = {one.details["namespace"]: one for one in cluster_records.read_records(settings.state)}
    assert sorted(by_name) == ["one", "two"]
    cluster_records.write_record(settings.state, replace(by_name["two"], pid=2**22 + 1))

    reaped = reaper.delete_left_clusters(settings)

    assert [one.record.details["namespace"] for one in reaped if one.outcome == "gone"] == ["two"]
    assert set(api.objects) == {"Namespace/one"}
    clusters["one"].delete()
    assert api.objects == {}


@pytest.mark.parametrize(
    ("name", "labels", "taken"),
    [
        ("team-a", {}, False),
        ("team-a", {"app.kubernetes.io/managed-by": "helm"}, False),
        ("team-a", Placement("team-a").labels, False),
        ("team-a-elsewhere", {}, False),
        ("team-a", MANAGED_BY, True),
        ("another", {}, True),
    ],
)
def test_namespace_of_others_is_refused(
    settings: Settings, asked: dict[str, Any], api: FakeApi, name: str, labels: dict[str, str], taken: bool
) -> None:
    """One that is there is used only if its label gives it to runs, and no run of elsewhere is in it."""
    theirs = named(f"Namespace/{name}")
    theirs["metadata"]["labels"] = dict(labels)
    api.put(theirs)
    cluster = existing(settings, asked, namespace="team-a")

    if taken:
        cluster.create()
    else:
        with pytest.raises(BadInput, match=f"namespace {name} exists") as refused:
            cluster.create()
        assert "NAMESPACE=name" in refused.value.remedy
        assert cluster_records.read_records(settings.state) == []
    assert {seen.method for seen in api.requests} == {"GET"}


def test_namespace_that_a_killed_run_left_is_its_own(settings: Settings, asked: dict[str, Any], api: FakeApi) -> None:
    """By the notes on this machine; the next run takes it over."""
    cluster = existing(settings, asked)
    cluster.create()
    left = Placement("mesh-e2e").document(named("Namespace/default"))
    cluster.remember([left])
    api.put(left)

    existing(settings, asked).create()

    assert "Namespace/mesh-e2e" in api.objects


def definition(version: str, channel: str = "experimental") -> dict[str, Any]:
    """A definition of the Gateway API."""
    values = {"gateway.networking.k8s.io/bundle-version": version, "gateway.networking.k8s.io/channel": channel}
    name = "CustomResourceDefinition/gateways.gateway.networking.k8s.io"
    return named(name, metadata={"annotations": {key: value for key, value in values.items() if value}})


@pytest.mark.parametrize("there", [("v1.3.0", "experimental"), ("v1.4.1", "standard"), ("", "")])
def test_another_gateway_api_is_not_written_over(
    settings: Settings, asked: dict[str, Any], api: FakeApi, there: tuple[str, str]
) -> None:
    """Somebody's definitions of another version or channel serve others too: told, and left."""
    api.put(definition(*there))

    with pytest.raises(
        BadInput, match=r"is installed, and this version set has that of v1\.4\.1 experimental"
    ) as caught:
        existing(settings, asked, install=True).remember([definition("v1.4.1")])

    assert "VERSIONS=" in caught.value.remedy
    assert {seen.method for seen in api.requests} == {"GET"}


def test_the_same_gateway_api_or_our_own_is(settings: Settings, asked: dict[str, Any], api: FakeApi) -> None:
    """The same one is as it was; one that we brought may be brought in another version."""
    api.put(definition("v1.4.1"))
    cluster = existing(settings, asked, install=True)
    cluster.remember([definition("v1.4.1")])
    del api.objects[str(ref_of(definition("v1.4.1")))]

    cluster.remember([definition("v1.4.1")])
    api.put(definition("v1.4.1"))
    cluster.remember([definition("v1.6.1")])


def test_unknown_context_is_bad_input(settings: Settings, asked: dict[str, Any]) -> None:
    """A misspelt context is reported, with how to list them; the current one is not taken instead."""
    with pytest.raises(BadInput, match="context 'fakes'") as caught:
        existing(settings, asked, context="fakes").create()

    assert "get-contexts" in caught.value.remedy


def test_unreachable_server_is_bad_input(
    settings: Settings, asked: dict[str, Any], api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that does not answer is reported before anything is made."""
    monkeypatch.setattr(timeouts, "API", 0.02)
    api.hang("GET", "", 1)

    with pytest.raises(BadInput, match=r"context fake: .*did not answer") as caught:
        existing(settings, asked).create()

    assert caught.value.exit_code == 2
    assert "reachable from here" in caught.value.remedy


@pytest.mark.parametrize("code", [401, 403, 503])
def test_server_that_refuses_us_is_bad_input(
    settings: Settings, asked: dict[str, Any], api: FakeApi, code: int
) -> None:
    """Credentials that ran out are the asker's to renew."""
    api.refuse("GET", "", code, "Unauthorized")

    with pytest.raises(BadInput, match=f"{code}.* Unauthorized"):
        existing(settings, asked).create()


def test_something_else_at_that_address_is_bad_input(settings: Settings, asked: dict[str, Any], api: FakeApi) -> None:
    """A server that is not Kubernetes is reported."""
    api.page = "<html>"

    with pytest.raises(BadInput, match=r"http://127.* is not a Kubernetes API server"):
        existing(settings, asked).create()


@pytest.mark.parametrize(("install", "program"), [(False, "kubectl"), (True, "helm")])
def test_missing_program_is_bad_input(
    settings: Settings, asked: dict[str, Any], tools: Programs, install: bool, program: str
) -> None:
    """kubectl is needed in any case, helm only to install."""
    tools.lose(program)

    with pytest.raises(BadInput, match=rf"^{program} v.* cannot be fetched"):
        existing(settings, asked, install=install).create()


def test_helm_is_not_needed_to_look(settings: Settings, asked: dict[str, Any], tools: Programs) -> None:
    """Without INSTALL helm may be missing."""
    tools.lose("helm")

    existing(settings, asked).create()


def test_nothing_is_installed_unless_told_to(settings: Settings, asked: dict[str, Any], tools: Programs) -> None:
    """Without INSTALL no release is touched."""
    cluster = existing(settings, asked)

    cluster.install(BASE)
    cluster.uninstall(BASE)
    cluster.delete()

    assert tools.calls("helm") == []


def test_told_to_it_installs(settings: Settings, asked: dict[str, Any], tools: Programs) -> None:
    """With INSTALL a release is put in, at the named context."""
    existing(settings, asked, install=True).install(BASE)

    made = tools.call("helm", "upgrade")
    assert made.argv[2] == "base"
    assert made.after("--kube-context") == "fake"
    assert made.env["KUBECONFIG"] == str(asked["kubeconfig"])


def test_release_that_is_not_ours_is_refused(settings: Settings, asked: dict[str, Any], tools: Programs) -> None:
    """A release that somebody installed is neither upgraded nor taken away."""
    releases(tools, "istio-system/base")
    cluster = existing(settings, asked, install=True)

    with pytest.raises(BadInput, match="release istio-system/base exists, and this harness did not install it"):
        cluster.install(BASE)
    cluster.uninstall(BASE)

    assert tools.calls("helm", "upgrade") == []
    assert tools.calls("helm", "uninstall") == []


def test_release_of_the_name_elsewhere_is_another(settings: Settings, asked: dict[str, Any], tools: Programs) -> None:
    """Names are whole: base in another namespace, or base-2 here, is no base."""
    releases(tools, "other/base", "istio-system/base-2")

    existing(settings, asked, install=True).install(BASE)

    assert tools.calls("helm", "upgrade")


def test_what_we_installed_is_ours_in_the_next_run(settings: Settings, asked: dict[str, Any], tools: Programs) -> None:
    """A release left by a killed run is upgraded, and taken away."""
    existing(settings, asked, install=True).install(BASE)
    releases(tools, "istio-system/base")
    cluster = existing(settings, asked, install=True)

    cluster.install(BASE)
    cluster.uninstall(BASE)

    assert len(tools.calls("helm", "upgrade")) == 2
    assert tools.call("helm", "uninstall").argv[1:4] == ["base", "--namespace", "istio-system"]


def test_release_is_uninstalled_once(settings: Settings, asked: dict[str, Any], tools: Programs) -> None:
    """What was taken away is no longer ours."""
    cluster = existing(settings, asked, install=True)
    cluster.install(BASE)

    cluster.uninstall(BASE)
    cluster.uninstall(BASE)

    assert len(tools.calls("helm", "uninstall")) == 1


def test_failed_install_is_ours_to_take_away(settings: Settings, asked: dict[str, Any], tools: Programs) -> None:
    """A release that helm left half made is uninstalled all the same."""
    tools.answer("helm", "upgrade", code=1, err="Error: context deadline exceeded")
    cluster = existing(settings, asked, install=True)

    with pytest.raises(CommandFailed):
        cluster.install(BASE)
    cluster.uninstall(BASE)

    assert tools.calls("helm", "uninstall")


def test_failed_uninstall_stays_ours(settings: Settings, asked: dict[str, Any], tools: Programs) -> None:
    """A release that could not be taken away is still known to be ours."""
    cluster = existing(settings, asked, install=True)
    cluster.install(BASE)
    tools.answer("helm", "uninstall", code=1, err="Error: Kubernetes cluster unreachable")

    with pytest.raises(CommandFailed):
        cluster.uninstall(BASE)
    releases(tools, "istio-system/base")

    existing(settings, asked, install=True).install(BASE)
    assert len(tools.calls("helm", "upgrade")) == 2


def test_same_context_name_in_another_file_is_another_cluster(
    settings: Settings, asked: dict[str, Any], tools: Programs, api: FakeApi, tmp_path: Path
) -> None:
    """Marks of releases are of one cluster: kubeadm calls every cluster's context the same."""
    existing(settings, asked, install=True).install(BASE)
    releases(tools, "istio-system/base")
    other = existing(settings, asked, install=True, kubeconfig=api.kubeconfig(tmp_path / "other"))

    with pytest.raises(BadInput, match="this harness did not install it"):
        other.install(BASE)


def test_contexts_that_look_alike_are_different(settings: Settings, asked: dict[str, Any], tools: Programs) -> None:
    """a/b and a-b are two contexts, and names may be long."""
    file = asked["kubeconfig"]
    file.write_text(file.read_text().replace("fake", "arn:aws:eks/prod"))
    one = existing(settings, asked, install=True, context="arn:aws:eks/prod")
    one.install(BASE)
    releases(tools, "istio-system/base")

    with pytest.raises(BadInput, match="this harness did not install it"):
        existing(settings, asked, install=True, context="arn-aws-eks-prod").install(BASE)
    existing(settings, asked, context="x" * 400)


def test_nodes_are_not_ours(settings: Settings, asked: dict[str, Any], tools: Programs, tmp_path: Path) -> None:
    """No image is loaded and no node's log taken; that is written down."""
    cluster = existing(settings, asked)

    cluster.load_images([tmp_path / "x.tar"])
    cluster.gather(tmp_path)

    assert tools.calls() == []
    assert "context fake" in (tmp_path / "existing.txt").read_text()
    assert set(cluster.cannot_judge) == {"nodes", "upgrade", "disruptive", "own mesh", "load balancer", "replicas"}


def test_releases_of_ours_are_ours_to_upgrade(settings: Settings, asked: dict[str, Any]) -> None:
    """What somebody else installed is not."""
    assert set(existing(settings, asked, install=True).cannot_judge) == {
        "nodes",
        "disruptive",
        "load balancer",
        "replicas",
    }


def test_others_are_touched_only_when_asked_for(settings: Settings, asked: dict[str, Any]) -> None:
    """The reason names the variable; nodes stay out of reach."""
    assert "DISRUPTIVE=1" in existing(settings, asked).cannot_judge["disruptive"]
    assert set(existing(settings, asked, install=True, disruptive=True, replicas=2).cannot_judge) == {
        "nodes",
        "load balancer",
    }


def test_existing_cluster_has_a_load_balancer_with_lb(settings: Settings, asked: dict[str, Any]) -> None:
    """With LB=1 its claims are judged, and those about a cluster without one are not."""
    assert set(existing(settings, asked, install=True, disruptive=True, lb=True, replicas=2).cannot_judge) == {
        "nodes",
        "no load balancer",
    }


def test_choice_is_the_settings(settings: Settings, asked: dict[str, Any]) -> None:
    """Each kind of cluster is had by its name; nothing is made by choosing."""
    row = version_sets.load().pick()

    assert isinstance(choose_cluster(settings.model_copy(update=asked), row), ExistingCluster)
    assert isinstance(choose_cluster(settings, row), KindCluster)


def test_extra_that_is_not_installed_is_reported(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The emulated cluster without its packages is bad input with what to install."""
    monkeypatch.setitem(__import__("sys").modules, "harness.cluster.emulated", None)

    with pytest.raises(BadInput, match=r"emulated cluster lacks") as caught:
        choose_cluster(settings.model_copy(update={"cluster": "emulated"}), version_sets.load().pick())

    assert "pip install -e '.[emulated]'" in caught.value.remedy  # no name that is not ours on PyPI
