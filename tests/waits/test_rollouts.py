"""Ready is our own word, and what cannot heal is named within seconds."""

import pytest

from harness import timeouts
from harness.errors import NotReady, Terminal
from harness.kube import Kube
from harness.wait import set_patience
from harness.waits import rollouts
from tests.fakes.api import FakeApi, Object, named
from tests.fakes.clock import Clock
from tests.fakes.pods import PULL, deployment, event, pod, unschedulable, waiting

NAME = "Deployment/default/x"
APP = {"app": "x"}


def changing(api: FakeApi, clock: Clock, *states: tuple[float, list[Object]]) -> None:
    """From each of these seconds on, the objects are as given."""
    began = clock.be_exact()

    def now(_: str) -> None:
        due = [objects for at, objects in states if clock.now - began >= at]
        for key in [k for k in api.objects if k.startswith("Pod/")]:
            del api.objects[key]
        api.put(*due[-1])

    api.on_get = now


def test_ready_workload_is_ready_at_once(kube: Kube, api: FakeApi, clock: Clock) -> None:
    """A rollout that is done is not waited for."""
    api.put(deployment("default/x", ready=1))

    rollouts.wait_for_rollout(kube, NAME)

    assert clock.sleeps == []


def test_workload_is_awaited_from_before_it_exists(kube: Kube, api: FakeApi, clock: Clock) -> None:
    """A controller may create it later; pods may take their time."""
    began = clock.be_exact()
    states = {2: deployment("default/x"), 6: deployment("default/x", ready=1)}
    api.on_get = lambda _: [api.put(obj) for at, obj in states.items() if clock.now - began >= at]

    rollouts.wait_for_rollout(kube, NAME)

    assert 6 <= clock.slept < 8


def test_workload_that_is_never_ready_says_how_far_it_came(kube: Kube, api: FakeApi, clock: Clock) -> None:
    """Time running out is reported with the numbers of pods."""
    api.put(deployment("default/x", wanted=2))

    with pytest.raises(NotReady, match=r"Deployment/default/x is rolled out: not within 5s .*0/2 ready"):
        rollouts.wait_for_rollout(kube, NAME, within=5)


def test_workload_that_is_never_created(kube: Kube, clock: Clock) -> None:
    """Absence is reported as absence."""
    with pytest.raises(NotReady, match="not created yet"):
        rollouts.wait_for_rollout(kube, NAME, within=5)


def test_workload_without_pods_is_not_ready(kube: Kube, api: FakeApi, clock: Clock) -> None:
    """Planted: istiod scaled to 0 and forgotten. An empty set is no rollout, and waiting does not fill it."""
    api.put(deployment("default/x", wanted=0))

    with pytest.raises(Terminal, match=r"Deployment/default/x is rolled out: cannot become true .* scaled to 0"):
        rollouts.wait_for_rollout(kube, NAME)

    assert clock.sleeps == []


def test_pull_that_fails_ends_the_wait_in_seconds(kube: Kube, api: FakeApi, clock: Clock) -> None:
    """Pod, container, image, reason and kubelet's own words, some ten seconds after the trouble began."""
    clock.be_exact()
    api.put(deployment("default/x"), waiting("default/x-1", "ImagePullBackOff", PULL, labels=APP))

    with pytest.raises(Terminal) as caught:
        rollouts.wait_for_rollout(kube, NAME)

    message = str(caught.value)
    for part in (
        "Deployment/default/x",
        "default/x-1 (app)",
        "docker.io/x/app:1",
        "ImagePullBackOff",
        "manifest unknown",
    ):
        assert part in message
    assert timeouts.TROUBLE_GRACE <= clock.slept <= 10


def test_pull_told_in_two_words_is_one_trouble(kube: Kube, api: FakeApi, clock: Clock) -> None:
    """kubelet says ErrImagePull and ImagePullBackOff in turn of one image that does not exist."""
    words = [waiting("default/x-1", r, PULL, labels=APP) for r in ("ErrImagePull", "ImagePullBackOff")]
    changing(api, clock, *((n * 3.0, [deployment("default/x"), words[n % 2]]) for n in range(50)))

    with pytest.raises(Terminal, match="manifest unknown"):
        rollouts.wait_for_rollout(kube, NAME)

    assert clock.slept <= 12


def test_trouble_that_comes_and_goes_does_not_end_the_wait(kube: Kube, api: FakeApi, clock: Clock) -> None:
    """A reason that never stands for the grace is no reason: the workload may still come up."""
    bad = waiting("default/x-1", "CreateContainerError", "name is reserved", labels=APP)
    good = pod("default/x-1", labels=APP, ready=False)
    flicker = [(n * 5.0, [deployment("default/x"), (bad, good)[n % 2]]) for n in range(8)]
    changing(api, clock, *flicker, (40.0, [deployment("default/x", ready=1)]))

    rollouts.wait_for_rollout(kube, NAME)

    assert clock.slept >= 40


def test_each_pods_trouble_has_its_own_time(kube: Kube, api: FakeApi, clock: Clock) -> None:
    """Trouble that moves from pod to pod has stood nowhere."""
    states = [
        (n * 5.0, [deployment("default/x"), waiting(f"default/x-{n}", "CrashLoopBackOff", labels=APP)])
        for n in range(8)
    ]
    changing(api, clock, *states, (40.0, [deployment("default/x", ready=1)]))

    rollouts.wait_for_rollout(kube, NAME)

    assert clock.slept >= 40


def test_crash_loop_is_named(kube: Kube, api: FakeApi, clock: Clock) -> None:
    """A container that keeps crashing ends the wait, with its last exit code."""
    crashing = waiting("default/x-1", "CrashLoopBackOff", "back-off 5m0s restarting", labels=APP)
    crashing["status"]["containerStatuses"][0]["lastState"] = {"terminated": {"exitCode": 139, "reason": "Error"}}
    api.put(deployment("default/x"), crashing)

    with pytest.raises(Terminal, match=r"CrashLoopBackOff .*last exit 139 Error"):
        rollouts.wait_for_rollout(kube, NAME)


def test_pod_that_fits_nowhere_is_named(kube: Kube, api: FakeApi, clock: Clock) -> None:
    """A pod that cannot be scheduled ends the wait, with the scheduler's words."""
    api.put(
        deployment("default/x"), unschedulable("default/x-1", "0/2 nodes are available: Insufficient cpu", labels=APP)
    )

    with pytest.raises(Terminal, match=r"Unschedulable.*Insufficient cpu"):
        rollouts.wait_for_rollout(kube, NAME)


def test_trouble_of_other_workloads_is_not_its(kube: Kube, api: FakeApi, clock: Clock) -> None:
    """Only pods of its own selector count, and not those on their way out."""
    leaving = waiting("default/x-0", "ImagePullBackOff", labels=APP)
    leaving["metadata"]["deletionTimestamp"] = "2026-11-21T00:00:00Z"
    api.put(deployment("default/x"), waiting("default/y-1", "ImagePullBackOff", labels={"app": "y"}), leaving)

    with pytest.raises(NotReady):
        rollouts.wait_for_rollout(kube, NAME, within=60)


def test_trouble_of_an_old_pod_does_not_matter_once_done(kube: Kube, api: FakeApi, clock: Clock) -> None:
    """A rollout that is done is done."""
    api.put(deployment("default/x", ready=1), waiting("default/x-1", "CrashLoopBackOff", labels=APP))

    rollouts.wait_for_rollout(kube, NAME)


def test_server_away_for_a_moment_is_not_the_end(kube: Kube, api: FakeApi, clock: Clock) -> None:
    """503 is not yet; 403 is never."""
    api.put(deployment("default/x", ready=1))
    api.refuse("GET", "deployments/x", 503, times=3)

    rollouts.wait_for_rollout(kube, NAME)

    assert len(clock.sleeps) == 3
    api.refuse("GET", "deployments/x", 403, "forbidden")
    with pytest.raises(Exception, match="403 forbidden"):
        rollouts.wait_for_rollout(kube, NAME)


def test_definition_is_established(kube: Kube, api: FakeApi, clock: Clock) -> None:
    """A definition is awaited until the server takes objects of it."""
    set_patience(0.1)
    name = "gateways.gateway.networking.k8s.io"
    crd = named(f"CustomResourceDefinition/{name}", status={"conditions": [{"type": "Established", "status": "False"}]})
    api.put(crd)
    with pytest.raises(NotReady, match=f"{name} is established: .*there"):
        rollouts.wait_for_definition(kube, name)
    crd["status"]["conditions"][0]["status"] = "True"
    api.put(crd)

    rollouts.wait_for_definition(kube, name)


def test_nodes_are_ready(kube: Kube, api: FakeApi, clock: Clock) -> None:
    """Every node; none at all is not every."""
    set_patience(0.02)
    with pytest.raises(NotReady, match="not ready: no node"):
        rollouts.wait_for_nodes(kube)
    for name, status in (("n1", "True"), ("n2", "False")):
        api.put(named(f"Node/{name}", status={"conditions": [{"type": "Ready", "status": status}]}))
    with pytest.raises(NotReady, match=r"not ready: n2$"):
        rollouts.wait_for_nodes(kube)
    api.objects["Node/n2"]["status"]["conditions"][0]["status"] = "True"

    rollouts.wait_for_nodes(kube)


@pytest.mark.parametrize("silence", [{"conditions": None}, {"conditions": []}, {}, None])
def test_new_definition_has_no_conditions(kube: Kube, api: FakeApi, clock: Clock, silence: object) -> None:
    """A CustomResourceDefinition that was just made has `status.conditions: null` (seen on kind, Kubernetes 1.34); it
    is not established yet, and that is no error."""
    name = "CustomResourceDefinition/gateways.gateway.networking.k8s.io"
    began, settled = clock.be_exact(), {"conditions": [{"type": "Established", "status": "True"}]}
    api.on_get = lambda _: api.put(named(name, status=settled if clock.now - began >= 2 else silence))

    rollouts.wait_for_definition(kube, name.partition("/")[2])

    assert clock.slept >= 2


@pytest.mark.parametrize("silence", [{"conditions": None}, {}, None])
def test_new_node_has_no_conditions(kube: Kube, api: FakeApi, clock: Clock, silence: object) -> None:
    """A node of which nothing is reported is not ready."""
    api.put(named("Node/n1", status=silence))

    set_patience(0.02)
    with pytest.raises(NotReady, match="not ready: n1"):
        rollouts.wait_for_nodes(kube)


# -- what heals, and what only Events tell -------------------------------------------------------------------------

LIMIT = (
    'Back-off pulling image "docker.io/x/app:1": ErrImagePull: failed to copy: unexpected status from GET request to '
    "https://registry-1.docker.io/v2/x/app/manifests/1: 429 Too Many Requests\ntoomanyrequests: You have reached your "
    "unauthenticated pull rate limit. https://www.docker.com/increase-rate-limit"
)


def test_rate_limit_that_ends_is_no_failure(kube: Kube, api: FakeApi, clock: Clock) -> None:
    """Seen with public registries: one anonymous 429, and kubelet's next try succeeds."""
    limited = waiting("default/x-1", "ImagePullBackOff", LIMIT, labels=APP)
    changing(api, clock, (0.0, [deployment("default/x"), limited]), (60.0, [deployment("default/x", ready=1)]))

    rollouts.wait_for_rollout(kube, NAME)

    assert clock.slept >= 60


def test_rate_limit_that_stays_is_named_with_its_remedies(kube: Kube, api: FakeApi, clock: Clock) -> None:
    """Bounded by the wait's bound; the limit and what to do are in the message."""
    clock.be_exact()
    api.put(deployment("default/x"), waiting("default/x-1", "ErrImagePull", LIMIT, labels=APP))

    with pytest.raises(NotReady) as caught:
        rollouts.wait_for_rollout(kube, NAME, within=60)

    assert 59 <= clock.slept <= 61
    assert "Docker Hub's anonymous pull rate limit (429): `docker login`, CACHE=1, REGISTRY=, or BUNDLE=" in str(
        caught.value
    )


def test_back_off_without_a_cause_keeps_the_pulls(kube: Kube, api: FakeApi, clock: Clock) -> None:
    """Before Kubernetes 1.31 kubelet gives the cause with ErrImagePull only, and shows ImagePullBackOff most of the
    time."""
    bare = waiting("default/x-1", "ImagePullBackOff", 'Back-off pulling image "docker.io/x/app:1"', labels=APP)
    cause = waiting("default/x-1", "ErrImagePull", "manifest unknown", labels=APP)
    changing(api, clock, (0.0, [deployment("default/x"), cause]), (2.0, [deployment("default/x"), bare]))

    with pytest.raises(Terminal, match="manifest unknown"):
        rollouts.wait_for_rollout(kube, NAME)


def test_config_map_that_is_missing_is_named_in_seconds(kube: Kube, api: FakeApi, clock: Clock) -> None:
    """The pod's status says ContainerCreating alone; the Event has the words."""
    message = 'MountVolume.SetUp failed for volume "config" : configmap "missing" not found'
    clock.be_exact()
    api.put(deployment("default/x"), waiting("default/x-1", "ContainerCreating", labels=APP))
    api.put(event("Pod/default/x-1", "FailedMount", message))

    with pytest.raises(Terminal) as caught:
        rollouts.wait_for_rollout(kube, NAME)

    assert message in str(caught.value)
    assert timeouts.MOUNT_GRACE <= clock.slept <= timeouts.MOUNT_GRACE + timeouts.EVENTS_AFTER + 2
    assert {seen.query.get("fieldSelector") for seen in api.asked("GET", "/events")} == {"type=Warning"}
    assert len(api.asked("GET", "/events")) <= clock.slept / timeouts.EVENTS_AFTER + 1


def test_sandbox_failure_while_the_cni_starts_is_no_failure(kube: Kube, api: FakeApi, clock: Clock) -> None:
    """FailedCreatePodSandBox in passing, and then a pull that takes longer than the grace."""
    failed = event("Pod/default/x-1", "FailedCreatePodSandBox", 'failed to find plugin "istio-cni" in path')
    begun = waiting("default/x-1", "ContainerCreating", labels=APP)
    pulling = waiting("default/x-1", "ContainerCreating", labels=APP)
    pulling["status"]["conditions"] = [{"type": "PodReadyToStartContainers", "status": "True"}]
    changing(
        api,
        clock,
        (0.0, [deployment("default/x"), begun, failed]),
        (30.0, [deployment("default/x"), pulling, failed]),
        (120.0, [deployment("default/x", ready=1)]),
    )

    rollouts.wait_for_rollout(kube, NAME)

    assert clock.slept >= 120


def test_quota_that_forbids_every_pod_is_named(kube: Kube, api: FakeApi, clock: Clock) -> None:
    """There is no pod to look at: the ReplicaSet's Event tells."""
    message = 'pods "x-5d4-" is forbidden: exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1'
    clock.be_exact()
    api.put(deployment("default/x"), event("ReplicaSet/default/x-5d4", "FailedCreate", message))

    with pytest.raises(Terminal, match="exceeded quota: q"):
        rollouts.wait_for_rollout(kube, NAME)

    assert clock.slept <= 15


def test_events_that_may_not_be_read_are_none(kube: Kube, api: FakeApi, clock: Clock) -> None:
    """Somebody's cluster may not let us list Events: the wait goes on without."""
    api.put(deployment("default/x"), waiting("default/x-1", "ContainerCreating", labels=APP))
    api.refuse("GET", "/events", 403, "forbidden")

    with pytest.raises(NotReady, match="0/1 ready"):
        rollouts.wait_for_rollout(kube, NAME, within=20)
