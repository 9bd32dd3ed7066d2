"""From the controller's word to the data plane's deed, with a limiter that may be down."""

import copy
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from harness import observations, timeouts
from harness.clients.http import IngressClient
from harness.components import Envoy
from harness.errors import Inconclusive, NotReady, SetupFailed
from harness.kube import Kube
from harness.waits import policy_propagation
from tests import recordings
from tests.fakes.api import FakeApi
from tests.fakes.clock import Clock

CLUSTER = "httproute/default/ratings/rule/0"
LIMITED = recordings.dump("admin/bookinfo-ingress-config_dump.json")
BROKEN = recordings.dump("admin/waypoint-config_dump.json")


class Proxy:
    """Stands in for Envoy: a configuration that changes with time."""

    gateway = "waypoint"

    def __init__(self, clock: Clock, *dumps: tuple[float, Any], **late: float) -> None:
        """`late` are replicas, each so many seconds behind; without, one that is not."""
        self._clock, self._began, self._dumps, self.late = clock, clock.be_exact(), dumps, late or {"wp": 0.0}

    def read_config_dumps(self) -> dict[str, Any]:
        found = {name: self._now(self._clock.now - self._began - late) for name, late in self.late.items()}
        for one in found.values():
            if isinstance(one, Exception):
                raise one
        return found

    def _now(self, passed: float) -> Any:
        return [dump for at, dump in self._dumps if max(passed, 0) >= at][-1]

    read_max_pending_requests_by_replica = Envoy.read_max_pending_requests_by_replica  # the real one, over these dumps


class Limiter:
    """Stands in for the limiter: its pod is ready, or there is none."""

    place = "edge/envoy-ratelimit"

    def __init__(self, up: bool = True) -> None:
        self.up = up

    @property
    def pods(self) -> Any:
        if not self.up:
            raise SetupFailed("the rate limit service is down")
        return {}

    def describe_trouble(self) -> str:
        return "its Redis has no ready pod"


def without(dump: Any, word: str) -> Any:
    """The dump with every object key of that name taken out."""
    if isinstance(dump, dict):
        return {k: without(v, word) for k, v in dump.items() if k != word}
    return [without(item, word) for item in dump] if isinstance(dump, list) else dump


def ingress(handle: Callable[[httpx.Request], httpx.Response]) -> IngressClient:
    return IngressClient("http://ingress.test", "a test", httpx.MockTransport(handle))


def test_accepted_is_awaited_and_timed(kube: Kube, api: FakeApi, clock: Clock) -> None:
    """Accepted comes from the policy's status, with the seconds since it was applied."""
    btp = recordings.objects("objects/btp.yaml")
    api.put(*btp.values())
    name = next(n for n, o in btp.items() if o["status"]["ancestors"][0]["conditions"][0]["status"] == "True")

    policy_propagation.wait_for_accepted(kube, f"BackendTrafficPolicy/default/{name}", since=clock.now - 2)

    (figure,) = observations.page().figures
    assert (figure.name, round(figure.seconds)) == ("policy applied to Accepted", 2)


def test_breaker_is_awaited_in_the_data_plane(clock: Clock) -> None:
    """Accepted is seconds before: the active cluster's own threshold is what counts, and how long it took."""
    other = copy.deepcopy(without(BROKEN, "circuit_breakers"))
    proxy = Proxy(clock, (0, other), (15, BROKEN))

    policy_propagation.wait_for_circuit_breaker(proxy, CLUSTER, pending=0, since=clock.now)  # type: ignore[arg-type]  # stands in for Envoy

    assert 15 <= clock.slept < 16
    (figure,) = observations.page().figures
    assert figure.name == "circuit breaker applied to enforced"
    assert 15 <= figure.seconds < 16


def test_every_replica_must_enforce(clock: Clock) -> None:
    """The slowest counts, and how far it was behind is a figure of its own; while one lags, it is named."""
    proxy = Proxy(clock, (0, without(BROKEN, "circuit_breakers")), (5, BROKEN), one=0, two=7)

    policy_propagation.wait_for_circuit_breaker(proxy, CLUSTER, pending=0, since=clock.now)  # type: ignore[arg-type]  # as above

    took, spread = observations.page().figures
    assert 12 <= took.seconds < 13
    assert spread.name == "circuit breaker applied to enforced, spread over replicas"
    assert spread.of == "waypoint, 2 replicas"
    assert 6.5 <= spread.seconds <= 7.5
    assert any("two was the last" in sighting.what for sighting in observations.page().sightings)

    lagging = Proxy(clock, (0, without(LIMITED, "rate_limits")), (5, LIMITED), one=0, two=1000)
    with pytest.raises(NotReady, match="last seen: one: True, two: False"):
        policy_propagation.wait_for_rate_limit(lagging, "ingress-bookinfo", there=True, since=clock.now)  # type: ignore[arg-type]  # as above


def test_breaker_taken_away_is_awaited_too(clock: Clock) -> None:
    """None is Envoy's own default: the threshold is gone."""
    proxy = Proxy(clock, (0, BROKEN), (5, without(BROKEN, "circuit_breakers")))

    policy_propagation.wait_for_circuit_breaker(proxy, CLUSTER, pending=None, since=clock.now)  # type: ignore[arg-type]  # as above

    assert observations.page().figures[0].name == "circuit breaker deleted to enforced"


def test_cluster_that_is_gone_is_not_one_without_a_breaker(clock: Clock) -> None:
    """A threshold is not gone while its cluster is: what replaces it may have one again."""
    proxy = Proxy(clock, (0, BROKEN), (2, without(BROKEN, "dynamic_active_clusters")), (9, BROKEN))

    with pytest.raises(NotReady, match="max_pending_requests None"):
        policy_propagation.wait_for_circuit_breaker(proxy, CLUSTER, pending=None, since=clock.now)  # type: ignore[arg-type]  # as above


def test_breaker_that_does_not_come(clock: Clock) -> None:
    """Accepted and not enforced is reported after a bounded time, by what was awaited."""
    proxy = Proxy(clock, (0, without(BROKEN, "circuit_breakers")))

    with pytest.raises(NotReady, match=f"Envoy waypoint holds max_pending_requests 0 for {CLUSTER}"):
        policy_propagation.wait_for_circuit_breaker(proxy, CLUSTER, pending=0, since=clock.now)  # type: ignore[arg-type]  # as above

    assert clock.slept <= timeouts.XDS_PROPAGATION + 1
    assert observations.page().figures == []


def test_silent_admin_port_is_not_yet(clock: Clock) -> None:
    """A proxy that restarts is asked again."""
    proxy = Proxy(clock, (0, Inconclusive("nobody answers")), (2, BROKEN))

    policy_propagation.wait_for_circuit_breaker(proxy, CLUSTER, pending=0, since=clock.now)  # type: ignore[arg-type]  # as above


def test_rate_limit_is_awaited_on_its_own_route(clock: Clock) -> None:
    """The route of that name has a limit; another route's limit is none of its."""
    proxy = Proxy(clock, (0, without(LIMITED, "rate_limits")), (2, LIMITED))

    policy_propagation.wait_for_rate_limit(proxy, "ingress-bookinfo", there=True, since=clock.now)  # type: ignore[arg-type]  # as above

    assert clock.slept >= 2
    with pytest.raises(NotReady, match="Envoy waypoint limits other-route"):
        policy_propagation.wait_for_rate_limit(proxy, "other-route", there=True, since=clock.now)  # type: ignore[arg-type]  # as above


def test_rate_limit_that_stays(clock: Clock) -> None:
    """A limit that outlives its policy is reported."""
    proxy = Proxy(clock, (0, LIMITED))

    with pytest.raises(NotReady, match="no longer limits ingress-bookinfo"):
        policy_propagation.wait_for_rate_limit(proxy, "ingress-bookinfo", there=False, since=clock.now)  # type: ignore[arg-type]  # as above


def test_route_that_is_gone_is_not_one_without_a_limit(clock: Clock) -> None:
    """A limit is not gone while its route is: what replaces it may have one again."""
    proxy = Proxy(clock, (0, LIMITED), (2, without(LIMITED, "dynamic_route_configs")), (9, LIMITED))

    with pytest.raises(NotReady, match="no longer limits ingress-bookinfo"):
        policy_propagation.wait_for_rate_limit(proxy, "ingress-bookinfo", there=False, since=clock.now)  # type: ignore[arg-type]  # as above


def test_limiter_answers_for_throwaway_callers(clock: Clock) -> None:
    """Each probe is a caller of its own, so that no quota is eaten; its header on a 200 is the limiter's word."""
    callers: list[str] = []

    def handle(request: httpx.Request) -> httpx.Response:
        callers.append(request.headers["x-user-id"])
        clock.now += 0.001
        return httpx.Response(200, headers={"x-ratelimit-limit": "3, 3;w=3600"} if len(callers) > 3 else {})

    policy_propagation.wait_for_rate_limit_service(ingress(handle), Limiter(), "/productpage")  # type: ignore[arg-type]  # stands in

    assert len(callers) == len(set(callers)) == 4


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200),
        httpx.Response(503, headers={"x-ratelimit-limit": "3"}),
        httpx.Response(429, headers={"x-ratelimit-limit": "3"}),
    ],
    ids=["200 without the header", "503", "429 to a fresh caller"],
)
def test_fail_open_is_a_broken_limiter(clock: Clock, answer: httpx.Response) -> None:
    """Envoy passes everything when the limiter is silent: that is reported as such, and not as a limit not enforced."""
    with pytest.raises(SetupFailed) as caught:
        policy_propagation.wait_for_rate_limit_service(ingress(lambda _: answer), Limiter(), "/productpage")  # type: ignore[arg-type]  # as above

    assert "the rate limit service does not answer Envoy, so Envoy lets every request pass" in str(caught.value)
    assert "edge/envoy-ratelimit and its Redis" in caught.value.remedy
    assert "does not mean that the limit is not enforced" in caught.value.remedy
    assert not isinstance(caught.value, NotReady)


def test_limiter_without_a_pod_is_reported_at_once(clock: Clock) -> None:
    """No request is sent when nobody could answer."""
    sent: list[int] = []

    with pytest.raises(SetupFailed, match="rate limit service is down"):
        policy_propagation.wait_for_rate_limit_service(
            ingress(lambda _: sent.append(1) or httpx.Response(200)),
            Limiter(up=False),  # type: ignore[arg-type]  # as above
            "/productpage",
        )

    assert sent == []
    assert clock.sleeps == []
