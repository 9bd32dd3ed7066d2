"""Performs an OIDC login session, with plain requests or in a browser."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode, urljoin, urlsplit

from harness import observations, record_replay
from harness.clients.chromium import Browser
from harness.errors import Inconclusive
from harness.experiments.ingress_or_waypoint import Arm, Place
from harness.http_exchange import Answer, Answers, Request
from harness.logs.envoy_access import AccessLine

HOPS = 10  # redirects that one visit may follow: a login takes five
_COOKIE = re.compile(r"(?:^|, )(?P<name>[^=;, ]+)=(?P<value>[^;]*)(?P<attributes>(?:[^,]|(?<=Expires=\w{3}),)*)", re.I)


@dataclass(frozen=True, slots=True)
class Login:
    """Where users log in: the provider's host, what begins its URLs for the client of a place, a user's name and
    password."""

    host: str
    base: str
    user: str
    password: str


def session(place: Place, host: str, login: Login) -> Arm:
    """Sends a callback that nobody asked for; opens a page, logging in where a form asks for it; opens it again; logs
    out. The arm has the host's own answers, in this order.

    Raises:
        Inconclusive: a witness is missing, or redirects have no end.
    """
    since, visitor = record_replay.now(), _Visitor(place, host, login)
    visitor.visit("/oauth2/callback?code=guessed&state=forged", log_in=False)
    visitor.visit("/page", log_in=True)
    visitor.visit("/page", log_in=False)
    visitor.visit("/logout", log_in=False)
    return place.observe(Answers(tuple(visitor.answers)), place.get("/page", host=host), since)


class _Visitor:
    """Follows redirects between a host and the provider, with the cookies of each. `answers` are those of the host."""

    def __init__(self, place: Place, host: str, login: Login) -> None:
        self._place, self._host, self._login = place, host, login
        self._cookies: dict[str, dict[str, str]] = {}
        self.answers: list[Answer] = []

    def visit(self, path: str, *, log_in: bool) -> None:
        url, method, body = f"http://{self._host}{path}", "GET", ""
        for _ in range(HOPS):
            answer = self._send(url, method, body)
            location, form = answer.header("location"), answer.status == 200 and urlsplit(url).path.endswith("/login")
            if location:
                url, method, body = urljoin(url, location), "GET", ""
            elif form and log_in and method == "GET":
                method, body = "POST", urlencode({"login": self._login.user, "password": self._login.password})
            else:
                return
        raise Inconclusive(f"{path} at {self._host} was redirected {HOPS} times, at last to {url}")

    def _send(self, url: str, method: str, body: str) -> Answer:
        parts = urlsplit(url)
        host, path = parts.netloc, parts._replace(scheme="", netloc="", fragment="").geturl()
        jar = self._cookies.setdefault(host, {})
        headers = {"cookie": "; ".join(f"{name}={value}" for name, value in jar.items())} if jar else {}
        headers |= {"content-type": "application/x-www-form-urlencoded"} if body else {}
        if host == self._host:
            answer = self._place.send_one(Request(self._place.base + path, headers, host, method, body))
            self.answers.append(answer)
        else:
            with observations.probing():  # no claim is about the provider's own answers
                answer = self._place.send_one(Request(self._login.base + path, headers, host, method, body))
        _keep(jar, answer.headers)
        return answer


def _keep(jar: dict[str, str], headers: Mapping[str, str]) -> None:
    """Takes the cookies of an answer into a jar, and those that have expired out of it."""
    for found in _COOKIE.finditer(headers.get("set-cookie", "")):
        if "1970" in found["attributes"] or re.search(r"max-age=0\b", found["attributes"], re.I):
            jar.pop(found["name"], None)
        else:
            jar[found["name"]] = found["value"]


@dataclass(frozen=True, slots=True)
class BrowserSession:
    """What a browser showed at each step, as the answers to its navigation ("302 shop.localhost/page"), the cookies of
    the host while somebody was logged in, by name those that scripts cannot read and plain HTTP does not carry, and the
    host's access lines."""

    opened: list[str]
    refused: list[str]
    logged_in: list[str]
    opened_again: list[str]
    logged_out: list[str]
    protected: dict[str, bool]
    lines: list[AccessLine]


def browser_session(place: Place, browser: Browser, host: str, login: Login) -> BrowserSession:
    """Opens a page in a new session of the browser, logs in with a wrong and the right password where a form asks for
    it, opens the page again, and logs out.

    Raises:
        Inconclusive: the proxy's log has no line of the browser.
    """
    since, page = record_replay.now(), f"http://{host}/page"
    with browser.new_session() as tab:
        opened = tab.open(page)
        refused = tab.submit(login=login.user, password=f"not {login.password}")
        logged_in = tab.submit(login=login.user, password=login.password)
        again, cookies = tab.open(page), tab.protected_cookies(page)
        out = tab.open(f"http://{host}/logout")
        lines = place.envoy.wait_for_related_lines(tab.requests, since)
    return BrowserSession(
        opened, refused, logged_in, again, out, cookies, [line for line in lines if line.authority == host]
    )
