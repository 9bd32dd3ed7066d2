"""Checks whether a registry has a manifest (HEAD requests, anonymous tokens).

Sources: opencontainers/distribution-spec (spec.md, "Pulling manifests"), distribution/distribution
(docs/spec/auth/token), docs.docker.com/docker-hub/usage/pulls (a HEAD is not counted as a pull; `ratelimit-remaining`).
"""

from __future__ import annotations

import ipaddress
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import httpx

from harness.registry.reference import DOCKER_HUB, Reference, digest_of

State = Literal["found", "gone", "changed", "not asked"]
API_HOSTS = {DOCKER_HUB: "registry-1.docker.io"}  # where a registry's name is not the host of its API
MANIFESTS = ", ".join(
    f"application/vnd.{kind}"
    for kind in (
        "oci.image.index.v1+json",
        "oci.image.manifest.v1+json",
        "docker.distribution.manifest.list.v2+json",
        "docker.distribution.manifest.v2+json",
    )
)
CONNECT, READ = 5.0, 10.0  # seconds
PASSING = {429, 500, 502, 503, 504}  # asked again, within the run's bound
TRIES, BREATH = 3, 1.0  # requests for one answer, and seconds between them where the registry names none


@dataclass(frozen=True)
class ReferenceCheck:
    """A registry's answer about one reference. `digest` is the found manifest's; `reason` is empty for `found`."""

    reference: Reference
    state: State
    reason: str = ""
    digest: str = ""


class _NotAskedError(Exception):
    """No answer that says anything about the reference."""


class _GoneError(Exception):
    """The registry says that there is no such manifest, or none for everybody."""


@dataclass
class Registries:
    """Asks many references, from several threads. All answers are there `bound` seconds after the first question.

    `pause` waits so many seconds; `remaining` is the registries' own word on their rate limits.
    """

    bound: float
    pause: Callable[[float], None]
    transport: httpx.BaseTransport | None = None
    clock: Callable[[], float] = time.monotonic
    remaining: dict[str, str] = field(default_factory=dict)
    _unreachable: dict[str, str] = field(default_factory=dict)
    _ends: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def check(self, reference: Reference, expected: str = "") -> ReferenceCheck:
        """Whether the reference exists and, with `expected`, is the manifest of that digest."""
        with self._lock:
            self._ends = self._ends or self.clock() + self.bound
        try:
            digest = self._digest(reference, bool(expected))
        except _GoneError as error:
            return ReferenceCheck(reference, "gone", str(error))
        except _NotAskedError as error:
            return ReferenceCheck(reference, "not asked", str(error))
        if expected and digest != expected:
            return ReferenceCheck(reference, "changed", f"it has the digest {digest}, not {expected}", digest)
        return ReferenceCheck(reference, "found", digest=digest)

    def _digest(self, reference: Reference, needed: bool) -> str:
        host = API_HOSTS.get(reference.registry, reference.registry)
        plain = is_loopback(reference.registry)
        url = f"{'http' if plain else 'https'}://{host}/v2/{reference.repository}/manifests/{reference.version}"
        try:
            client = httpx.Client(transport=self.transport, trust_env=not plain, follow_redirects=True)
        except (ImportError, ValueError, OSError) as error:  # a proxy variable or CA file that httpx cannot use
            raise _NotAskedError(f"the HTTP client cannot be set up: {error}") from None
        with client:
            answer = self._send(client, "HEAD", url, reference.registry)
            if answer.status_code == 401:
                token = self._token(client, answer, reference, plain)
                client.headers["authorization"] = f"Bearer {token}"
                answer = self._send(client, "HEAD", url, reference.registry)
            _judge(answer)
            self._note_limit(reference.registry, answer)
            digest = str(answer.headers.get("docker-content-digest", ""))
            if digest or not needed:
                return digest
            if self.remaining.get(reference.registry, "").startswith("0 "):
                raise _NotAskedError("its digest needs a pull, and the registry's rate limit is used up")
            answer = self._send(client, "GET", url, reference.registry)
            _judge(answer)
            return digest_of(answer.content)

    def _token(self, client: httpx.Client, challenge: httpx.Response, reference: Reference, plain: bool) -> str:
        scheme, _, rest = challenge.headers.get("www-authenticate", "").partition(" ")
        asked = dict(re.findall(r'(\w+)="([^"]*)"', rest))
        realm = asked.pop("realm", "")
        if scheme.lower() != "bearer":
            raise _NotAskedError(f"the registry requires a login ({scheme or '401 without a challenge'})")
        if not realm.startswith(("http://", "https://") if plain else "https://"):
            raise _NotAskedError(f"the registry sends to {realm!r} for a token, which is not https")
        parameters = {"scope": f"repository:{reference.repository}:pull"} | {
            key: value for key, value in asked.items() if key in ("service", "scope")
        }
        answer = self._send(client, "GET", realm, reference.registry, parameters)
        if answer.status_code == 404:  # of the token server, and so no word about the reference
            raise _NotAskedError(f"{answer.url.host} answers {_status(answer)} where a token was asked for")
        _judge(answer)
        try:
            body = answer.json()
            token = body.get("token") or body.get("access_token")
        except (ValueError, AttributeError):
            token = None
        if not isinstance(token, str) or not token:
            raise _NotAskedError(f"{httpx.URL(realm).host} answers without a token")
        return token

    def _send(
        self, client: httpx.Client, method: str, url: str, registry: str, parameters: dict[str, str] | None = None
    ) -> httpx.Response:
        """One answer; those that pass are waited out within the bound."""
        for left in range(TRIES - 1, -1, -1):
            answer = self._once(client, method, url, registry, parameters)
            if answer.status_code not in PASSING:
                return answer
            wait = _retry_after(answer)
            if not left or self.clock() + wait >= self._ends:
                asked = f", asks to wait {wait:g} s" if "retry-after" in answer.headers else ""
                raise _NotAskedError(f"{answer.url.host} answers {_status(answer)}{asked}")
            self.pause(wait)
        raise AssertionError("unreachable")  # the last round returns or raises

    def _once(
        self, client: httpx.Client, method: str, url: str, registry: str, parameters: dict[str, str] | None
    ) -> httpx.Response:
        if registry in self._unreachable:
            raise _NotAskedError(self._unreachable[registry])
        left = self._ends - self.clock()
        if left <= 0:
            raise _NotAskedError(f"the {self.bound:g} s for the whole check were over")
        timeout = httpx.Timeout(min(READ, left), connect=min(CONNECT, left))
        headers = {"accept": MANIFESTS, "user-agent": "mesh-e2e check-references"}
        try:
            return client.request(method, url, params=parameters, headers=headers, timeout=timeout)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError) as error:
            reason = f"no connection to {httpx.URL(url).host}: {_words(error)}"
            self._unreachable[registry] = reason
            raise _NotAskedError(reason) from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _NotAskedError(f"{httpx.URL(url).host}: {_words(error)}") from None

    def _note_limit(self, registry: str, answer: httpx.Response) -> None:
        """`ratelimit-remaining: 76;w=21600`: pulls left, and the window in seconds."""
        found = re.fullmatch(r"(\d+)(?:;w=(\d+))?", answer.headers.get("ratelimit-remaining", "").strip())
        if found:
            window = f" in {int(found[2]) / 3600:g} h" if found[2] else ""
            self.remaining[registry] = f"{found[1]} pulls left{window}"


def is_loopback(registry: str) -> bool:
    """Whether a registry is on this machine; such a one is asked over plain HTTP, as Docker does."""
    host = registry.rpartition(":")[0] if re.search(r":\d+$", registry) else registry
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _judge(answer: httpx.Response) -> None:
    """Lets a manifest's or a token's answer pass, and nothing else."""
    if answer.status_code == 404:
        raise _GoneError("not found")
    if answer.status_code in (401, 403):
        raise _GoneError(f"denied without a login ({_status(answer)})")
    if answer.status_code != 200:
        raise _NotAskedError(f"{answer.url.host} answers {_status(answer)}")
    kind = answer.headers.get("content-type", "").partition(";")[0].strip()
    if kind == "text/html":
        raise _NotAskedError(
            f"{answer.url.host} answers with an HTML page, not as a registry (a proxy or a login page?)"
        )


def _retry_after(answer: httpx.Response) -> float:
    value = answer.headers.get("retry-after", "").strip()
    return float(value) if value.isdecimal() else BREATH


def _status(answer: httpx.Response) -> str:
    return f"{answer.status_code} {answer.reason_phrase}".strip()


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__
