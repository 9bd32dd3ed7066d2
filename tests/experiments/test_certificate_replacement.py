"""A certificate is replaced in its Secret, and awaited at the server."""

from __future__ import annotations

import base64
from types import SimpleNamespace
from typing import Any

import pytest

from harness import observations
from harness.clients.certificates import COMMON_NAME, HOSTS, Authority
from harness.errors import NotReady
from harness.experiments.certificate_replacement import replace_certificate
from harness.http_exchange import Answer, Request, get
from tests.fakes.clock import Clock

SECRET = {
    "apiVersion": "v1",
    "kind": "Secret",
    "type": "kubernetes.io/tls",
    "metadata": {
        "name": "secure",
        "namespace": "a",
        "uid": "1",
        "annotations": {COMMON_NAME: "first", HOSTS: "b.example"},
    },
    "data": {"tls.crt": "b2xk", "tls.key": "b2xk"},
}


class World:
    """The API, and a server that serves a replaced certificate from the third look on, or never."""

    gateway = "ingress-tls"

    def __init__(self, late: int) -> None:
        self.applied: list[dict[str, Any]] = []
        self.late, self.asked = late, 0

    def get(self, name: str) -> dict[str, Any]:
        return SECRET

    def apply(self, documents: list[dict[str, Any]]) -> None:
        self.applied += documents

    def send_one(self, request: Request) -> Answer:
        self.asked += 1
        return Answer("rq", 200, {}, 1, served_by="second" if self.asked > self.late else "first")

    def send(self, requests: list[Request]) -> Any:
        return SimpleNamespace(answers=[self.send_one(one) for one in requests])


def replaced(world: World) -> Any:
    stand_in: Any = world
    return replace_certificate(stand_in, authority, "Secret/a/secure", "second", stand_in, get("/"))


authority = Authority()


def test_new_certificate_is_awaited(clock: Clock) -> None:
    """The Secret keeps its name, type and hosts; the request goes once the new certificate is served."""
    world = World(late=2)
    observations.open_page("replaced")

    arm = replaced(world)

    (document,) = world.applied
    assert {name: document[name] for name in ("apiVersion", "kind", "type")} == {
        name: SECRET[name] for name in ("apiVersion", "kind", "type")
    }
    assert document["metadata"] == {
        "name": "secure",
        "namespace": "a",
        "annotations": {COMMON_NAME: "second", HOSTS: "b.example"},
    }
    issued = authority.issue("second", "b.example")
    assert base64.b64decode(document["data"]["tls.crt"]).decode() == issued.certificate
    assert [answer.served_by for answer in arm.answers] == ["second"]
    assert [(figure.name, figure.of) for figure in observations.page("replaced").figures] == [
        ("certificate applied to served", "ingress-tls")
    ]


def test_certificate_that_is_not_served_is_not_ready(clock: Clock) -> None:
    """What is served is named."""
    with pytest.raises(NotReady, match=r"serves the certificate of second.*first"):
        replaced(World(late=10_000))
