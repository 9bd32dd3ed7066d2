"""The stack's steps: in order, side by side, the first failure wins."""

import threading
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import observations, progress, timeouts, version_sets
from harness.errors import NotReady, SetupFailed
from harness.install import installation
from harness.install.installation import (
    GATEWAY_WORKLOADS,
    ISTIO_WORKLOADS,
    InstallStep,
    ensure_stack,
    install_steps,
    run_side_by_side,
    stack_steps,
)
from harness.kube import Kube
from harness.objects.kind_namespace_name import parse_ref
from harness.objects.manifests import MANIFESTS, read_manifest
from harness.objects.namespace_mapping import Placement
from harness.objects.stack_places import StackPlaces
from harness.wait import until
from harness.waits import rollouts
from tests.fakes.api import FakeApi, Object, named
from tests.fakes.clock import Clock
from tests.fakes.cluster import FakeCluster
from tests.fakes.pods import deployment
from tests.patience import SOON

ROW = version_sets.load().pick()
DEFINED = [
    one["metadata"]["name"].partition(".")[0] for one in read_manifest(MANIFESTS / "base/metallb_definitions.yaml")
]
BALANCED = ROW.with_load_balancer()


class Record:
    """What began and what ended, in order."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def step(self, name: str, *after: str, act: Callable[[], object] = lambda: None) -> InstallStep:
        def run() -> None:
            self.events.append(f"begin {name}")
            act()
            self.events.append(f"end {name}")

        return InstallStep(name, run, after)


@pytest.fixture
def record() -> Record:
    return Record()


def fail() -> None:
    raise SetupFailed("no such image")


def test_steps_begin_after_what_they_need(record: Record) -> None:
    """However they are listed, each begins after the end of all it needs, and each runs once."""
    run_side_by_side(
        [
            record.step("d", "b", "c"),
            record.step("b", "a"),
            record.step("c", "a"),
            record.step("a"),
            record.step("e", "d"),
        ]
    )

    at = {event: n for n, event in enumerate(record.events)}
    assert len(at) == len(record.events) == 10
    for name, needs in {"b": "a", "c": "a", "d": "bc", "e": "d"}.items():
        assert all(at[f"end {need}"] < at[f"begin {name}"] for need in needs)


def test_independent_steps_run_side_by_side(record: Record) -> None:
    """Three steps that need nothing of each other are under way together."""
    together = threading.Barrier(3)

    run_side_by_side([record.step(name, act=lambda: together.wait(SOON)) for name in "abc"])

    assert record.events[:3] == ["begin a", "begin b", "begin c"]


def test_a_step_does_not_wait_for_what_it_does_not_need(record: Record) -> None:
    """A slow step holds up only those that need it."""
    slow = threading.Event()

    run_side_by_side(
        [record.step("slow", act=lambda: slow.wait(SOON)), record.step("a"), record.step("b", "a", act=slow.set)]
    )

    assert record.events.index("end b") > record.events.index("begin slow")
    assert slow.is_set()


def test_first_failure_wins_and_names_the_step(record: Record) -> None:
    """The error is the step's own, says which step it was, and the stage of that name has failed."""
    with pytest.raises(SetupFailed) as caught:
        run_side_by_side([record.step("a"), record.step("redis", "a", act=fail), record.step("c", "redis")])

    assert str(caught.value) == "no such image"
    assert "while installing: redis" in "".join(traceback.format_exception_only(caught.value))
    assert [(s.name, s.failed) for s in progress.PROGRESS.stages] == [("a", ""), ("redis", "no such image")]


def wait_for_failure(name: str) -> None:
    until(
        lambda: [one.failed for one in progress.PROGRESS.stages if one.name == name],
        lambda failed: any(failed),
        what=f"{name} has failed",
        within=SOON,
        every=0.01,
    )


def test_no_step_begins_after_a_failure(record: Record) -> None:
    """Steps under way end by themselves; none begins, also none that needs nothing of what failed."""
    with pytest.raises(SetupFailed):
        run_side_by_side(
            [
                record.step("slow", act=lambda: wait_for_failure("bad")),
                record.step("bad", act=fail),
                record.step("next", "slow"),
                record.step("more", "bad"),
            ]
        )

    assert "end slow" in record.events
    assert {"begin next", "begin more"}.isdisjoint(record.events)


def test_first_of_two_failures_is_reported(record: Record) -> None:
    """What failed first is the cause; what failed because of it is not."""

    def cause() -> None:
        raise SetupFailed("the cause")

    def consequence() -> None:
        wait_for_failure("a")
        raise SetupFailed("a consequence")

    with pytest.raises(SetupFailed, match="the cause"):
        run_side_by_side([record.step("b", act=consequence), record.step("a", act=cause)])


@pytest.mark.parametrize("needs", [("b",), ("a",), ("nobody",)])
def test_what_never_comes_is_refused(record: Record, needs: tuple[str, ...]) -> None:
    """A cycle, or a need that nobody meets, is an error and not a wait for ever."""
    with pytest.raises(ValueError, match=r"steps that never run: \['a'"):
        run_side_by_side([record.step("ok"), record.step("a", *needs), record.step("b", "a")])


def test_seconds_of_each_step_are_measured(record: Record) -> None:
    """A report has every step's time."""
    run_side_by_side([record.step("a"), record.step("b", "a")])

    assert [figure.name for figure in observations.page().figures] == ["stack: a", "stack: b"]


# -- the real steps ------------------------------------------------------------------------------------------------


def ready_stack(api: FakeApi) -> None:
    """A server on which every workload is ready as soon as anybody looks."""
    api.put(named("Node/n1", status={"conditions": [{"type": "Ready", "status": "True"}]}))

    def healed(key: str) -> None:
        kind, _, rest = key.partition("/")
        if kind == "Deployment":
            api.put(deployment(rest, ready=1))
        elif kind == "DaemonSet":
            counts = ("desired", "current", "updated")
            status = {f"{count}NumberScheduled": 1 for count in counts} | {"numberReady": 1, "numberAvailable": 1}
            spec = {"selector": {"matchLabels": {"app": "x"}}}
            api.put(named(key, spec=spec, status=status))
        elif kind == "CustomResourceDefinition" and key in api.objects:
            api.objects[key]["status"] = {"conditions": [{"type": "Established", "status": "True"}]}

    api.on_get = healed


def crd(name: str) -> Object:
    return named(f"CustomResourceDefinition/{name}")


def test_steps_form_no_cycle_and_name_known_steps(cluster: FakeCluster, kube: Kube) -> None:
    """Every need is a step, and an order exists."""
    work = {step.name: step for step in install_steps(cluster, kube, ROW, None)}
    done: set[str] = set()
    while len(done) < len(work):
        due = [name for name, step in work.items() if name not in done and done.issuperset(step.after)]
        assert due, f"a cycle among {set(work) - done}"
        done.update(due)


def test_stack_stands(cluster: FakeCluster, kube: Kube, api: FakeApi) -> None:
    """Every release is installed, every manifest applied, definitions before what needs them."""
    ready_stack(api)
    cluster.documents = [crd("gateways")]

    installation.install(cluster, kube, ROW, None)

    assert sorted(name for what, name in cluster.calls if what == "install") == [
        "base",
        "cni",
        "eg",
        "istiod",
        "ztunnel",
    ]
    applied = [seen.path.rsplit("/", 1)[-1] for seen in api.asked("PATCH")]
    assert {"productpage-v1", "mesh-client", "redis", "eg-ingress", "gateways"} <= set(applied)
    assert api.asked("PATCH", "customresourcedefinitions")[0].query["force"].lower() == "true"
    names = [stage.name for stage in progress.PROGRESS.stages]
    assert names.index("envoy gateway") > names.index("definitions")


def test_images_applied_are_the_sets(cluster: FakeCluster, kube: Kube, api: FakeApi) -> None:
    """What runs is what the version set says."""
    ready_stack(api)

    row = version_sets.load().pick().model_copy(update={"bookinfo": "9.9.9"})
    installation.install(cluster, kube, row, None)

    sent = [seen.body for seen in api.asked("PATCH", "deployments")]
    images = {c["image"] for body in sent for c in body["spec"]["template"]["spec"]["containers"]}
    assert "docker.io/istio/examples-bookinfo-ratings-v1:9.9.9" in images
    assert images <= set(row.images.values())


def test_bundled_images_are_loaded_before_they_run(cluster: FakeCluster, kube: Kube, api: FakeApi) -> None:
    """Every image of the set is loaded, each once, and charts come from the bundle."""
    ready_stack(api)

    class Held:
        charts = Path("/b/charts")

        def archive(self, image: str) -> Path:
            return Path(image)

    installation.install(cluster, kube, ROW, Held())  # type: ignore[arg-type]  # stands in for a Bundle

    loaded = [str(path) for what, paths in cluster.calls if what == "load" for path in paths]
    assert sorted(loaded) == sorted(ROW.images.values())
    assert cluster.calls[0][0] == "load" or cluster.calls[0] == ("install", "base")


def test_workloads_are_looked_at_once_nodes_are_ready(
    cluster: FakeCluster, kube: Kube, api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until then no node takes their pods, and kind's nodes may not be ready when the installation begins."""
    ready_stack(api)
    ready = threading.Event()
    looked_at_early: list[str] = []
    monkeypatch.setattr(rollouts, "wait_for_nodes", lambda _: ready.set())
    healed = api.on_get

    def on_get(key: str) -> None:
        if key.startswith(("Deployment/", "DaemonSet/")) and not ready.is_set():
            looked_at_early.append(key)
        healed(key)

    api.on_get = on_get

    installation.install(cluster, kube, ROW, None)

    assert looked_at_early == []
    assert ready.is_set()


def test_failing_step_stops_the_installation(cluster: FakeCluster, kube: Kube, api: FakeApi) -> None:
    """Bookinfo is not applied to a mesh whose limiter could not be installed."""
    ready_stack(api)
    api.refuse("PATCH", "services/redis", 422, "Service is invalid")

    with pytest.raises(Exception, match="422 Service is invalid"):
        installation.install(cluster, kube, ROW, None)

    assert ("install", "eg") not in cluster.calls


# -- standing on somebody's cluster --------------------------------------------------------------------------------


def test_ours_is_installed_and_left_to_the_clusters_end(cluster: FakeCluster, kube: Kube, api: FakeApi) -> None:
    """A cluster of ours is filled, and nothing is uninstalled: it goes as a whole."""
    ready_stack(api)

    ensure_stack(cluster, kube, ROW, None, installs=False)

    assert ("install", "eg") in cluster.calls
    assert [what for what, _ in cluster.calls if what == "uninstall"] == []


def test_somebodys_gets_a_namespace_and_nothing_else(kube: Kube, api: FakeApi, cluster: FakeCluster) -> None:
    """Without being asked to install, Istio and Envoy Gateway are only looked at: all that is applied is the run's."""
    cluster.kind = "existing"
    ready_stack(api)
    placement = Placement("team-a")

    ensure_stack(cluster, Kube(kube.kubeconfig, kube.context, namespace="team-a"), ROW, None, installs=False)

    assert {what for what, _ in cluster.calls} == {"remember"}
    remembered = [name for _, name in cluster.calls]
    assert remembered[0] == "Namespace/team-a"
    assert {"Deployment/team-a/ratings-v1", "Deployment/team-a/mesh-client"} < set(remembered)
    assert "GatewayClass/team-a-eg-ingress" in remembered
    assert [name for name in remembered if not placement.has(parse_ref(name))] == []
    assert len(api.asked("PATCH")) == len(remembered)
    looked_at = {seen.path.rsplit("/", 1)[-1] for seen in api.asked("GET")}
    assert {name.rsplit("/", 1)[-1] for name in (*ISTIO_WORKLOADS.values(), *GATEWAY_WORKLOADS)} <= looked_at


def test_somebodys_without_suites_is_only_looked_at(kube: Kube, api: FakeApi, cluster: FakeCluster) -> None:
    """Whoever brings no suites of ours applies nothing; on our own cluster all but what is theirs is installed."""
    cluster.kind = "existing"
    ready_stack(api)

    ensure_stack(cluster, kube, ROW, None, installs=False, suites=False)

    assert cluster.calls == []
    assert api.asked("PATCH") == []
    names = {step.name for step in stack_steps(install_steps(cluster, kube, ROW, None))}
    assert {"envoy gateway", "istio ztunnel", "images: mesh"} <= names
    assert names.isdisjoint({"bookinfo", "mesh client", "images: bookinfo", "enrolment", "gateway classes"})


def test_somebodys_that_lacks_something(kube: Kube, api: FakeApi, cluster: FakeCluster) -> None:
    """All that is missing is named at once, with the way to have it."""
    cluster.kind = "existing"
    api.put(named("Node/n1", status={"conditions": [{"type": "Ready", "status": "True"}]}))
    api.put(deployment("istio-system/istiod", ready=1))

    with pytest.raises(SetupFailed) as caught:
        ensure_stack(cluster, kube, ROW, None, installs=False)

    for part in ("DaemonSet/istio-system/ztunnel", "Deployment/envoy-gateway-system/envoy-gateway"):
        assert part in str(caught.value)
    assert "istiod" not in str(caught.value)
    assert api.asked("PATCH") == []
    assert "INSTALL=1" in caught.value.remedy


def test_somebodys_is_looked_for_where_it_is(kube: Kube, api: FakeApi, cluster: FakeCluster) -> None:
    """What preflight found under another name or in another namespace is not missing."""
    cluster.kind = "existing"
    api.put(named("Node/n1", status={"conditions": [{"type": "Ready", "status": "True"}]}))
    api.put(deployment("mesh/istiod-canary", ready=1))
    there = Kube(kube.kubeconfig, kube.context, places=StackPlaces(istiod="mesh/istiod-canary", ztunnel="mesh/zt"))

    with pytest.raises(SetupFailed) as caught:
        ensure_stack(cluster, there, ROW, None, installs=False)

    assert "istiod" not in str(caught.value)
    assert "DaemonSet/mesh/zt" in str(caught.value)


def test_somebodys_that_is_not_ready(kube: Kube, api: FakeApi, cluster: FakeCluster, clock: Clock) -> None:
    """What is there must be ready, within the time of a status and not of a rollout."""
    cluster.kind = "existing"
    ready_stack(api)
    healed, name = api.on_get, "istio-system/istiod"
    api.on_get = lambda key: api.put(deployment(name)) if name in key else healed(key)

    with pytest.raises(NotReady, match="Deployment/istio-system/istiod is rolled out"):
        ensure_stack(cluster, kube, ROW, None, installs=False)

    assert clock.slept < timeouts.ROLLOUT
    assert api.asked("PATCH") == []


def test_kept_stack_is_not_installed_again(kube: Kube, api: FakeApi, cluster: FakeCluster) -> None:
    """On a kept cluster no chart is installed and no definition applied; what the suites bring is applied, so that a
    failure's cause can compare it."""
    ready_stack(api)

    ensure_stack(cluster, kube, ROW, None, installs=False, is_kept=True)

    assert {what for what, _ in cluster.calls} == {"remember"}
    assert "Deployment/default/ratings-v1" in kube.wanted.documents


def test_kept_cluster_without_the_stack_gets_it(kube: Kube, api: FakeApi, cluster: FakeCluster) -> None:
    """A cluster whose first run ended before the stack stood is filled."""
    ready_stack(api)
    healed, seen = api.on_get, list[str]()

    def from_the_second_look_on(key: str) -> None:
        if seen:
            healed(key)
        seen.append(key)

    api.on_get = from_the_second_look_on

    ensure_stack(cluster, kube, ROW, None, installs=False, is_kept=True)

    assert ("install", "eg") in cluster.calls


def test_all_that_is_applied_is_remembered_first(kube: Kube, api: FakeApi, cluster: FakeCluster) -> None:
    """Told to install on somebody's cluster, the stack tells it of every manifest before that is applied."""
    cluster.kind = "existing"
    ready_stack(api)

    ensure_stack(cluster, kube, ROW, None, installs=True)

    remembered = {name for what, name in cluster.calls if what == "remember"}
    assert {"Deployment/default/ratings-v1", "Namespace/redis-system", "GatewayClass/eg-ingress"} <= remembered


def test_load_balancer_is_a_step_only_where_it_is_wanted(kube: Kube, cluster: FakeCluster) -> None:
    """Its images are of the set only then, so that a bundle without them stays whole."""
    names = {step.name for step in install_steps(cluster, kube, ROW, None)}  # type: ignore[arg-type]  # a fake cluster

    more = {step.name for step in install_steps(cluster, kube, BALANCED, None)}  # type: ignore[arg-type]  # a fake cluster

    assert more - names == {"images: load balancer", "load balancer"}
    assert set(BALANCED.images) - set(ROW.images) == {"metallb-controller", "metallb-speaker"}


def test_load_balancer_assigns_the_clusters_addresses(
    api: FakeApi, kube: Kube, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pool is the cluster's own; each kind is defined before an object of it is applied, each workload awaited."""
    monkeypatch.setattr(rollouts, "wait_for_nodes", lambda _: None)
    awaited: list[str] = []
    monkeypatch.setattr(rollouts, "wait_for_definition", lambda _, name: awaited.append(name))
    monkeypatch.setattr(rollouts, "wait_for_rollout", lambda _, name: awaited.append(name))
    cluster.address_pools = ["172.18.255.232-172.18.255.239"]
    (step,) = [one for one in install_steps(cluster, kube, BALANCED, None) if one.name == "load balancer"]  # type: ignore[arg-type]  # a fake cluster

    step.act()

    assert awaited == [*(f"{name}.metallb.io" for name in DEFINED), *installation.LOAD_BALANCER_WORKLOADS]
    assert kube.get("IPAddressPool/metallb-system/docker")["spec"] == {"addresses": cluster.address_pools}
    applied = [seen.path for seen in api.asked("PATCH")]
    assert applied.index(next(p for p in applied if p.endswith("ipaddresspools.metallb.io"))) < applied.index(
        next(p for p in applied if p.endswith("ipaddresspools/docker"))
    )
