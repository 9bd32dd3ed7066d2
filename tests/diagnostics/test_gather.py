"""Diagnostics: everything that can be had, whatever cannot, and never an error."""

import importlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness import timeouts
from harness.diagnostics import gather
from harness.diagnostics.gather import KINDS, LOG_LIMIT, own_namespaces
from harness.kube import Kube
from harness.wait import until
from tests.fakes.api import FakeApi, named
from tests.fakes.cluster import FakeCluster
from tests.fakes.pods import pod
from tests.patience import SOON

HANG = 300.0  # seconds: gathering without a bound would take as long


@pytest.fixture
def full(api: FakeApi) -> FakeApi:
    """A cluster with a proxy, ztunnel, and an application that was restarted."""
    proxy = pod("default/wp-1", labels={})
    proxy["spec"]["containers"] = [{"name": "envoy"}, {"name": "shutdown-manager"}]
    tunnel = pod("istio-system/zt-1", labels={})
    tunnel["spec"]["containers"] = [{"name": "istio-proxy"}]
    restarted = pod("default/app-1", labels={}, containerStatuses=[{"name": "app", "restartCount": 2}])
    api.put(proxy, tunnel, restarted, named("Gateway/default/waypoint", status={"conditions": []}))
    for where in (
        ("default", "wp-1", "envoy"),
        ("default", "wp-1", "shutdown-manager"),
        ("istio-system", "zt-1", "istio-proxy"),
    ):
        api.logs[where] = f"log of {where[2]}\n"
    api.logs["default", "app-1", "app"] = "now\n"
    api.logs["default", "app-1", "app", "previous"] = "the life before\n"
    return api


@pytest.fixture
def admin(cluster: FakeCluster) -> Iterator[Callable[[], None]]:
    """Serves admin pages of both proxies."""

    class Page(BaseHTTPRequestHandler):
        wbufsize = -1

        def log_message(self, *_: object) -> None: ...

        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(f"page {self.path}\n".encode())

    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    cluster.urls = {("default", "wp-1", 19000): url, ("istio-system", "zt-1", 15000): url}
    yield lambda: None
    server.shutdown()
    server.server_close()


def files(folder: Path) -> set[str]:
    """All files below a folder."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def failures(folder: Path) -> str:
    return (folder / "failures.txt").read_text()


def test_everything_is_there(cluster: FakeCluster, full: FakeApi, admin: object, tmp_path: Path) -> None:
    """Objects of every kind, logs of every container and of lives before, admin pages, node logs, and why."""
    into = tmp_path / "a" / "b"

    gather(cluster, into, "test_x failed in call")

    assert (into / "why.txt").read_text() == "test_x failed in call\n"
    assert {f"objects/{kind}.yaml" for kind in KINDS} <= files(into)
    assert yaml.safe_load((into / "objects/Gateway.yaml").read_text())["metadata"]["name"] == "waypoint"
    assert (into / "logs/default/wp-1/envoy.log").read_text() == "log of envoy\n"
    assert (into / "logs/default/app-1/app.log").read_text() == "now\n"
    assert (into / "logs/default/app-1/app.previous.log").read_text() == "the life before\n"
    assert "logs/default/wp-1/envoy.previous.log" not in files(into)
    assert (into / "admin/default/wp-1/config_dump.txt").read_text() == "page /config_dump\n"
    assert {"admin/default/wp-1/stats.txt", "admin/istio-system/zt-1/config_dump.txt", "nodes.txt"} <= files(into)
    assert "failures.txt" not in files(into)


def test_one_failure_does_not_keep_the_others(
    cluster: FakeCluster, full: FakeApi, admin: object, tmp_path: Path
) -> None:
    """Each probe that fails is reported with its reason; every other one is there."""
    del full.logs["default", "wp-1", "envoy"]
    full.kinds -= {"BackendTrafficPolicy"}
    full.refuse("GET", "/namespaces/default/services", 403, "forbidden")
    full.put(named("Service/redis-system/redis"))
    del cluster.urls["istio-system", "zt-1", 15000]

    gather(cluster, tmp_path, "x")

    failed = failures(tmp_path)
    assert "logs/default/wp-1/envoy.log: ObjectMissing" in failed
    assert "objects/Service.yaml: RequestRejected: Service in default: 403 forbidden" in failed
    assert "admin/istio-system/zt-1/config_dump.txt: SetupFailed: no way to istio-system/zt-1:15000" in failed
    assert failed.count("\n") == 3
    assert {"logs/default/wp-1/shutdown-manager.log", "objects/Pod.yaml", "admin/default/wp-1/stats.txt"} <= files(
        tmp_path
    )
    assert "not defined here" in (tmp_path / "objects/BackendTrafficPolicy.yaml").read_text()
    assert "name: redis" in (tmp_path / "objects/Service.yaml").read_text()


def test_objects_under_test_are_among_the_evidence() -> None:
    """Whatever a suite applies or edits; of definitions, which are the charts', nobody needs megabytes."""
    suites = {"AuthorizationPolicy", "PeerAuthentication", "SecurityPolicy", "ReferenceGrant", "PodDisruptionBudget"}

    assert suites | {"ConfigMap", "ServiceAccount", "Event", "HTTPRoute"} <= set(KINDS)
    assert {"Secret", "CustomResourceDefinition"}.isdisjoint(KINDS)


def test_namespaces_are_ours() -> None:
    """The run's, those that manifests make beside it, and the stack's."""
    stack = {"istio-system", "envoy-gateway-system", "redis-system"}

    assert set(own_namespaces(Kube(Path(), ""))) == {"default", "elsewhere", *stack}
    assert set(own_namespaces(Kube(Path(), "", namespace="team-a"))) == {"team-a", "team-a-elsewhere", *stack}


def test_other_teams_things_are_left(cluster: FakeCluster, full: FakeApi, tmp_path: Path) -> None:
    """Objects, logs and namespaces of others are not even asked for, ours beyond the stack are taken."""
    theirs, ours = pod("payments/app-1", labels={}), pod("elsewhere/caller-1", labels={})
    full.put(theirs, ours, named("ConfigMap/payments/card-numbers"), named("ConfigMap/default/envoy-waypoint"))
    full.put(named("Namespace/payments"), named("Namespace/elsewhere"), named("Service/payments/app"))
    full.logs["payments", "app-1", "app"] = "a card number\n"
    full.logs["elsewhere", "caller-1", "app"] = "a caller\n"

    gather(cluster, tmp_path, "x")

    everything = {path: path.read_text() for path in tmp_path.rglob("*") if path.is_file()}
    assert [path for path, text in everything.items() if "payments" in text or "payments" in str(path)] == []
    assert full.asked("GET", "payments") == []
    assert everything[tmp_path / "logs/elsewhere/caller-1/app.log"] == "a caller\n"
    assert "name: envoy-waypoint" in everything[tmp_path / "objects/ConfigMap.yaml"]
    assert "name: elsewhere" in everything[tmp_path / "objects/Namespace.yaml"]


def test_api_that_is_down(cluster: FakeCluster, tmp_path: Path) -> None:
    """Without an API server the nodes' own logs are still there, and it is reported that nothing else is."""
    text = yaml.safe_load(cluster.kubeconfig.read_text())
    text["clusters"][0]["cluster"]["server"] = "http://127.0.0.1:1"
    cluster.kubeconfig.write_text(yaml.safe_dump(text))

    into = tmp_path / "into"

    gather(cluster, into, "the API server is gone")

    assert {"why.txt", "nodes.txt", "failures.txt"} == files(into)
    assert "objects/Pod.yaml: ApiUnavailable" in failures(into)
    assert "pods of istio-system: " in failures(into)


def test_cluster_that_was_never_made(cluster: FakeCluster, tmp_path: Path) -> None:
    """A kubeconfig that does not exist is reported."""
    cluster.kubeconfig = tmp_path / "none"

    gather(cluster, tmp_path / "into", "x")

    assert "BadInput" in failures(tmp_path / "into")
    assert (tmp_path / "into" / "nodes.txt").exists()


def test_clusters_own_gathering_may_fail(cluster: FakeCluster, full: FakeApi, tmp_path: Path) -> None:
    """What only the cluster can tell is a probe like any other: its failure is reported too."""

    def broken(into: Path) -> None:
        raise OSError("no space left on device")

    cluster.gather = broken  # type: ignore[method-assign]  # for this test

    gather(cluster, tmp_path, "x")

    assert "cluster fake: OSError: no space left on device" in failures(tmp_path)


@pytest.mark.parametrize("obstacle", ["a file in the way", "a folder in the way of a probe"])
def test_nowhere_to_write(cluster: FakeCluster, full: FakeApi, tmp_path: Path, obstacle: str) -> None:
    """A disk that takes nothing is no error of ours."""
    into = tmp_path / "into"
    if obstacle == "a file in the way":
        into.touch()
    else:
        (into / "objects" / "Pod.yaml").mkdir(parents=True)

    gather(cluster, into, "x")

    assert obstacle == "a file in the way" or "objects/Pod.yaml: IsADirectoryError" in failures(into)


def test_secrets_are_taken_out(cluster: FakeCluster, full: FakeApi, tmp_path: Path) -> None:
    """Tokens and keys do not lie in artifacts: not in objects, logs, reasons or failures."""
    full.logs["default", "app-1", "app"] = "authorization: Bearer abc.secret.def\npassword: hunter2\n"
    full.put(named("ConfigMap/default/x", data={"settings": "url: redis://:c0nfig@redis:6379\nx: y\n"}))
    full.put(named("Service/default/x", metadata={"annotations": {"token": "t0ps3cret"}}))
    variable = {"name": "app", "env": [{"name": "DB_PASSWORD", "value": "v4riable"}], "args": ["--token=4rgument"]}
    applied = {"metadata": {"annotations": {"last-applied": json.dumps(variable)}}}
    full.put(named("Deployment/default/x", spec={"template": {"spec": {"containers": [variable]}}}, **applied))
    full.refuse("GET", "/nodes", 403, "token: fa1led")

    gather(cluster, tmp_path, "failed with password: wh1")

    everything = "".join(path.read_text() for path in tmp_path.rglob("*") if path.is_file())
    assert "[redacted]" in everything
    for secret in ("abc.secret.def", "hunter2", "t0ps3cret", "fa1led", "wh1", "c0nfig", "v4riable", "4rgument"):
        assert secret not in everything


def test_long_logs_are_cut_at_their_beginning(cluster: FakeCluster, full: FakeApi, tmp_path: Path) -> None:
    """The end of a log is what reports a failure."""
    full.logs["default", "app-1", "app"] = "x" * LOG_LIMIT + "the end\n"

    gather(cluster, tmp_path, "x")

    kept = (tmp_path / "logs/default/app-1/app.log").read_text()
    assert kept.endswith("the end\n")
    assert len(kept) == LOG_LIMIT


def test_time_is_bounded(cluster: FakeCluster, full: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that hangs does not hold up the end of a run: what did not come is reported."""
    monkeypatch.setattr(timeouts, "GATHER", 0.3)
    gathering = importlib.import_module("harness.diagnostics.gather")
    bounded = gathering.wait

    def wait(*args: Any, **kwargs: Any) -> Any:
        until((tmp_path / "nodes.txt").exists, bool, what="the cluster's own part is there", within=SOON, every=0.01)
        return bounded(*args, **kwargs)

    monkeypatch.setattr(gathering, "wait", wait)
    full.hang("GET", "/pods", HANG)
    full.hang("GET", "/services", HANG)
    began = time.monotonic()

    gather(cluster, tmp_path, "x")

    assert time.monotonic() - began < HANG
    assert "probes did not end within 0.3s" in failures(tmp_path)
    assert (tmp_path / "nodes.txt").exists()
    full.done.set()


def test_tunnels_are_closed(cluster: FakeCluster, full: FakeApi, admin: object, tmp_path: Path) -> None:
    """No port-forward outlives the gathering."""
    gather(cluster, tmp_path, "x")

    assert sorted(cluster.closed) == sorted(cluster.opened) != []
