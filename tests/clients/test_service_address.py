"""How a Service is reached: by what works, and said so."""

from typing import Any

import pytest

from harness import timeouts
from harness.clients import service_address as module
from harness.clients.http import can_connect
from harness.clients.service_address import open_address
from harness.errors import SetupFailed
from harness.kube import Kube, ObjectMissing
from tests.fakes.api import FakeApi, named
from tests.fakes.cluster import FakeCluster
from tests.fakes.pods import pod

SERVICE = "default/bookinfo-ingress"
LABELS = {"app": "ingress"}


def service(*, addresses: list[dict[str, str]] | None = None, node_port: int | None = None, target: Any = 10080) -> Any:
    """A Service of port 80."""
    port = {"port": 80, "targetPort": target} | ({"nodePort": node_port} if node_port else {})
    return named(
        f"Service/{SERVICE}",
        spec={"selector": LABELS, "ports": [{"port": 443, "nodePort": 30443}, port]},
        status={"loadBalancer": {"ingress": addresses} if addresses else {}},
    )


@pytest.fixture
def open_to(monkeypatch: pytest.MonkeyPatch) -> set[tuple[str, int]]:
    """The addresses that can be connected to."""
    reachable: set[tuple[str, int]] = set()
    monkeypatch.setattr(module, "can_connect", lambda host, port: (host, port) in reachable)
    monkeypatch.setattr(module, "is_refused", lambda host, port: False)
    return reachable


def ready(name: str, host: str = "172.18.0.3", *, yes: bool = True) -> Any:
    """A proxy pod on that node."""
    made = pod(f"default/{name}", labels=LABELS, ready=yes)
    made["status"]["hostIP"] = host
    return made


def test_load_balancer_comes_first(
    cluster: FakeCluster, kube: Kube, api: FakeApi, open_to: set[tuple[str, int]]
) -> None:
    """An address of the load balancer that works is taken, at the Service's own port."""
    api.put(service(addresses=[{"ip": "10.0.0.4"}], node_port=30080), ready("p1"))
    open_to |= {("10.0.0.4", 80), ("172.18.0.3", 30080)}

    with open_address(cluster, kube, SERVICE, 80) as found:
        assert (found.url, found.via) == ("http://10.0.0.4:80", "load balancer 10.0.0.4:80")


def test_load_balancer_by_name(cluster: FakeCluster, kube: Kube, api: FakeApi, open_to: set[tuple[str, int]]) -> None:
    """Clouds give a host name; the second address may be the one that works."""
    api.put(service(addresses=[{"ip": "10.0.0.4"}, {"hostname": "lb.example"}]), ready("p1"))
    open_to |= {("lb.example", 80)}

    with open_address(cluster, kube, SERVICE, 80) as found:
        assert found.via == "load balancer lb.example:80"


def test_node_port_of_a_node_that_runs_the_proxy(
    cluster: FakeCluster, kube: Kube, api: FakeApi, open_to: set[tuple[str, int]]
) -> None:
    """The node of a ready pod is asked, not any node: traffic policy is Local. The port is that of the asked port."""
    api.put(service(addresses=[{"ip": "10.0.0.4"}], node_port=30080), ready("p0", "172.18.0.9", yes=False), ready("p1"))
    open_to |= {("172.18.0.3", 30080), ("172.18.0.9", 30080)}

    with open_address(cluster, kube, SERVICE, 80) as found:
        assert (found.url, found.via) == ("http://172.18.0.3:30080", "node port 172.18.0.3:30080")


def test_refused_address_is_tried_again(
    cluster: FakeCluster, kube: Kube, api: FakeApi, open_to: set[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the node refuses at first, its port is awaited; port-forward would end with the first refusal."""
    api.put(service(node_port=30080), ready("p1"))

    def refuse_once(host: str, port: int) -> bool:
        first = (host, port) not in open_to
        open_to.add((host, port))
        return first

    monkeypatch.setattr(module, "is_refused", refuse_once)

    with open_address(cluster, kube, SERVICE, 80) as found:
        assert found.via == "node port 172.18.0.3:30080"


def test_address_that_refuses_for_good_is_given_up(
    cluster: FakeCluster, kube: Kube, api: FakeApi, open_to: set[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An address that still refuses after its time is passed over for port-forward."""
    api.put(service(node_port=30080), ready("p1"))
    cluster.urls = {("default", "p1", 10080): "http://127.0.0.1:40123"}
    monkeypatch.setattr(module, "is_refused", lambda host, port: True)
    monkeypatch.setattr(timeouts, "LISTENER", 0.0)

    with open_address(cluster, kube, SERVICE, 80) as found:
        assert found.via == "port-forward to pod default/p1"


def test_port_forward_is_the_last_way(
    cluster: FakeCluster, kube: Kube, api: FakeApi, open_to: set[tuple[str, int]]
) -> None:
    """Where nothing connects, kubectl reaches the target port of a ready pod, and stops after the block."""
    api.put(service(node_port=30080), ready("p0", yes=False), ready("p1"))
    cluster.urls = {("default", "p1", 10080): "http://127.0.0.1:40123"}

    with open_address(cluster, kube, SERVICE, 80) as found:
        assert (found.url, found.via) == ("http://127.0.0.1:40123", "port-forward to pod default/p1")
        assert cluster.closed == []

    assert cluster.closed == [("default", "p1", 10080)]


def test_target_port_defaults_to_the_port(
    cluster: FakeCluster, kube: Kube, api: FakeApi, open_to: set[tuple[str, int]]
) -> None:
    """A Service without targetPort targets its own number."""
    api.put(service(target=None), ready("p1"))
    cluster.urls = {("default", "p1", 80): "http://127.0.0.1:1"}

    with open_address(cluster, kube, SERVICE, 80) as found:
        assert found.url == "http://127.0.0.1:1"


def test_no_way_lists_what_was_tried(
    cluster: FakeCluster, kube: Kube, api: FakeApi, open_to: set[tuple[str, int]]
) -> None:
    """Without a ready pod there is no way; every address that was tried is reported."""
    api.put(service(addresses=[{"ip": "10.0.0.4"}], node_port=30080), ready("p0", yes=False))

    with (
        pytest.raises(SetupFailed, match=r"no ready pod behind it \(tried: load balancer 10\.0\.0\.4:80\)"),
        open_address(cluster, kube, SERVICE, 80),
    ):
        pass


def test_nothing_to_try_is_reported(
    cluster: FakeCluster, kube: Kube, api: FakeApi, open_to: set[tuple[str, int]]
) -> None:
    """No address at all is reported as such; a Service that does not exist is Missing."""
    with pytest.raises(ObjectMissing), open_address(cluster, kube, SERVICE, 80):
        pass
    api.put(service())

    with pytest.raises(SetupFailed, match="tried: no address"), open_address(cluster, kube, SERVICE, 80):
        pass


def test_error_of_the_block_goes_on(
    cluster: FakeCluster, kube: Kube, api: FakeApi, open_to: set[tuple[str, int]]
) -> None:
    """What fails while reached is not taken for an address that does not work."""
    api.put(service(addresses=[{"ip": "10.0.0.4"}, {"ip": "10.0.0.5"}]), ready("p1"))
    open_to |= {("10.0.0.4", 80), ("10.0.0.5", 80)}

    with pytest.raises(ZeroDivisionError), open_address(cluster, kube, SERVICE, 80):
        raise ZeroDivisionError


def test_ipv6_addresses_are_bracketed(
    cluster: FakeCluster, kube: Kube, api: FakeApi, open_to: set[tuple[str, int]]
) -> None:
    """A load balancer and nodes with IPv6 addresses; on dual stack the node's other address is tried too."""
    dual = ready("p1", "172.18.0.3")
    dual["status"]["hostIPs"] = [{"ip": "172.18.0.3"}, {"ip": "fd00::3"}]
    api.put(service(addresses=[{"ip": "fd00::4"}], node_port=30080), dual)

    open_to |= {("fd00::4", 80)}
    with open_address(cluster, kube, SERVICE, 80) as found:
        assert (found.url, found.via) == ("http://[fd00::4]:80", "load balancer [fd00::4]:80")
    open_to.clear()
    open_to |= {("fd00::3", 30080)}
    with open_address(cluster, kube, SERVICE, 80) as found:
        assert (found.url, found.via) == ("http://[fd00::3]:30080", "node port [fd00::3]:30080")


def test_named_target_port_is_the_pods(
    cluster: FakeCluster, kube: Kube, api: FakeApi, open_to: set[tuple[str, int]]
) -> None:
    """A target port may be the name of a container's port; a name that no container has is refused."""
    proxy = ready("p1")
    proxy["spec"]["containers"] = [{"name": "a"}, {"name": "b", "ports": [{"name": "http", "containerPort": 10080}]}]
    api.put(service(target="http"), proxy)
    cluster.urls = {("default", "p1", 10080): "http://127.0.0.1:1"}

    with open_address(cluster, kube, SERVICE, 80) as found:
        assert found.via == "port-forward to pod default/p1"
    api.put(service(target="htpp"))
    with (
        pytest.raises(SetupFailed, match="targetPort 'htpp' is not the name of a port in pod p1"),
        open_address(cluster, kube, SERVICE, 80),
    ):
        pass


def test_port_that_the_service_lacks(cluster: FakeCluster, kube: Kube, api: FakeApi) -> None:
    """Another port than the Service's is refused with those it has."""
    api.put(service())

    with (
        pytest.raises(SetupFailed, match=r"Service default/bookinfo-ingress has no port 81, only \[80, 443\]"),
        open_address(cluster, kube, SERVICE, 81),
    ):
        pass


@pytest.mark.parametrize("host", ["::1", "a b"])
def test_any_host_can_be_tried(host: str) -> None:
    """Where nobody listens, or nobody could, the answer is no, and no error."""
    assert not can_connect(host, 1)
