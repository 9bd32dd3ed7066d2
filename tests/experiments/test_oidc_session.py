"""A session at a host that wants a login, by plain requests."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

import pytest

from harness.errors import Inconclusive
from harness.experiments import oidc_session
from harness.experiments.ingress_or_waypoint import Arm
from harness.experiments.oidc_session import Login
from harness.http_exchange import Answer, Answers, Request

SHOP, DEX = "shop.localhost", "dex.localhost"
LOGIN = Login(DEX, "http://dex:5556", "ali", "open sesame")


class World:
    """A host that wants a cookie, and a provider with a form; both know the one user."""

    base = "http://echo:9080"

    def __init__(self, *, wants: bool = True, loops: bool = False) -> None:
        self.sent, self._wants, self._loops = list[Request](), wants, loops

    def get(self, path: str, *, host: str) -> Request:
        return Request(self.base + path, {}, host)

    def observe(self, answers: Answers, first: Request, since: Any) -> Arm:
        return Arm(answers, (), (), answers)

    def send_one(self, request: Request) -> Answer:
        self.sent.append(request)
        status, headers = self._answer(request)
        return Answer("rq", status, headers, 1)

    def _answer(self, request: Request) -> tuple[int, dict[str, str]]:
        cookie, path = request.headers.get("cookie", ""), request.url.partition("://")[2].partition("/")[2]
        if request.host == DEX:
            assert request.url.startswith(LOGIN.base)
            if request.method == "POST":
                assert parse_qs(request.body) == {"login": ["ali"], "password": ["open sesame"]}
                return 303, {"location": f"http://{SHOP}/oauth2/callback?code=c&state=s"}
            return (302, {"location": "/dex/auth/local/login?state=x"}) if path == "dex/auth" else (200, {})
        if not self._wants:
            return 200, {}
        if self._loops:
            return 302, {"location": "/page"}
        match path.partition("?")[0]:
            case "oauth2/callback" if "Nonce=n" in cookie:
                cookies = "Token=t;path=/;Max-Age=60;secure;HttpOnly, Nonce=; Expires=Thu, 01 Jan 1970 00:00:00 GMT"
                return 302, {"location": f"http://{SHOP}/page", "set-cookie": cookies}
            case "oauth2/callback":
                return 401, {}
            case "logout":
                return 302, {"location": f"http://{SHOP}/", "set-cookie": "Token=deleted; path=/; Max-Age=0"}
            case _ if "Token=t" in cookie:
                return 200, {}
            case _:
                return 302, {"location": f"http://{DEX}/dex/auth", "set-cookie": "Nonce=n;path=/"}


def statuses(world: World) -> list[int | None]:
    return oidc_session.session(world, SHOP, LOGIN).statuses  # type: ignore[arg-type]  # a stand-in for a place


def test_session_of_a_user() -> None:
    """A forged callback, the login with its redirects, the page twice, the logout and the next redirect: the answers of
    the host alone, with the cookies that it set and no others."""
    world = World()

    assert statuses(world) == [401, 302, 302, 200, 200, 302, 302]
    shown = [one.headers.get("cookie", "") for one in world.sent if one.host == SHOP]
    assert shown == ["", "", "Nonce=n", "Token=t", "Token=t", "Token=t", ""]


def test_host_that_wants_no_login() -> None:
    """Four visits, four answers, and nobody asks the provider."""
    world = World(wants=False)

    assert statuses(world) == [200] * 4
    assert {one.host for one in world.sent} == {SHOP}


def test_redirects_without_end_are_unjudged() -> None:
    """As by a provider that knows no user and redirects."""
    with pytest.raises(Inconclusive, match="was redirected 10 times"):
        statuses(World(loops=True))
