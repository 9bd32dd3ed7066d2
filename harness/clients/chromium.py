"""Drives headless Chromium on this machine. The only module that uses Playwright."""

from __future__ import annotations

import importlib
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from harness import observations, record_replay
from harness.errors import CannotJudge
from harness.http_exchange import Answer, Answers, unique_name

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
SLOW = 120_000  # milliseconds for one step: a browser on a busy machine


class Tab:
    """One tab of a session of its own, without cookies of others. It names itself as all clients do, by its
    user agent."""

    def __init__(self, page: Any, id_: str) -> None:
        self._page, self._id, self._answers = page, id_, list[str]()
        page.on("response", self._note)

    @property
    def requests(self) -> Answers:
        """What stands for its requests where their lines in a log are looked for."""
        return Answers((Answer(self._id, None, {}, 0),))

    def open(self, url: str) -> list[str]:
        """Opens a URL. Returns the answers to the navigation, redirects first: "302 shop.localhost/page"."""
        self._answers.clear()
        self._page.goto(url)
        return self._recorded(url)

    def submit(self, **fields: str) -> list[str]:
        """Fills in fields of the page's form by their ids, and submits it; the answers as `open`. None without such a
        form."""
        self._answers.clear()
        if not all(self._page.query_selector(f"#{name}") for name in fields):
            return []
        for name, value in fields.items():
            self._page.fill(f"#{name}", value)
        with self._page.expect_navigation():
            self._page.click("button[type=submit]")
        return self._recorded("a form")

    def protected_cookies(self, url: str) -> dict[str, bool]:
        """The cookies that the URL's host has set, by name: whether a cookie is both HttpOnly and Secure."""
        return {one["name"]: one["httpOnly"] and one["secure"] for one in self._page.context.cookies(url)}

    def _note(self, response: Any) -> None:
        if response.request.is_navigation_request():
            parts = urlsplit(response.url)
            self._answers.append(f"{response.status} {parts.netloc}{parts.path}")

    def _recorded(self, what: str) -> list[str]:
        observations.record_sighting("browser", f"{what}: {', '.join(self._answers)}", of=[self._id])
        return list(self._answers)


class Browser:
    """A running Chromium."""

    def __init__(self, process: Any) -> None:
        self._process = process

    @contextmanager
    def new_session(self) -> Iterator[Tab]:
        """A tab of a new session, for the block."""
        record_replay.not_recorded("a browser")
        id_ = unique_name("rq")
        context = self._process.new_context(user_agent=f"e2e/{id_}")
        context.set_default_timeout(SLOW)
        try:
            yield Tab(context.new_page(), id_)
        finally:
            context.close()


@contextmanager
def running(hosts: Mapping[str, str]) -> Iterator[Browser]:
    """Chromium for the block. `hosts` says where host names lead: {"*.localhost": "172.18.0.2:30080"}.

    Raises:
        CannotJudge: Chromium is not on PATH, or Playwright is not installed.
    """
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    try:
        playwright = importlib.import_module("playwright.sync_api")
    except ImportError:
        raise CannotJudge("browser: Playwright is not installed (requirements-dev.lock)") from None
    if program is None:
        raise CannotJudge(f"browser: none of {', '.join(PROGRAMS)} is on PATH")
    rules = ", ".join(f"MAP {host} {address}" for host, address in hosts.items())
    with playwright.sync_playwright() as driver:
        process = driver.chromium.launch(
            executable_path=program, args=["--no-sandbox", f"--host-resolver-rules={rules}"], timeout=SLOW
        )
        try:
            yield Browser(process)
        finally:
            process.close()
