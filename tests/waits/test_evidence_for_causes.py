"""What is read of the cluster once something failed: objects, ztunnel's and the proxies' logs; never an error."""

from __future__ import annotations

import json
import time

import pytest

from harness import timeouts
from harness.kube import Kube
from harness.objects.stack_places import StackPlaces
from harness.observations import Sighting
from harness.waits import evidence_for_causes
from tests.fakes.api import FakeApi, named
from tests.recordings import text

BOUND = 120.0  # seconds: a busy machine reads slowly, and no test is about how fast
OVERFLOW = json.loads(text("logs/access-503.json"))
REJECTED = (
    "2026-11-21T01:06:34.500000Z\terror\taccess\tconnection complete\tsrc.addr=10.244.0.8:40000 "
    'src.identity="spiffe://cluster.local/ns/default/sa/waypoint" dst.addr=10.244.0.9:15008 '
    'dst.hbone_addr=10.244.0.9:9080 dst.workload="ratings-v1" dst.namespace="default" direction="inbound" bytes_sent=0 '
    'bytes_recv=0 duration="0ms" error="connection closed due to policy rejection: explicitly denied by: default/deny"'
)


@pytest.fixture(autouse=True)
def _unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeouts, "CAUSES", BOUND)


def answered(status: int, id: str = "rq-1") -> Sighting:
    """A client saw an answer of a time before the recorded log lines."""
    raw = json.dumps({"id": id, "status": status, "error": "", "headers": {}, "body": ""})
    return Sighting("mesh client", f"<1 answers: {status} x 1> to http://ratings:9080/ratings/0", 1.0, raw=(raw,))


def why(kube: Kube, message: str, *seen: Sighting) -> list[str]:
    return [cause.sentence for cause in evidence_for_causes.find_failure_causes(kube, message, seen)]


def test_logs_of_ztunnel_are_read_for_failed_requests(kube: Kube, api: FakeApi) -> None:
    """The policy that rejected the waypoint's connection is in no answer."""
    api.put(named("Pod/istio-system/ztunnel-1", metadata={"labels": {"app": "ztunnel"}}))
    api.logs["istio-system", "ztunnel-1", "istio-proxy"] = REJECTED + "\n"

    assert why(kube, "assert [503] == [200]", answered(503))[0].startswith(
        "AuthorizationPolicy default/deny denies spiffe://cluster.local/ns/default/sa/waypoint"
    )


def test_policies_of_the_root_namespace_are_read(kube: Kube, api: FakeApi) -> None:
    """A mesh-wide policy of others, in the namespace that the mesh has for those."""
    spec = {"mtls": {"mode": "STRICT"}}
    api.put(
        named("PeerAuthentication/root/strict", spec=spec), named("PeerAuthentication/istio-system/other", spec=spec)
    )
    kube.places = StackPlaces(istiod="istio-system/istiod", root_namespace="root")

    found = " ".join(why(kube, "assert [503] == [200]", answered(503)))

    assert "PeerAuthentication root/strict" in found
    assert "is STRICT for the whole mesh" in found
    assert "istio-system/other" not in found


def test_access_lines_are_read_that_the_test_had_not_asked_for(kube: Kube, api: FakeApi) -> None:
    """Of the failed requests alone."""
    labels = {"gateway.envoyproxy.io/owning-gateway-name": "waypoint"}
    api.put(named("Pod/default/waypoint-1", metadata={"labels": labels}))
    mine, other = OVERFLOW | {"user-agent": "e2e/rq-1"}, OVERFLOW | {"user-agent": "e2e/rq-2", "response_flags": "UT"}
    api.logs["default", "waypoint-1", "envoy"] = f"{json.dumps(other)}\n{json.dumps(mine)}\n"

    (cause,) = why(kube, "assert [503] == [200]", answered(503))

    assert "says of 1 request: circuit breaker overflow (UO)" in cause


def test_lines_among_what_was_seen_count(kube: Kube, api: FakeApi) -> None:
    """A witness of the test has read them already."""
    seen = Sighting("waypoint access log", "1 lines joined by request id", 2.0, raw=(json.dumps(OVERFLOW),))

    assert "circuit breaker overflow" in why(kube, "assert [503] == [200]", answered(503, ""), seen)[0]


def test_log_of_the_gateway_that_lacks_lines_is_read_though_another_has_them(kube: Kube, api: FakeApi) -> None:
    """The ingress's line of a request is known; the waypoint's log is what the failure is about."""
    api.put(named("Pod/default/w", metadata={"labels": {"gateway.envoyproxy.io/owning-gateway-name": "waypoint"}}))
    api.logs["default", "w", "envoy"] = ""
    own = json.dumps(OVERFLOW | {"user-agent": "e2e/rq-1"})
    seen = Sighting("ingress access log", "1 lines joined by request id", 2.0, raw=(own,))
    text = "access lines of 1 requests at Gateway waypoint: not within 2s (15 tries); last seen: lines of 0"

    assert why(kube, text, answered(200), seen) == [
        "The access log of Gateway waypoint has lines of 0 of 1 requests: is it disabled, or were they sent elsewhere?"
    ]


def test_changes_among_what_was_seen_are_causes(kube: Kube) -> None:
    seen = Sighting("live objects", "HTTPRoute default/r was not as the harness applied it: spec is absent", 2.0)

    assert why(kube, "assert 1 == 2", seen, seen) == [seen.what]


def test_server_that_refuses_or_is_silent_hides_nothing(
    kube: Kube, api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No rights: no cause. No answer: no cause either, and not for longer than the bound."""
    api.refuse("GET", "", 403)
    assert why(kube, "assert [503] == [200]", answered(503)) == []

    monkeypatch.setattr(timeouts, "CAUSES", 0.2)
    monkeypatch.setattr(evidence_for_causes, "_read_kind", lambda *_: time.sleep(5))
    assert why(kube, "assert [503] == [200]", answered(503)) == []


def test_pods_that_were_not_read_are_not_taken_for_missing(kube: Kube, api: FakeApi) -> None:
    """A workload without a pod is named, unless the stack's pods may not be read."""
    api.put(named("DaemonSet/istio-system/ztunnel", spec={"template": {"metadata": {"labels": {"app": "ztunnel"}}}}))
    assert "ztunnel has no pod" in why(kube, "assert [503] == [200]", answered(503))[0]

    api.refuse("GET", "/api/v1/namespaces/istio-system/pods", 403)
    assert why(kube, "assert [503] == [200]", answered(503)) == []


def test_objects_of_the_suite_are_those_of_its_manifests() -> None:
    """Policies that it applies for a while too."""
    found = evidence_for_causes.suite_objects("team-a")

    assert "BackendTrafficPolicy/team-a/circuit-breaker-btp" in found
    assert "BackendTrafficPolicy/team-a/leftover" not in found
