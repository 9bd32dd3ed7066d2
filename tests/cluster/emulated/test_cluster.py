"""The whole emulated cluster, a process of its own with real Envoys, carries the article's flow and can be broken."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from harness import version_sets
from harness.clients.admin import Admin
from harness.clients.http import IngressClient
from harness.clients.mesh import MeshClient
from harness.cluster.emulated import EmulatedCluster
from harness.cluster.protocol import Release
from harness.cluster_records import APPLIED
from harness.errors import SetupFailed
from harness.http_exchange import get, unique_name
from harness.install.installation import install
from harness.kube import Kube, ObjectMissing, RequestRejected
from harness.objects.manifests import MANIFESTS, pin_images, read_manifest
from harness.oracles import signs
from harness.proxy import stats
from harness.settings import Settings
from harness.wait import pause, until
from harness.waits import bind_to_waypoint, gateways
from tests.patience import SOON

RATINGS = get("http://ratings:9080/ratings/0")


def settings(state: Path, name: str) -> Settings:
    return Settings(cluster="emulated", cluster_name=name, state=state)


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("state")


@pytest.fixture(scope="module")
def emulated(state: Path) -> Iterator[EmulatedCluster]:
    """The article's stack with ingress and waypoint, marked as the state that resets go back to."""
    picked = version_sets.load().pick()
    made = EmulatedCluster(settings(state, "emulated-test"), picked)
    made.create()
    try:
        kube = Kube(made.kubeconfig, made.context)
        install(made, kube, picked, None)
        apply(kube, "ingress/gateway.yaml", "waypoint/gateway_binding.yaml", "waypoint/ratings.yaml")
        gateways.wait_for_gateway(kube, "bookinfo-ingress", "ingress-bookinfo")
        gateways.wait_for_gateway(kube, "waypoint", "ratings")
        bind_to_waypoint.bind_service(kube, "ratings", "waypoint")
        made.mark()
        yield made
    finally:
        made.delete()


@pytest.fixture(autouse=True)
def anew(emulated: EmulatedCluster) -> Iterator[None]:
    yield
    emulated.reset()


@pytest.fixture(scope="module")
def kube_api(emulated: EmulatedCluster) -> Kube:
    return Kube(emulated.kubeconfig, emulated.context)


@pytest.fixture(scope="module")
def mesh(kube_api: Kube) -> MeshClient:
    return MeshClient(kube_api)


@pytest.fixture(scope="module")
def ingress(kube_api: Kube) -> IngressClient:
    """By node port, on the node of the proxy."""
    port = kube_api.get("Service/default/bookinfo-ingress")["spec"]["ports"][0]["nodePort"]
    (pod,) = kube_api.list_pods("default", "gateway.envoyproxy.io/owning-gateway-name=bookinfo-ingress")
    client = IngressClient(f"http://{pod['status']['hostIP']}:{port}", "node port")
    gateways.wait_for_ingress_response(client, "/productpage")
    return client


def apply(kube: Kube, *files: str) -> None:
    images = version_sets.load().pick().images.values()
    for file in files:
        kube.apply(pin_images(read_manifest(MANIFESTS / file), images))


def test_pages_come_through_the_ingress_and_calls_through_the_waypoint(
    ingress: IngressClient, mesh: MeshClient
) -> None:
    page, call = ingress.send(get("/productpage")), mesh.send(RATINGS)

    assert (page.status, page.header("server")) == (200, "gunicorn")
    assert (call.status, call.local.partition(":")[0]) == (200, mesh.ip)


def test_breaker_refuses_all_and_none_once_it_is_gone(kube_api: Kube, mesh: MeshClient) -> None:
    apply(kube_api, "circuit_breaker/ratings.yaml")
    # A burst that meets the change is answered by both configurations: the one after it counts.
    until(lambda: mesh.send_together(RATINGS, 20), lambda got: 503 in got.statuses, what="refusal", within=SOON)
    burst = mesh.send_together(RATINGS, 20)
    kube_api.delete(["BackendTrafficPolicy/default/circuit-breaker-btp"])

    assert burst.statuses == [503] * 20
    until(lambda: mesh.send_together(RATINGS, 20).statuses, lambda got: got == [200] * 20, what="recovery", within=SOON)


@pytest.mark.parametrize(
    ("fault", "parameters", "statuses"),
    [
        ("", {}, [200, 200, 200, 429]),
        ("limit_off_by", {"by": 1}, [200, 200, 200, 200]),
        ("limit_off_by", {"by": -1}, [200, 200, 429, 429]),
        ("limiter_down", {}, [200, 200, 200, 200]),
        ("not_enforced", {"policy": "productpage-rate-limiting"}, [200, 200, 200, 200]),
    ],
)
def test_limit_and_its_faults(
    emulated: EmulatedCluster,
    kube_api: Kube,
    ingress: IngressClient,
    fault: str,
    parameters: dict[str, object],
    statuses: list[int],
) -> None:
    """Accepted in each case: what the caller gets tells them apart."""
    if fault:
        emulated.fault(fault, **parameters)
    apply(kube_api, "rate_limit/per_user.yaml")

    def attempt() -> list[int | None]:
        return ingress.send_in_turn(get("/productpage", x_user_id=unique_name("caller")), 4).statuses

    assert (
        until(attempt, lambda got: got == statuses, what=f"{fault or 'no fault'}: {statuses}", within=SOON) == statuses
    )


def test_finding_1_cuts_the_waypoint_off_while_every_status_is_green(
    emulated: EmulatedCluster, kube_api: Kube, mesh: MeshClient
) -> None:
    kube_api.delete(["Gateway/default/waypoint"])
    apply(kube_api, "waypoint/gateway_listener.yaml")
    gateways.wait_for_gateway(kube_api, "waypoint", "ratings")
    until(lambda: mesh.send(RATINGS).status, lambda got: got == 200, what="the listener form works", within=SOON)

    emulated.fault("port_15008")

    assert mesh.send(RATINGS).status is None
    conditions = kube_api.get("Gateway/default/waypoint")["status"]["conditions"]
    assert {one["status"] for one in conditions} == {"True"}
    until(lambda: ztunnels_ready(kube_api), lambda got: got == [False, True], what="one is not ready", within=SOON)
    (pod,) = kube_api.list_pods("default", "gateway.envoyproxy.io/owning-gateway-name=waypoint")
    kube_api.delete([f"Pod/default/{pod['metadata']['name']}"])
    until(lambda: mesh.send(RATINGS).status, lambda got: got == 200, what="its pod anew repairs it", within=SOON)


def ztunnels_ready(kube_api: Kube) -> list[bool]:
    pods = kube_api.list_pods("istio-system", "app=ztunnel")
    return sorted(pod["status"]["containerStatuses"][0]["ready"] for pod in pods)


@pytest.fixture
def waypoint_stats(emulated: EmulatedCluster, kube_api: Kube) -> Iterator[Callable[[], dict[str, int]]]:
    """All counters and gauges of the waypoint's Envoy."""
    admin = Admin(emulated)
    (pod,) = kube_api.list_pods("default", "gateway.envoyproxy.io/owning-gateway-name=waypoint")
    yield lambda: stats.parse_stats(admin.get("default", pod["metadata"]["name"], 19000, "/stats"))
    admin.close()


def test_line_can_be_put_into_a_log(emulated: EmulatedCluster, kube_api: Kube) -> None:
    emulated.fault("log_says", workload="istiod", line="panic: x")

    (pod,) = kube_api.list_pods("istio-system", "app=istiod")
    assert kube_api.read_log("istio-system", pod["metadata"]["name"], "discovery").endswith("panic: x\n")


def test_proxy_is_sent_the_same_without_end_and_serves(
    emulated: EmulatedCluster, mesh: MeshClient, waypoint_stats: Callable[[], dict[str, int]]
) -> None:
    emulated.fault("sent_again", gateway="waypoint")
    for _ in range(3):
        before = signs.pushes(waypoint_stats())
        until(lambda: signs.pushes(waypoint_stats()), lambda now: now > before, what="another push", within=SOON)  # noqa: B023  # called at once
    assert mesh.send(RATINGS).status == 200

    emulated.calm()

    def sent_meanwhile() -> int:
        before = signs.pushes(waypoint_stats())
        pause(0.3, why="more would come")
        return signs.pushes(waypoint_stats()) - before

    until(sent_meanwhile, lambda number: number == 0, what="no more pushes", within=SOON)


def test_proxy_warms_until_its_pod_goes(
    emulated: EmulatedCluster, kube_api: Kube, mesh: MeshClient, waypoint_stats: Callable[[], dict[str, int]]
) -> None:
    """And serves meanwhile what it had: longer than any cluster that warms and is reported of its endpoints."""
    warming = "cluster_manager.warming_clusters"
    assert waypoint_stats()[warming] == 0

    emulated.fault("warms_for_ever", gateway="waypoint")

    until(lambda: waypoint_stats()[warming], lambda number: number == 1, what="a cluster warms", within=SOON)
    pause(1, why="it warms on")
    assert waypoint_stats()[warming] == 1
    assert mesh.send(RATINGS).status == 200
    emulated.calm()
    kube_api.delete(kube_api.list_pods("default", "gateway.envoyproxy.io/owning-gateway-name=waypoint"))
    until(lambda: mesh.send(RATINGS).status, lambda got: got == 200, what="its pod anew serves", within=SOON)


def test_reset_takes_back_what_was_changed(emulated: EmulatedCluster, kube_api: Kube, ingress: IngressClient) -> None:
    apply(kube_api, "rate_limit/per_user.yaml")
    kube_api.delete(["HTTPRoute/default/ingress-bookinfo"])
    (emulated.home / APPLIED).write_text("{}")  # as a run leaves it that is reset instead of ended

    emulated.reset()

    assert not (emulated.home / APPLIED).exists()
    with pytest.raises(ObjectMissing):
        kube_api.get("BackendTrafficPolicy/default/productpage-rate-limiting")
    until(
        lambda: ingress.send(get("/productpage")).status, lambda got: got == 200, what="the page is back", within=SOON
    )


@pytest.mark.parametrize("back", [False, True])
def test_reset_while_redis_ends_or_begins(emulated: EmulatedCluster, kube_api: Kube, back: bool) -> None:
    """Its counts are emptied where it runs, not where it has just been ended: 6 of 40 such resets had answered 500."""
    redis = "Deployment/redis-system/redis"
    (before,) = kube_api.list_pods("redis-system", "app=redis")
    for _ in range(5):
        kube_api.patch(redis, {"spec": {"replicas": 0}})
        if back:
            kube_api.patch(redis, {"spec": {"replicas": 1}})
        emulated.reset()

        (pod,) = kube_api.list_pods("redis-system", "app=redis")
        assert pod["metadata"]["uid"] == before["metadata"]["uid"]


def test_reset_ends_what_a_switch_had_begun(
    emulated: EmulatedCluster, kube_api: Kube, mesh: MeshClient, ingress: IngressClient
) -> None:
    """A proxy that is to restart later, in a pod that is gone by then, does not come back from the dead."""
    emulated.fault("proxy_restarts", gateway="waypoint", after=0.5)
    kube_api.delete(["Gateway/default/waypoint"])
    emulated.reset()

    assert mesh.send(RATINGS).status == 200
    assert ingress.send(get("/productpage")).status == 200
    assert emulated._call("GET", "/emulated/state")["problems"] == {}


def test_reset_is_whole_when_it_answers(
    emulated: EmulatedCluster, kube_api: Kube, mesh: MeshClient, ingress: IngressClient
) -> None:
    """Every pod of the marked state runs again, also one whose status had come back before it had."""
    pods = kube_api.list_pods("default", "")
    kube_api.delete([f"Pod/default/{pod['metadata']['name']}" for pod in pods], force=True, gone=False)
    emulated.reset()

    names = {pod["metadata"]["name"] for pod in kube_api.list_pods("default", "")}
    assert names == {pod["metadata"]["name"] for pod in pods}
    until(lambda: mesh.send(RATINGS).status, lambda got: got == 200, what="calls pass", within=SOON)
    until(
        lambda: ingress.send(get("/productpage")).status, lambda got: got == 200, what="the page is back", within=SOON
    )


def test_what_is_not_emulated_is_refused_aloud(emulated: EmulatedCluster, kube_api: Kube) -> None:
    route = kube_api.get("HTTPRoute/default/ratings")
    redirect = [{"filters": [{"type": "RequestRedirect"}]}]
    changed = {key: route[key] for key in ("apiVersion", "kind")}
    changed |= {"metadata": {"name": "redirect", "namespace": "default"}, "spec": {"rules": redirect}}

    with pytest.raises(RequestRejected, match=r"spec\.rules\[0\]\.filters"):
        kube_api.apply([changed])
    with pytest.raises(SetupFailed, match="not emulated"):
        emulated.install(Release("kiali", "oci://example.com/kiali", "1.0.0", "kiali"))
    denying = {
        "apiVersion": "security.istio.io/v1",
        "kind": "AuthorizationPolicy",
        "metadata": {"name": "denying", "namespace": "default"},
        "spec": {"selector": {"matchLabels": {"app": "ratings"}}, "action": "DENY", "rules": []},
    }
    with pytest.raises(RequestRejected, match=r"spec\.action.*only 'ALLOW'"):
        kube_api.apply([denying])
    with pytest.raises(SetupFailed, match="known"):
        emulated.fault("no_such_switch")
    (pod,) = kube_api.list_pods("default", "app=mesh-client")
    ended = kube_api.exec_in_pod("default", pod["metadata"]["name"], "curl", ["rm", "-rf", "/"], within=SOON)
    assert (ended.code, "not emulated" in ended.stderr) == (126, True)


def test_nothing_listens_where_only_root_may(emulated: EmulatedCluster) -> None:
    """An ordinary user can run it: the port 80 of a Service lies elsewhere."""
    process = psutil.Process(emulated._call("GET", "/emulated/state")["pid"])
    ports = {c.laddr.port for one in (process, *process.children(True)) for c in one.net_connections() if not c.raddr}

    assert 60080 in ports
    assert [port for port in sorted(ports) if port < 1024] == []


def test_second_cluster_stands_beside_the_first_and_leaves_nothing(state: Path, emulated: EmulatedCluster) -> None:
    other = EmulatedCluster(settings(state, "emulated-other"), version_sets.load().pick())
    other.create()
    again = EmulatedCluster(settings(state, "emulated-other"), version_sets.load().pick())
    again.create()

    pid = other._call("GET", "/emulated/state")["pid"]
    assert again.reused
    assert again._call("GET", "/emulated/state")["pid"] == pid
    other.delete()
    other.delete()
    assert not psutil.pid_exists(pid)
    assert emulated._call("GET", "/emulated/state")["problems"] == {}


def test_emulator_ends_with_its_folder_and_its_children_with_it(state: Path) -> None:
    made = EmulatedCluster(settings(state, "emulated-gone"), version_sets.load().pick())
    made.create()
    try:
        process = psutil.Process(made._call("GET", "/emulated/state")["pid"])
        (made.home / "run" / "ready.json").unlink()
        process.wait(timeout=SOON)
    finally:
        made.delete()
