"""Which way requests took and who answered them, from recorded access lines of which single fields were changed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from harness.causes.rules import find_causes
from harness.causes.state import AccessLog, AccessRecord, ClientRequest, ClusterState, FailureFacts
from harness.logs.envoy_access import AccessLine, parse_access_line
from harness.logs.ztunnel import parse_ztunnel_line
from harness.objects.workloads import OWNING_GATEWAY
from tests.fakes.api import Object, named
from tests.recordings import text

SERVED = next(
    line for line in map(parse_access_line, text("logs/access-waypoint-200.json").splitlines()) if line is not None
)
CLIENT, BACKEND = SERVED.client_ip, (SERVED.upstream_host or "").partition(":")[0]
PROXY = (SERVED.upstream_local_address or "").partition(":")[0]
URL = "http://ratings:9080/ratings/0"
ASKED = "access lines of 2 requests at Gateway waypoint: not within 2s (3 tries); last seen: lines of"


def pod(name: str, ip: str) -> Object:
    return named(f"Pod/default/{name}", status={"podIP": ip})


def ratings(status: str = "True", reason: str = "WaypointAccepted") -> Object:
    """The Service, with what istiod says of its waypoint."""
    bound = {"type": "istio.io/WaypointBound", "status": status, "reason": reason, "message": ""}
    return named(
        "Service/default/ratings",
        metadata={"labels": {"istio.io/use-waypoint": "waypoint"}},
        status={"conditions": [bound]},
    )


def why(
    message: str,
    *lines: AccessLine,
    status: int = 200,
    log: AccessLog | None = None,
    service: Object | None = None,
    removed: str = "",
) -> list[str]:
    state = ClusterState(
        {
            "Pod": [pod("client", CLIENT), pod("ratings-v1", BACKEND), pod("waypoint-1", PROXY)],
            "Service": [service or ratings()],
        },
        access=[AccessRecord("waypoint", line) for line in lines],
        logs={"waypoint": log} if log else {},
        removed=frozenset({removed}),
    )
    calls = [ClientRequest(URL, status, id="rq-1")]
    return [cause.sentence for cause in find_causes(state, FailureFacts(text=message, calls=calls))]


def line(**fields: Any) -> AccessLine:
    return replace(SERVED, user_agent="e2e/rq-1", **fields)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"upstream_host": "192.0.2.7:9080"},
            "sent requests to 192.0.2.7:9080",
        ),
        (
            {"upstream_local_address": "192.0.2.7:1"},
            "dialled from 192.0.2.7",
        ),
        (
            {"downstream_remote_address": "192.0.2.7:1"},
            "got requests from 192.0.2.7",
        ),
        ({}, ""),
    ],
)
def test_address_of_no_pod_is_named(fields: dict[str, str], message: str) -> None:
    expected = [f"Envoy of Gateway waypoint {message}, the address of no pod"] if message else []

    assert why("assert 1 == 2", line(**fields)) == expected


def test_status_that_the_backend_gave_is_told_from_envoys() -> None:
    """An Envoy that answers by itself has a flag, or details of its own."""
    own = line(status=503, flags="-", details="via_upstream")

    assert why("assert [503] == [200]", own, own, status=503) == [
        f"Pod default/ratings-v1 ({SERVED.upstream_host}) itself answered 503 to 2 requests: Envoy of Gateway waypoint "
        "passed it on without a flag"
    ]
    assert "itself answered 503" in why("assert ['-'] == ['UO']", own, status=503)[0]  # a failure about flags
    assert "itself answered 503" in why("assert {'127.111.0.40:4569'} == {None}", own, status=503)[0]  # an address
    assert why("assert [404] == [200]", own, status=503) == []
    other = replace(own, upstream_host="192.0.2.7:9080")
    causes = why("assert [503] == [200]", other, own, own, status=503)
    assert ["to 2 requests" in one for one in causes if "itself answered" in one] == [True]
    assert why("assert [503] == [200]", line(status=503, flags="-", details="local"), status=503) == [
        "Envoy of Gateway waypoint says of 1 request: no response flag, details local"
    ]


def test_replica_through_which_all_failed_requests_went_is_named() -> None:
    """Where a Gateway has another proxy pod, through which requests succeeded."""
    pods = [
        named(f"Pod/default/waypoint-{n}", metadata={"labels": {OWNING_GATEWAY: "waypoint"}}, status={"podIP": ip})
        for n, ip in enumerate((f"{PROXY[:-1]}8", f"{PROXY[:-1]}9"))
    ]
    good, flagged = (
        line(downstream_local_address=f"{pod['status']['podIP']}:9080", flags=flags)
        for pod, flags in zip(pods, ("-", "UO"), strict=True)
    )

    def found(*lines: AccessLine) -> list[str]:
        state = ClusterState({"Pod": pods}, access=[AccessRecord("waypoint", one) for one in lines])
        return [cause.sentence for cause in find_causes(state, FailureFacts(text="assert [200] == [503]"))]

    named_so = "only requests through default/waypoint-1 failed, of 2 proxy pods of Gateway waypoint"
    assert named_so in found(good, flagged)
    assert not [one for one in found(good, good) if one.startswith("only requests")]


def test_status_that_no_envoy_has_a_line_of_is_the_backends() -> None:
    """Where no waypoint is in the way, and the access logs could be read."""
    assert "What is behind" in why("assert [503] == [200]", status=503, log=AccessLog(0))[0]
    assert why("assert [503] == [200]", status=503, log=AccessLog(1, unreadable=1)) == []


def test_status_of_a_pod_that_ztunnel_connected_the_client_to_is_that_pods() -> None:
    """A pod of a proxy has not answered by itself, and neither has one that another connection went to."""
    lines = [parse_ztunnel_line(line) for line in text("logs/ztunnel.log").splitlines()]
    line = next(line for line in lines if line and line.direction == "outbound" and line.dst.workload)
    name = f"{line.dst.namespace}/{line.dst.workload}"

    def causes(local: str, **metadata: Any) -> list[str]:
        state = ClusterState({"Pod": [named(f"Pod/{name}", metadata=metadata)]}, connections=[line])
        calls = [ClientRequest(URL, 503, local=local)]
        found = find_causes(state, FailureFacts(text="assert [503] == [200]", calls=calls))
        return [one.sentence for one in found if "itself" in one.sentence]

    assert causes(line.src.addr) == [
        f"Pod {name} itself answered 503 to 1 request: by ztunnel's log they came to it past any Envoy"
    ]
    assert causes(line.src.addr, labels={OWNING_GATEWAY: "waypoint"}) == causes("192.0.2.7:4711") == []


def test_answer_without_a_backend_is_named() -> None:
    assert why("assert None not in {None}", line(upstream_local_address=None)) == [
        "Envoy of Gateway waypoint answered 1 of 1 requests without a connection to a backend"
    ]


@pytest.mark.parametrize(
    ("log", "message"),
    [
        (AccessLog(1), "lines of 1 of 2 requests: is it disabled, or were they sent elsewhere?"),
        (AccessLog(3), "lines of 1 of 2 requests, and 2 of none of them: do other requests have their ids, or none?"),
        (AccessLog(1, unreadable=4), "lines of 1 of 2 requests, and 4 in a format that the harness cannot read"),
    ],
)
def test_missing_access_lines_are_explained(log: AccessLog, message: str) -> None:
    assert f"The access log of Gateway waypoint has {message}" in why(f"{ASKED} 1", line(), log=log)


def test_call_that_the_waypoints_log_lacks_went_past_it() -> None:
    """Known only where that log was read."""
    past = (
        "1 of 1 requests bypassed Gateway waypoint, the waypoint of Service default/ratings: its access log lacks them"
    )

    assert why("assert [200] == [404]", log=AccessLog(0)) == [past]
    assert why("assert [200] == [404]", log=AccessLog(0), removed="Pod/default/waypoint-0") == []
    assert why("assert [200] == [404]") == why("assert [200] == [404]", line(), log=AccessLog(1)) == []


def test_address_of_a_pod_that_the_harness_deleted_is_not_unknown() -> None:
    """The pods of its own Deployment are gone by the time that somebody asks for whose address it was."""
    strange = line(downstream_remote_address="192.0.2.7:4711")

    assert "got requests from 192.0.2.7, the address of no pod" in why("assert [200] == [404]", strange)[0]
    assert why("assert [200] == [404]", strange, removed="Deployment/default/outsider") == []


def test_call_through_a_waypoint_that_is_not_bound_is_named() -> None:
    refused = ratings("False", "AttachmentDenied")

    assert why("assert False", line(), service=refused) == [
        "1 calls of Service default/ratings passed Gateway waypoint, though istiod has not bound it: AttachmentDenied"
    ]


def test_pod_whose_body_is_wrong_is_named() -> None:
    causes = why("assert 'Bookstore' in 'something else'", line())

    assert causes == [
        f"Pod default/ratings-v1 ({SERVED.upstream_host}) answered through Gateway waypoint, and its "
        "response is not what "
        "was expected"
    ]
