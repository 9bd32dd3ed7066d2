"""Why requests failed: Envoy's flags in words, hostnames, backends without endpoints, other people's policies."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from harness.causes.rules import MOST, find_causes
from harness.causes.state import AccessRecord, ClientRequest, ClusterState, FailureFacts
from harness.logs.envoy_access import AccessLine, parse_access_line
from tests.fakes.api import Object, named
from tests.recordings import text

NOW = datetime(2026, 11, 21, 0, 32, tzinfo=UTC)
LIMITED, OVERFLOW = (
    line for name in ("access-429", "access-503") if (line := parse_access_line(text(f"logs/{name}.json"))) is not None
)


def why(state: ClusterState, message: str, *statuses: int | None, error: str = "", url: str = "") -> list[str]:
    """The causes of a claim with that message, whose requests had these statuses."""
    calls = [ClientRequest(url, status, error) for status in statuses]
    return [cause.sentence for cause in find_causes(state, FailureFacts(text=message, calls=calls))]


def lines(gateway: str, *found: AccessLine) -> list[AccessRecord]:
    return [AccessRecord(gateway, line) for line in found]


def service(name: str, **labels: str) -> Object:
    return named(f"Service/default/{name}", spec={"selector": labels, "ports": [{"port": 9080}]})


def endpoints(of: str, *ready: bool) -> Object:
    """The EndpointSlice of a Service with an endpoint for each of these."""
    return named(
        f"EndpointSlice/default/{of}-1",
        metadata={"labels": {"kubernetes.io/service-name": of}},
        endpoints=[{"addresses": ["10.0.0.1"], "conditions": {"ready": one}} for one in ready],
    )


def policy(name: str, spec: dict[str, Any], target: str = "HTTPRoute/ingress-bookinfo") -> Object:
    kind, _, to = target.partition("/")
    return named(
        f"BackendTrafficPolicy/default/{name}",
        metadata={"creationTimestamp": "2026-11-21T00:31:30Z"},
        spec={"targetRefs": [{"kind": kind, "name": to}], **spec},
    )


LIMIT = {"rateLimit": {"type": "Global", "global": {"rules": [{"limit": {"requests": 2, "unit": "Hour"}}]}}}


@pytest.mark.parametrize(
    ("line", "words"),
    [(LIMITED, "rate limited (RL)"), (OVERFLOW, "circuit breaker overflow (UO)")],
)
def test_flags_are_reported_in_words(line: AccessLine, words: str) -> None:
    causes = why(ClusterState(access=lines("g", line, line)), f"assert [{line.status}] == [200]", line.status)

    assert causes == [f"Envoy of Gateway g says of 2 requests: {causes[0].partition(': ')[2]}"]
    assert words in causes[0]
    assert str(line.details) in causes[0]


def test_rejection_without_a_flag_where_flags_are_compared_is_named() -> None:
    """A comparison of flags alone quotes no status: the rejected request whose flag is "-" is what it is about."""
    bare, served = replace(LIMITED, flags="-"), replace(LIMITED, status=200, flags="-", details="via_upstream")

    (value,) = why(ClusterState(access=lines("g", served, bare)), "assert ['-', '-'] == ['-', 'RL']", 200, 429)

    assert value == "Envoy of Gateway g says of 1 request: no response flag, details request_rate_limited"


def test_flags_of_wanted_rejections_are_no_cause() -> None:
    """A 429 that the message does not are about is not why the claim failed."""
    assert why(ClusterState(access=lines("g", LIMITED)), "assert 3 == 2", 200, 429) == []


def test_flags_of_an_expected_status_are_no_cause() -> None:
    """Only what was found counts, not what it was compared with."""
    state = ClusterState(access=lines("g", OVERFLOW, replace(OVERFLOW, status=404, flags="NR", route_name=None)))

    (causes,) = why(state, "assert [404 x 200] == [503 x 200]\n  At index 0 diff: 404 != 503", 404, 503)

    assert "no route matched (NR)" in causes


def test_policy_of_somebody_else_is_named_with_its_limit() -> None:
    """Not the suite's own policy, and not one that limits nothing."""
    mine, other = policy("mine", LIMIT), policy("leftover", LIMIT, "Gateway/bookinfo-ingress")
    retries = policy("retries", {"retry": {"numRetries": 1}})
    state = ClusterState(
        {"BackendTrafficPolicy": [mine, other, retries]},
        access=lines("bookinfo-ingress", LIMITED),
        ours=frozenset({"BackendTrafficPolicy/default/mine"}),
        now=NOW,
    )

    causes = why(state, "assert [429] == [200]", 429)
    limited, other_status = (why(replace(state, access=[]), f"assert [{n}] == [1]", n) for n in (429, 404))

    assert "default/leftover" in limited[0]
    assert not [one for one in other_status if "leftover" in one]
    assert causes[0] == (
        "BackendTrafficPolicy default/leftover (not of this suite, created 30 s ago) allows 2 requests per Hour to "
        "Gateway default/bookinfo-ingress"
    )
    assert not any("mine" in one or "retries" in one for one in causes)


def test_hostname_that_no_route_has_is_named() -> None:
    """With the hostnames that the route has, and the one that was probably meant."""
    missed = replace(
        OVERFLOW, status=404, flags="NR", route_name=None, authority="ratings.default.svc.cluster.local:9080"
    )
    hostnames = ["ratings", "ratings.default.svc.cluster.locl"]
    route = named("HTTPRoute/default/ratings", spec={"hostnames": hostnames, "parentRefs": [{"name": "waypoint"}]})
    state = ClusterState({"HTTPRoute": [route]}, access=lines("waypoint", missed))

    causes = why(state, "assert [404] == [200]", 404)

    assert causes[0] == (
        "no HTTPRoute of Gateway waypoint has the hostname ratings.default.svc.cluster.local that was called: "
        "HTTPRoute default/ratings has ratings, ratings.default.svc.cluster.locl "
        "(did you mean ratings.default.svc.cluster.locl?)"
    )
    route["spec"]["hostnames"] = ["*.svc.cluster.local"]
    assert "no HTTPRoute" not in why(state, "assert [404] == [200]", 404)[0]


def test_backend_without_endpoints_is_named_with_its_share() -> None:
    """One of ten requests goes to a Service whose selector no pod has."""
    refs = [{"name": "ratings", "port": 9080, "weight": 9}, {"name": "dead", "port": 9080, "weight": 1}]
    route = named("HTTPRoute/default/ratings", spec={"rules": [{"backendRefs": refs}]})
    state = ClusterState(
        {
            "HTTPRoute": [route],
            "Service": [service("ratings", app="ratings"), service("dead", app="dead")],
            "EndpointSlice": [endpoints("ratings", True), endpoints("dead")],
            "Pod": [],
        },
        ours=frozenset({"HTTPRoute/default/ratings"}),
    )

    assert why(state, "assert [200, 503] == [200, 200]", 200, 503) == [
        "HTTPRoute default/ratings sends 1 of 10 requests to Service default/dead, which has no ready endpoints: "
        "no pod has its selector's labels (app=dead)"
    ]
    assert why(state, "assert [200, 200] == [503, 200]", 200, 200) == []


@pytest.mark.parametrize(("status", "causes"), [(None, 1), (499, 0), (500, 1), (503, 1)])
def test_backend_without_endpoints_explains_5xx_and_no_response(status: int | None, causes: int) -> None:
    """A 4xx has another cause, whatever the backend's endpoints are."""
    route = named("HTTPRoute/default/r", spec={"rules": [{"backendRefs": [{"name": "dead", "port": 9080}]}]})
    found = {"HTTPRoute": [route], "Service": [service("dead", app="dead")], "EndpointSlice": [endpoints("dead")]}
    state = ClusterState(found | {"Pod": []}, ours=frozenset({"HTTPRoute/default/r"}))

    assert len(why(state, f"assert [{status}] == [200]", status)) == causes


STRICT = {"mtls": {"mode": "STRICT"}}


@pytest.mark.parametrize(
    ("spec", "status", "sentence"),
    [
        (STRICT, None, "is STRICT for its namespace: plaintext is rejected"),
        (STRICT, 503, "is STRICT for its namespace: plaintext is rejected"),
        (STRICT | {"selector": {"matchLabels": {"app": "x"}}}, None, "is STRICT for pods with app=x: plaintext is"),
        (STRICT, 403, ""),
        ({"mtls": {"mode": "PERMISSIVE"}}, None, ""),
    ],
)
def test_strict_policy_of_somebody_else_is_named(spec: dict[str, Any], status: int | None, sentence: str) -> None:
    """It explains requests without a response, and 503; the suite's own policy is no cause."""
    strict = named(
        "PeerAuthentication/default/strict", metadata={"creationTimestamp": "2026-11-21T00:31:30Z"}, spec=spec
    )
    foreign = ClusterState({"PeerAuthentication": [strict]}, now=NOW)
    ours = replace(foreign, ours=frozenset({"PeerAuthentication/default/strict"}))

    found = " ".join(why(foreign, f"assert [{status}] == [200]", status))

    assert sentence in found
    assert ("PeerAuthentication" in found) is bool(sentence)
    assert "PeerAuthentication" not in " ".join(why(ours, f"assert [{status}] == [200]", status))


def test_name_that_dns_does_not_resolve_is_named() -> None:
    """With the reason, where CoreDNS shows one."""
    coredns = named(
        "Deployment/kube-system/coredns", metadata={"labels": {"k8s-app": "kube-dns"}}, spec={"replicas": 0}
    )
    error, url = "Could not resolve host: ratings", "http://ratings:9080/ratings/0"

    assert why(ClusterState(), "assert [None] == [200]", None, error=error, url=url) == [
        "DNS does not resolve ratings:9080"
    ]
    assert why(ClusterState({"Deployment": [coredns]}), "x", None, error=error, url=url) == [
        "DNS does not resolve ratings:9080: Deployment kube-system/coredns is scaled to 0"
    ]


def test_what_the_client_reports_of_unanswered_requests_is_named() -> None:
    """With the address that it used. Not where no response is what was expected."""
    call = ClientRequest("", None, "ConnectError: [Errno 113] No route to host", via="assigned address 192.0.2.0:80")

    def causes(message: str) -> list[str]:
        return [one.sentence for one in find_causes(ClusterState(), FailureFacts(text=message, calls=[call]))]

    assert causes("assert [None] == [200]") == [
        "1 request via assigned address 192.0.2.0:80 got no response: ConnectError: [Errno 113] No route to host"
    ]
    assert causes("assert [200] == [None]") == []


def test_policy_that_writes_a_quota_header_is_named() -> None:
    """Responses have a quota, and nothing counts."""
    spec = {"targetRefs": [{"kind": "Gateway", "name": "g"}]}
    headers = {"lateResponseHeaders": {"set": [{"name": "X-RateLimit-Limit", "value": "10"}]}}
    writing = named("ClientTrafficPolicy/default/extra", spec=spec | {"headers": headers})
    other = named("ClientTrafficPolicy/default/other", spec=spec)
    failure = FailureFacts(text="assert {'10'} == {None}", calls=[ClientRequest("", 200, quota="10")])

    found = [one.sentence for one in find_causes(ClusterState({"ClientTrafficPolicy": [writing, other]}), failure)]

    assert found == [
        "ClientTrafficPolicy default/extra (not of this suite) writes x-ratelimit-limit into responses of Gateway "
        "default/g"
    ]


def test_no_more_than_three_causes() -> None:
    """The most specific ones."""
    policies = [policy(f"other-{n}", LIMIT) for n in range(9)]
    state = ClusterState({"BackendTrafficPolicy": policies}, access=lines("g", LIMITED))

    assert len(why(state, "429", 429)) == MOST


def test_nothing_known_nothing_said() -> None:
    assert why(ClusterState(), "assert 1 == 2") == []


def test_rule_that_meets_an_unknown_shape_says_nothing() -> None:
    """A status that somebody wrote by hand hides no failure."""
    odd: dict[str, list[Any]] = {
        kind: [{"kind": kind, "metadata": 3, "spec": [1]}, {}] for kind in ("Pod", "HTTPRoute")
    }

    assert why(ClusterState(odd), "assert [503] == [200]", 503) == []
