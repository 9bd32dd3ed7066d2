"""Sends HTTP requests from outside the mesh and to admin ports, without retries. The only module that uses httpx."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache

import httpx

from harness import observations, timeouts
from harness.errors import Inconclusive
from harness.http_exchange import Answer, Answers, Request, answers_from_json, answers_to_json, unique_name
from harness.objects.address_with_port import host_port, url
from harness.record_replay import not_recorded, recorded, refuse_when_replaying

BODY_LIMIT = 20_000
NO_LIMITS = httpx.Limits(max_connections=None)  # by its default the 101st of a burst waits for a connection


class IngressClient:
    """Sends to the ingress gateway from the host. `via` says how its Service is reached. With `tls` it sends over TLS;
    the server name is the host of each request."""

    def __init__(
        self,
        base_url: str,
        via: str,
        transport: httpx.BaseTransport | None = None,
        *,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.base_url, self.via = base_url.replace("http://", "https://", 1) if tls else base_url, via
        self._transport, self._tls = transport, tls

    def send_in_turn(self, request: Request, times: int = 1) -> Answers:
        """Sends the request that many times, each after the answer to the one before."""
        return self._told(self._send_in_turn(request, times), [request] * times)

    @recorded("ingress in turn", pack=answers_to_json, unpack=answers_from_json)
    def _send_in_turn(self, request: Request, times: int) -> Answers:
        with self._client() as client:
            return Answers(tuple(self._send(client, request) for _ in range(times)))

    def send_each(self, requests: Sequence[Request]) -> Answers:
        """Sends different requests in turn."""
        return self._told(self._send_each(requests), requests)

    @recorded("ingress send each", pack=answers_to_json, unpack=answers_from_json)
    def _send_each(self, requests: Sequence[Request]) -> Answers:
        with self._client() as client:
            return Answers(tuple(self._send(client, request) for request in requests))

    def send_over_new_connections(self, request: Request, times: int) -> Answers:
        """Sends it so too, each time over a new connection: a Service chooses a replica for each connection."""
        return self._told(self._send_over_new_connections(request, times), [request] * times)

    @recorded("ingress anew", pack=answers_to_json, unpack=answers_from_json)
    def _send_over_new_connections(self, request: Request, times: int) -> Answers:
        with self._client(httpx.Limits(max_connections=None, max_keepalive_connections=0)) as client:
            return Answers(tuple(self._send(client, request) for _ in range(times)))

    def send_together(self, request: Request, times: int) -> Answers:
        """Sends the request that many times together: all start behind one barrier, a connection each."""
        return self._told(self._send_together(request, times), [request] * times, together=True)

    @recorded("ingress at once", pack=answers_to_json, unpack=answers_from_json)
    def _send_together(self, request: Request, times: int) -> Answers:
        start = threading.Barrier(times)

        def one(_: int) -> Answer:
            start.wait(timeout=timeouts.HTTP)
            return self._send(client, request)

        with self._client() as client, ThreadPoolExecutor(max_workers=times) as pool:
            return Answers(tuple(pool.map(one, range(times))))

    def send(self, request: Request) -> Answer:
        """Sends it once."""
        return self.send_in_turn(request, 1)[0]

    @contextmanager
    def steady_sender(self) -> Iterator[Callable[[Request], Answer]]:
        """Sends, as often as called, from any thread; a connection each. The caller records it: hundreds of sightings
        would hide the others."""
        not_recorded("a steady load")
        with self._client(httpx.Limits(max_connections=None, max_keepalive_connections=0)) as client:
            yield lambda request: self._send(client, request)

    def _client(self, limits: httpx.Limits = NO_LIMITS) -> httpx.Client:
        refuse_when_replaying("a request to the ingress")
        return httpx.Client(
            base_url=self.base_url,
            transport=self._transport
            or httpx.HTTPTransport(verify=self._tls or _default_tls(), retries=0, limits=limits),
            timeout=httpx.Timeout(timeouts.HTTP, connect=timeouts.HTTP_CONNECT),
            trust_env=False,
            follow_redirects=False,
        )

    def _send(self, client: httpx.Client, request: Request) -> Answer:
        id_ = unique_name("rq")
        headers = {"x-request-id": id_, "user-agent": f"e2e/{id_}", **request.headers}
        if request.host:
            headers["host"] = request.host
        extensions = {"sni_hostname": request.host} if self._tls and request.host else {}
        content = request.body.encode() or None
        started = time.monotonic()
        try:
            with client.stream(
                request.method, request.url, headers=headers, content=content, extensions=extensions
            ) as response:
                local, served_by = _local(response), _served_by(response)
                body = response.read().decode(errors="replace")
        except httpx.RequestError as error:  # transport errors, and a body that is not what its headers say
            return Answer(id_, None, {}, _ms_since(started), error=f"{type(error).__name__}: {error}")
        return Answer(
            id_,
            response.status_code,
            dict(response.headers),
            _ms_since(started),
            body=body[:BODY_LIMIT],
            local=local,
            served_by=served_by,
        )

    def _told(self, answers: Answers, requests: Sequence[Request], *, together: bool = False) -> Answers:
        raw = answers.raw(requests, together=together)
        observations.record_sighting("ingress client", f"{answers!r} via {self.via}", of=answers.ids, raw=raw)
        return answers


def fetch(url: str, *, within: float = timeouts.HTTP) -> str:
    """The text at an admin address.

    Raises:
        Inconclusive: no answer, or one other than 200: what it would have returned is not known.
    """
    refuse_when_replaying(f"GET {url}")
    try:
        response = httpx.get(
            url,
            timeout=httpx.Timeout(within, connect=timeouts.HTTP_CONNECT),
            trust_env=False,
            verify=_default_tls(),
        )
    except httpx.TransportError as error:
        raise Inconclusive(f"GET {url}: {type(error).__name__}: {error}") from error
    if response.status_code != 200:
        raise Inconclusive(f"GET {url}: status {response.status_code}: {response.text[:200]}")
    return response.text


@cache
def _default_tls() -> ssl.SSLContext:
    """What httpx verifies with by default. Without it httpx reads all root certificates for each client, also for
    plain HTTP: 20 ms each time."""
    return httpx.create_ssl_context(trust_env=False)


@recorded("connects")
def can_connect(host: str, port: int) -> bool:
    """Whether an HTTP server can be connected to there, from here."""
    try:
        httpx.get(url(host, port, "/"), timeout=httpx.Timeout(3, connect=1.5), trust_env=False, verify=_default_tls())
    except httpx.ConnectError:
        return False
    except (httpx.ConnectTimeout, httpx.InvalidURL):
        return False
    except httpx.TransportError:
        return True  # it was connected; what came after is the suites' to judge
    return True


def is_refused(host: str, port: int) -> bool:
    """Whether the host refuses TCP connections to that port; False also where it does not answer."""
    try:
        with socket.create_connection((host, port), timeout=1.5):
            return False
    except ConnectionRefusedError:
        return True
    except OSError:
        return False


def _ms_since(started: float) -> float:
    return (time.monotonic() - started) * 1000


def _local(response: httpx.Response) -> str:
    stream = response.extensions.get("network_stream")
    address = stream.get_extra_info("client_addr") if stream is not None else None
    return host_port(*address[:2]) if address else ""


def _served_by(response: httpx.Response) -> str:
    """The common name of the certificate that was shown; empty without TLS."""
    stream = response.extensions.get("network_stream")
    secured = stream.get_extra_info("ssl_object") if stream is not None else None
    shown = secured.getpeercert() if secured else None
    subject = dict(pair for part in shown["subject"] for pair in part) if shown else {}
    return str(subject.get("commonName", ""))
