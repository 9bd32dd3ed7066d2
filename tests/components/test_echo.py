"""The echo backend: which requests its pods received."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from harness.components.echo import Echo
from harness.errors import Inconclusive, SetupFailed
from harness.http_exchange import Answer, Answers
from harness.kube import Kube
from harness.wait import set_patience
from tests.fakes.api import FakeApi
from tests.fakes.pods import pod

SINCE = datetime(2026, 1, 1, tzinfo=UTC)
MARKERS = {"echo-v1": "m1", "echo-v2": "m2"}


def line(id_: str, at: float = 1.0, **more: object) -> str:
    """What the server writes of a request."""
    values = {"msg": "Echo", "method": "GET", "url": "/", "host": "echo", "proto": "HTTP/1.1", "status": 200}
    return json.dumps(values | {"ts": at, "remote_addr": "10.0.0.9:1", "user-agent": f"e2e/{id_}", **more}) + "\n"


def answers(*ids: str) -> Answers:
    return Answers(tuple(Answer(id_, 200, {}, 1) for id_ in ids))


@pytest.fixture
def echo(kube: Kube, api: FakeApi) -> Echo:
    """Two pods, each with the marker of its workload in its log."""
    api.put(
        pod("default/echo-a", labels={"app": "echo", "version": "v1"}, ip="10.0.0.1"),
        pod("default/echo-b", labels={"app": "echo", "version": "v2"}, ip="10.0.0.2"),
    )
    api.logs[("default", "echo-a", "fortio")] = line("a", 2.0) + line("b") + line("m1")
    api.logs[("default", "echo-b", "fortio")] = line("a", 1.0) + line("m2") + "not a request\n"
    return Echo(kube)


def test_pods_are_reached_past_every_proxy(echo: Echo) -> None:
    """Each workload's pod by its own address."""
    assert echo.urls == {"echo-v1": "http://10.0.0.1:8080", "echo-v2": "http://10.0.0.2:8080"}


def test_requests_are_joined_by_id(echo: Echo) -> None:
    """Of each request what the workloads received, in the order of time; of one that none received nothing."""
    found = echo.read_received(answers("a", "b", "c"), SINCE, markers=MARKERS)

    assert [[one.backend for one in each] for each in found] == [["echo-v2", "echo-v1"], ["echo-v1"], []]


@pytest.mark.parametrize("log", [line("a"), line("m2") + '{"msg":"Echo","method":1}\n'])
def test_silence_needs_the_marker_and_a_readable_log(echo: Echo, api: FakeApi, log: str) -> None:
    """A log without its marker, or with a line that cannot be read, does not show that a request was not received."""
    api.logs[("default", "echo-b", "fortio")] = log
    set_patience(0.01)

    with pytest.raises(Inconclusive, match="do not show which requests they received"):
        echo.read_received(answers("c"), SINCE, markers=MARKERS)


def test_no_pod_is_a_broken_cluster(kube: Kube, api: FakeApi) -> None:
    """Nothing is reported of requests where nobody could receive one."""
    api.put(pod("default/echo-a", labels={"app": "echo", "version": "v1"}, ready=False))

    with pytest.raises(SetupFailed, match="no ready pod"):
        _ = Echo(kube).urls


def test_clients_of_tcp_are_those_of_all_pods(echo: Echo, api: FakeApi) -> None:
    """From which addresses connections came; fewer than awaited say nothing."""
    message = "TCP echo server (tcp-echo) accepted connection from 10.0.0.7:4000 -> 10.0.0.1:8078"
    api.logs[("default", "echo-a", "fortio")] = json.dumps({"ts": SINCE.timestamp() + 1, "msg": message}) + "\n"
    set_patience(0.01)

    assert echo.read_tcp_clients(SINCE, count=1) == {"10.0.0.7"}
    with pytest.raises(Inconclusive, match="have no line for datagrams"):
        echo.read_udp_clients(SINCE, count=1)
