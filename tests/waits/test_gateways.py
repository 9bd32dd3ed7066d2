"""The article's proxies: ready when the data plane carries a request."""

from typing import Any

import httpx
import pytest

from harness import observations, timeouts
from harness.clients.http import IngressClient
from harness.disruption import deployment_env
from harness.errors import NotReady, Terminal
from harness.http_exchange import Answer, Answers
from harness.kube import Kube
from harness.undo.temporary_changes import Manifests
from harness.wait import set_patience
from harness.waits import bind_to_waypoint, envoy_config, gateways
from tests import recordings
from tests.fakes.api import FakeApi, named
from tests.fakes.clock import Clock
from tests.fakes.pods import deployment, pod

GATEWAY = {"gateway.envoyproxy.io/owning-gateway-name": "waypoint"}
URL = "http://ratings:9080/ratings/0"
BOUND = {
    "conditions": [
        {
            "type": "istio.io/WaypointBound",
            "status": "True",
            "reason": "WaypointAccepted",
            "message": "default/waypoint",
        }
    ]
}


class Client:
    """Answers with these statuses in turn, the last for ever."""

    via = "a test"

    def __init__(self, *statuses: int) -> None:
        self._left, self.sent = list(statuses), 0

    def send_in_turn(self, request: Any) -> Answers:
        self.sent += 1
        status = self._left.pop(0) if len(self._left) > 1 else self._left[0]
        return Answers((Answer(f"rq-{self.sent}", status, {}, 1),))


class Envoy:
    """Its log has the requests in `logged`, and its endpoints are those of `addresses` in turn."""

    gateway, namespace = "waypoint", "default"

    def __init__(self, *logged: str, addresses: tuple[set[str], ...] = ()) -> None:
        self.logged, self._addresses = set(logged), list(addresses)

    def has_no_line_of(self, answers: Answers, since: Any) -> bool:
        return not self.logged & set(answers.ids)

    def read_endpoints(self, cluster: str) -> dict[str, set[str]]:
        return {"wp-1": self._addresses.pop(0) if len(self._addresses) > 1 else self._addresses[0]}


def test_call_must_pass_the_waypoint(clock: Clock) -> None:
    """A 200 that the waypoint's log does not have went past it: the wait goes on until one passed."""
    client = Client(200)

    answer = bind_to_waypoint.wait_for_waypoint_traffic(client, Envoy("rq-4"), URL)  # type: ignore[arg-type]  # stand-ins

    assert answer.status == 200
    assert client.sent == 4


def test_line_of_an_earlier_probe_counts(clock: Clock) -> None:
    """Envoy flushes its log now and then: a line may come a probe late, but not of any age."""
    client, envoy = Client(200), Envoy()
    original = client.send_in_turn

    def send_in_turn(request: Any) -> Answers:
        if client.sent == 4:
            envoy.logged = {"rq-3"}
        return original(request)

    client.send_in_turn = send_in_turn  # type: ignore[method-assign]  # for this test

    bind_to_waypoint.wait_for_waypoint_traffic(client, envoy, URL)  # type: ignore[arg-type]  # stand-ins

    assert client.sent == 5


@pytest.mark.parametrize(("client", "logged", "why"), [(Client(200), (), "lacks it"), (Client(503), ("rq-1",), "503")])
def test_call_that_never_passes(clock: Clock, client: Client, logged: tuple[str, ...], why: str) -> None:
    """A bypassed waypoint, or one that does not serve, is reported as that."""
    with pytest.raises(NotReady, match=f"answers 200 through waypoint waypoint: .*{why}"):
        bind_to_waypoint.wait_for_waypoint_traffic(client, Envoy(*logged), URL)  # type: ignore[arg-type]  # stand-ins

    assert clock.slept <= timeouts.XDS_PROPAGATION + 1


def test_ingress_serves(clock: Clock) -> None:
    """A page is awaited until it answers 200; what it answered instead is reported."""
    left = [404, 503, 200]
    client = IngressClient("http://x", "node port", httpx.MockTransport(lambda _: httpx.Response(left.pop(0))))

    assert gateways.wait_for_ingress_response(client, "/productpage").status == 200
    left += [404] * 1000
    with pytest.raises(NotReady, match=r"/productpage answers 200 through the ingress \(node port\): .*404"):
        gateways.wait_for_ingress_response(client, "/productpage")


def test_every_proxy_pod_is_ready(kube: Kube, api: FakeApi, clock: Clock) -> None:
    """None, one of two that is not ready, or fewer than wanted are not all."""
    set_patience(0.02)
    with pytest.raises(NotReady, match=r"every proxy pod of Gateway waypoint is ready: .*0 of 1 ready"):
        gateways.wait_for_proxy_pod(kube, "waypoint")
    api.put(pod("default/w-1", labels=GATEWAY), pod("default/w-2", labels=GATEWAY, ready=False))
    with pytest.raises(NotReady, match="1 of 2 ready"):
        gateways.wait_for_proxy_pod(kube, "waypoint")
    api.put(pod("default/w-2", labels=GATEWAY))
    gateways.wait_for_proxy_pod(kube, "waypoint", wanted=2)
    with pytest.raises(NotReady, match="2 of 3 ready"):
        gateways.wait_for_proxy_pod(kube, "waypoint", wanted=3)


def test_proxy_pods_of_a_deleted_gateway_are_gone(kube: Kube, api: FakeApi, clock: Clock) -> None:
    """One that is on its way out is still there; another Gateway's does not count."""
    other = pod("default/other", labels={"gateway.envoyproxy.io/owning-gateway-name": "other"})
    leaving = pod("default/wp-1", labels=GATEWAY, ready=False)
    leaving["metadata"]["deletionTimestamp"] = "2026-11-21T00:00:00Z"
    api.put(other)
    gateways.wait_for_no_proxy_pods(kube, "waypoint")

    api.put(leaving)
    with pytest.raises(NotReady, match=r"the proxy pods of Gateway waypoint are gone.*1 are left"):
        gateways.wait_for_no_proxy_pods(kube, "waypoint")


def test_gateway_is_programmed_its_route_accepted_its_proxy_ready(kube: Kube, api: FakeApi, clock: Clock) -> None:
    """All of it as recorded from a real cluster."""
    recorded, routes = recordings.objects("objects/gateway.yaml"), recordings.objects("objects/httproute.yaml")
    api.put(*recorded.values(), *routes.values(), pod("default/w-1", labels=GATEWAY))

    gateways.wait_for_gateway(kube, "waypoint", "ratings")


def load_balanced(status: str, reason: str, *addresses: str) -> Any:
    """A Gateway whose Programmed condition has that status and reason, with these addresses in its status."""
    condition = {"type": "Programmed", "status": status, "reason": reason, "message": "m", "observedGeneration": 1}
    found = [{"type": "IPAddress", "value": address} for address in addresses]
    return named(
        "Gateway/default/lb-ingress", metadata={"generation": 1}, status={"conditions": [condition], "addresses": found}
    )


def test_addresses_are_those_of_the_status(kube: Kube, api: FakeApi, clock: Clock) -> None:
    """All of them, in the status's order, once the Gateway is Programmed; the status is the claim's witness."""
    api.put(load_balanced("True", "Programmed", "172.18.255.232", "fd00::1"))

    assert gateways.wait_for_addresses(kube, "lb-ingress") == ["172.18.255.232", "fd00::1"]
    (seen,) = [one for one in observations.current().sightings if one.who == "status of Gateway/default/lb-ingress"]
    assert "172.18.255.232, fd00::1" in seen.what


@pytest.mark.parametrize(
    ("gateway", "why"),
    [
        (load_balanced("False", "AddressNotAssigned", "172.18.255.232"), "Programmed=True: .*AddressNotAssigned"),
        (load_balanced("True", "Programmed"), r"has an address in its status: .*last seen: \[\]"),
    ],
)
def test_address_that_is_not_assigned(kube: Kube, api: FakeApi, clock: Clock, gateway: Any, why: str) -> None:
    """An address alone is not enough, nor Programmed alone: the error quotes what is missing."""
    api.put(gateway)

    with pytest.raises((NotReady, Terminal), match=why):
        gateways.wait_for_addresses(kube, "lb-ingress")

    assert clock.slept <= timeouts.STATUS + 1


@pytest.mark.parametrize(
    ("address", "base"), [("172.18.255.232", "http://172.18.255.232:80"), ("fd00::1", "http://[fd00::1]:80")]
)
def test_client_of_an_assigned_address_waits_until_it_is_announced(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, address: str, base: str
) -> None:
    """It goes to exactly that address, after the first connection that was accepted."""
    asked, announced = list[tuple[str, int]](), [False, False, True]

    def connects(host: str, port: int) -> bool:
        asked.append((host, port))
        return announced.pop(0)

    monkeypatch.setattr(gateways, "can_connect", connects)

    client = gateways.client_at(address, 80)

    assert asked == [(address, 80)] * 3
    assert client.base_url == base
    assert client.via == f"assigned address {base.removeprefix('http://')}"


def test_client_of_an_address_that_nobody_announces(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is a client after a bounded wait: a request that fails breaks the claim, a setup error would not."""
    monkeypatch.setattr(gateways, "can_connect", lambda *_: False)

    assert gateways.client_at("172.18.255.232", 80).base_url == "http://172.18.255.232:80"

    assert timeouts.ANNOUNCED - 1 <= clock.slept <= timeouts.ANNOUNCED + 1


def test_gateway_without_its_backend_is_terminal_or_told(kube: Kube, api: FakeApi, clock: Clock) -> None:
    """A route to a backend that does not exist ends the wait with the controller's words."""
    recorded = recordings.objects("objects/gateway.yaml")
    route = recordings.obj("negative/httproute-neg-missing-backend.yaml")
    api.put(*recorded.values(), route, pod("default/w-1", labels=GATEWAY))

    with pytest.raises((Terminal, NotReady), match="ResolvedRefs"):
        gateways.wait_for_gateway(kube, "waypoint", route["metadata"]["name"])


def test_service_is_bound_by_its_label(kube: Kube, api: FakeApi, clock: Clock) -> None:
    """The label is set, and istiod's word awaited."""
    api.put(named("Service/default/ratings", metadata={"labels": {"app": "ratings"}}, status=BOUND))

    bind_to_waypoint.bind_service(kube, "ratings", "waypoint")

    assert api.objects["Service/default/ratings"]["metadata"]["labels"] == {
        "app": "ratings",
        bind_to_waypoint.USE_WAYPOINT: "waypoint",
    }


@pytest.mark.parametrize("before", [{}, {bind_to_waypoint.USE_WAYPOINT: "theirs"}])
def test_service_of_the_stack_is_bound_for_a_while(
    manifests: Manifests, api: FakeApi, clock: Clock, before: dict[str, str]
) -> None:
    """Within the block it has our waypoint, after it that of before, or none; other labels are not touched."""
    api.put(named("Service/default/ratings", metadata={"labels": {"app": "ratings"} | before}, status=BOUND))
    with bind_to_waypoint.while_service_bound(manifests, "ratings", "waypoint"):
        within = api.objects["Service/default/ratings"]["metadata"]["labels"]

    assert within == {"app": "ratings", bind_to_waypoint.USE_WAYPOINT: "waypoint"}
    assert api.objects["Service/default/ratings"]["metadata"]["labels"] == {"app": "ratings"} | before


def test_service_that_is_not_bound(kube: Kube, api: FakeApi, clock: Clock) -> None:
    """A waypoint that istiod does not take is reported in its words."""
    service = recordings.obj("negative/svc-neg-bogus-waypoint.yaml")
    api.put(service)

    with pytest.raises((NotReady, Terminal), match="WaypointBound"):
        bind_to_waypoint.bind_service(kube, service["metadata"]["name"], "bogus")


@pytest.mark.parametrize("raises", [False, True])
def test_environment_is_given_and_taken_back(manifests: Manifests, api: FakeApi, clock: Clock, raises: bool) -> None:
    """Within the block the container has the variable, after it what it had before, also when the block raised."""
    before = deployment("default/ratings-v1", ready=1)
    before["spec"]["template"]["spec"]["containers"] = [
        {"name": "ratings", "image": "r:1", "env": [{"name": "A", "value": "1"}]},
        {"name": "other", "image": "o:1"},
    ]
    api.put(before)

    def containers() -> Any:
        return api.objects["Deployment/default/ratings-v1"]["spec"]["template"]["spec"]["containers"]

    try:
        with deployment_env.while_environment_set(manifests, "ratings-v1", "ratings", SERVICE_VERSION="v-delayed"):
            within = containers()
            if raises:
                raise ZeroDivisionError
    except ZeroDivisionError:
        assert raises

    assert within[0]["env"] == [{"name": "A", "value": "1"}, {"name": "SERVICE_VERSION", "value": "v-delayed"}]
    assert within[1] == {"name": "other", "image": "o:1"}
    assert containers() == before["spec"]["template"]["spec"]["containers"]


def test_environment_that_does_not_roll_out_is_taken_back(manifests: Manifests, api: FakeApi, clock: Clock) -> None:
    """A rollout that fails leaves the Deployment as it was found."""
    set_patience(0.02)
    api.put(deployment("default/ratings-v1"))

    with (
        pytest.raises(NotReady),
        deployment_env.while_environment_set(manifests, "ratings-v1", "app", SERVICE_VERSION="v-delayed"),
    ):
        pass

    assert "env" not in api.objects["Deployment/default/ratings-v1"]["spec"]["template"]["spec"]["containers"][0]


def test_proxy_follows_a_rollout(kube: Kube, api: FakeApi, clock: Clock) -> None:
    """Envoy's endpoints are exactly the pods there are, none that is on its way out."""
    api.put(pod("default/ratings-2", labels={"app": "ratings"}, ip="10.0.0.8"))
    envoy = Envoy(addresses=({"10.0.0.7:9080"}, {"10.0.0.7:9080", "10.0.0.8:9080"}, {"10.0.0.8:9080"}))

    envoy_config.wait_for_endpoints(envoy, kube, "c", "app=ratings", 9080)  # type: ignore[arg-type]  # stands in for Envoy

    assert len(clock.sleeps) == 2


def test_no_pods_are_not_followed(kube: Kube, api: FakeApi, clock: Clock) -> None:
    """No endpoint and no pod is no agreement."""
    with pytest.raises(NotReady, match=r"calls {'wp-1': \[\]}, pods are \[\]"):
        envoy_config.wait_for_endpoints(Envoy(addresses=(set(),)), kube, "c", "app=ratings", 9080)  # type: ignore[arg-type]  # as above
