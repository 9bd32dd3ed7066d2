"""What a step does to a cluster, and that all of it is taken back."""

from typing import Any

import pytest

from harness import cluster_records, version_sets
from harness.errors import BadInput, NotReady
from harness.faults.catalogue import Fault
from harness.faults.planting import Planter, with_changes, without_status
from harness.kube import Kube, ObjectMissing
from harness.settings import Settings
from harness.undo.temporary_changes import Manifests
from harness.undo.undo_log import UndoLog
from tests.fakes.api import FakeApi, named
from tests.fakes.clock import Clock
from tests.fakes.cluster import FakeCluster

ROW = version_sets.load().pick()
LABELLED = named("Namespace/default", metadata={"labels": {"mode": "ambient", "other": "stays"}})


class Emulated(FakeCluster):
    """A cluster that can be broken on purpose."""

    def fault(self, name: str, /, **parameters: Any) -> None:
        self.calls.append(("fault", {name: parameters}))

    def calm(self) -> None:
        self.calls.append(("calm", None))


def fault(*plant: dict[str, Any], **more: Any) -> Fault:
    values = {"name": "one", "broken": "It is broken.", "field": "By somebody.", "caught_by": ["a"], "says": "b"}
    return Fault.model_validate(values | {"on": ["emulated"], "plant": plant} | more)


@pytest.fixture
def planter(kube: Kube, cluster: FakeCluster, settings: Settings, clock: Clock) -> Any:
    """`planter(fault)`: of the emulated cluster unless stated otherwise."""

    def make(one: Fault, kind: str = "emulated") -> Planter:
        target = Emulated(cluster.kubeconfig, kind)
        made = Planter(
            one,
            settings.model_copy(update={"cluster": kind}),
            target,
            kube,
            Manifests(kube, ROW, UndoLog(target.home / cluster_records.APPLIED)),
        )
        made.target = target  # type: ignore[attr-defined]  # for the test to look at
        return made

    return make


def test_patch_is_taken_back(planter: Any, api: FakeApi) -> None:
    """A label that was taken off is on again, one that was put on is off, and others are not touched."""
    api.put(LABELLED)
    step = {"object": "Namespace/default", "with": {"metadata": {"labels": {"mode": None, "new": "x"}}}}
    one = planter(fault({"patch": step}))

    one.plant()
    assert api.objects["Namespace/default"]["metadata"]["labels"] == {"other": "stays", "new": "x"}
    one.undo()

    assert api.objects["Namespace/default"]["metadata"]["labels"] == {"mode": "ambient", "other": "stays"}


def test_patched_object_that_went_is_let_go(planter: Any, api: FakeApi) -> None:
    """It went with the fixture that had made it."""
    api.put(LABELLED)
    one = planter(fault({"patch": {"object": "Namespace/default", "with": {"metadata": {"labels": {"mode": None}}}}}))

    one.plant()
    api.objects.clear()
    one.undo()

    assert api.objects == {}


def test_deleted_is_put_back(planter: Any, api: FakeApi) -> None:
    """As somebody would apply it: without its status and what the server had added."""
    api.put(named("EnvoyProxy/default/ingress", spec={"concurrency": 1}, status={"x": 1}, metadata={"uid": "7"}))
    one = planter(fault({"delete": {"object": "EnvoyProxy/default/ingress"}}))

    one.plant()
    assert api.objects == {}
    one.undo()

    back = api.objects["EnvoyProxy/default/ingress"]
    assert back["spec"] == {"concurrency": 1}
    assert "status" not in back


def test_applied_is_taken_away_and_may_not_be_there(planter: Any, api: FakeApi) -> None:
    """What a fault brings goes with it; what is there already is not its own to take away."""
    route = named("HTTPRoute/default/rival", spec={})
    one = planter(fault({"apply": [route]}))

    one.plant()
    assert "HTTPRoute/default/rival" in api.objects
    with pytest.raises(BadInput, match="which already exists"):
        one.plant()
    one.undo()

    assert api.objects == {}


def test_scaled_is_awaited(planter: Any, api: FakeApi) -> None:
    """The pods must be as many as asked for; they are awaited, not assumed."""
    labels = {"app": "x"}
    api.put(
        named("Deployment/default/x", spec={"replicas": 1, "selector": {"matchLabels": labels}}),
        named("Pod/default/x-1", metadata={"labels": labels}, status={"phase": "Running"}),
    )
    one = planter(fault({"scale": {"object": "Deployment/default/x", "replicas": 0}}))

    with pytest.raises(NotReady, match="Deployment/default/x has 0 pods"):
        one.plant()
    assert api.objects["Deployment/default/x"]["spec"]["replicas"] == 0

    del api.objects["Pod/default/x-1"]
    one.plant()


def test_manifest_is_read_altered_until_undone(planter: Any) -> None:
    """Only the named document of the named file, and only while the fault is planted."""
    step = {
        "file": "waypoint/ratings.yaml",
        "object": "HTTPRoute/default/ratings",
        "with": {"spec": {"hostnames": None}},
    }
    one = planter(fault({"manifest": step}))
    manifests = one._manifests

    one.plant()
    (route,) = manifests.read("waypoint/ratings.yaml")
    assert "hostnames" not in route["spec"]
    assert "hostnames" in manifests.read("waypoint/form_patch.yaml")[-1]["spec"]
    one.undo()

    assert "hostnames" in manifests.read("waypoint/ratings.yaml")[0]["spec"]


def test_switch_is_turned_and_calmed(planter: Any) -> None:
    """The emulated cluster is reported the switch and its parameters, and to be calm again."""
    one = planter(fault({"emulated": {"switch": "shared_bucket", "of": "a"}}))

    one.plant()
    one.undo()

    assert one.target.calls == [("fault", {"shared_bucket": {"of": "a"}}), ("calm", None)]


def test_killed_without_grace(planter: Any, api: FakeApi) -> None:
    """Pods by label are deleted with no time to say goodbye."""
    api.put(named("Pod/default/x-1", metadata={"labels": {"app": "x"}}, status={"phase": "Running"}))
    api.put(named("Pod/default/y-1", metadata={"labels": {"app": "y"}}, status={"phase": "Running"}))

    planter(fault({"kill": {"namespace": "default", "labels": "app=x"}})).plant()

    assert set(api.objects) == {"Pod/default/y-1"}


def test_failed_step_leaves_what_came_before_to_be_undone(planter: Any, api: FakeApi) -> None:
    """The first step is undone though the second could not be done."""
    api.put(LABELLED)
    patch = {"object": "Namespace/default", "with": {"metadata": {"labels": {"mode": None}}}}
    one = planter(fault({"patch": patch}, {"delete": {"object": "Service/default/nobody"}}))

    with pytest.raises(ObjectMissing):
        one.plant()
    one.undo()

    assert api.objects["Namespace/default"]["metadata"]["labels"]["mode"] == "ambient"


@pytest.mark.parametrize(("kind", "seconds"), [("kind", 30.0), ("emulated", 1.0)])
def test_real_cluster_is_given_its_time(planter: Any, api: FakeApi, clock: Clock, kind: str, seconds: float) -> None:
    """What a real cluster takes, the emulated one takes divided by its factor."""
    api.put(LABELLED)
    patch = {"object": "Namespace/default", "with": {"metadata": {"labels": {"mode": None}}}}
    before = clock.now

    planter(fault({"patch": patch}, settle=30, on=[kind]), kind).plant()

    assert clock.now - before == pytest.approx(seconds, abs=0.01)


def test_document_that_is_not_there_is_reported() -> None:
    """A manifest step that changes nothing would be a fault that is none."""
    step = fault({"manifest": {"file": "a.yaml", "object": "Node/b", "with": None}}).plant[0].manifest
    assert step is not None

    with pytest.raises(BadInput, match=r"manifests/a\.yaml holds no Node/b"):
        with_changes([named("Node/a")], step)
    assert with_changes([named("Node/a"), named("Node/b")], step) == [named("Node/a")]


def test_bare_is_what_somebody_would_write() -> None:
    """No status, and none of the server's own metadata."""
    live = named("Service/default/a", spec={}, status={}, metadata={"uid": "1", "resourceVersion": "2", "labels": {}})

    assert without_status(live) == named("Service/default/a", spec={}, metadata={"labels": {}})
