"""What registries answer, by the OCI distribution API, and what is made of it."""

import hashlib

import httpx
import pytest

from harness.registry.manifest_check import ReferenceCheck, Registries, is_loopback
from harness.registry.reference import parse_reference

DIGEST, OTHER = "sha256:" + "0a" * 32, "sha256:" + "0b" * 32
REDIS = parse_reference("redis:6")


class Registry:
    """A registry that answers as told, and remembers who asked what."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers, self.seen, self.paused, self.now = list(answers), list[httpx.Request](), list[float](), 0.0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def pause(self, seconds: float) -> None:
        self.paused.append(seconds)
        self.now += seconds

    def client(self, bound: float = 40.0) -> Registries:
        return Registries(bound, self.pause, httpx.MockTransport(self), clock=lambda: self.now)

    def ask(self, reference: str = "redis:6", expected: str = "") -> ReferenceCheck:
        return self.client().check(parse_reference(reference), expected)

    @property
    def asked(self) -> list[str]:
        return [f"{one.method} {one.url}" for one in self.seen]


def found(digest: str = DIGEST, **headers: str) -> httpx.Response:
    return httpx.Response(200, headers={"docker-content-digest": digest, **headers})


def challenge(realm: str = "https://auth.docker.io/token") -> httpx.Response:
    text = f'Bearer realm="{realm}",service="registry.docker.io",scope="repository:library/redis:pull"'
    return httpx.Response(401, headers={"www-authenticate": text})


def test_manifest_is_asked_for_by_head() -> None:
    """A HEAD does not count as a pull; Docker Hub's API has a host of its own; all kinds of manifest are accepted."""
    registry = Registry(found())

    assert registry.ask() == ReferenceCheck(REDIS, "found", digest=DIGEST)
    assert registry.asked == ["HEAD https://registry-1.docker.io/v2/library/redis/manifests/6"]
    assert "image.index" in registry.seen[0].headers["accept"]
    assert "manifest.list" in registry.seen[0].headers["accept"]


def test_digest_decides_what_is_asked_for() -> None:
    """A reference with tag and digest is pulled by digest, and so it is asked for by digest."""
    registry = Registry(found())

    assert registry.ask(f"kindest/node:v1@{DIGEST}", DIGEST).state == "found"
    assert registry.asked == [f"HEAD https://registry-1.docker.io/v2/kindest/node/manifests/{DIGEST}"]


@pytest.mark.parametrize("key", ["token", "access_token"])
def test_anonymous_token_is_fetched_where_the_registry_says(key: str) -> None:
    """401 with a Bearer challenge: a token for this repository, without a login, and the same question again."""
    registry = Registry(challenge(), httpx.Response(200, json={key: "abc"}), found())

    assert registry.ask().state == "found"
    assert registry.asked[1] == (
        "GET https://auth.docker.io/token?scope=repository%3Alibrary%2Fredis%3Apull&service=registry.docker.io"
    )
    assert [one.headers.get("authorization") for one in registry.seen] == [None, None, "Bearer abc"]


def test_tokens_are_not_fetched_in_plain_text() -> None:
    """A registry on the network cannot send the client to plain HTTP."""
    registry = Registry(challenge("http://auth.example/token"))

    answer = registry.ask()

    assert answer.state == "not asked"
    assert "not https" in answer.reason


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ([httpx.Response(404)], "not found"),
        ([httpx.Response(403)], "denied without a login (403 Forbidden)"),
        ([challenge(), httpx.Response(200, json={"token": "a"}), httpx.Response(401)], "denied without a login"),
        ([challenge(), httpx.Response(200, json={"token": "a"}), httpx.Response(404)], "not found"),
        ([challenge(), httpx.Response(403)], "denied without a login"),
    ],
)
def test_what_is_not_there_is_gone(answers: list[httpx.Response], reason: str) -> None:
    """Not found, or denied to those without a login: nobody can pull it."""
    answer = Registry(*answers).ask()

    assert answer.state == "gone"
    assert reason in answer.reason


def test_another_digest_is_a_change() -> None:
    """The tag is there, with another manifest than the source says."""
    answer = Registry(found(OTHER)).ask(expected=DIGEST)

    assert answer == ReferenceCheck(REDIS, "changed", f"it has the digest {OTHER}, not {DIGEST}", OTHER)


@pytest.mark.parametrize("body", [b"{}", b'{"other": 1}'])
def test_digest_that_no_header_says_is_computed(body: bytes) -> None:
    """Where HEAD says no digest, it is that of the manifest itself."""
    own = f"sha256:{hashlib.sha256(body).hexdigest()}"
    registry = Registry(httpx.Response(200), httpx.Response(200, content=body))

    assert registry.ask(expected=own) == ReferenceCheck(REDIS, "found", digest=own)
    assert [one.method for one in registry.seen] == ["HEAD", "GET"]


def test_no_pull_is_spent_when_none_is_left() -> None:
    """A GET counts as a pull: with `ratelimit-remaining` at 0 it is not sent."""
    registry = Registry(httpx.Response(200, headers={"ratelimit-remaining": "0;w=21600"}))

    answer = registry.ask(expected=DIGEST)

    assert (answer.state, len(registry.seen)) == ("not asked", 1)
    assert "rate limit" in answer.reason


def test_rate_limit_is_noted() -> None:
    """Docker Hub says how many pulls are left, in which window."""
    client = Registry(found(**{"ratelimit-remaining": "76;w=21600"})).client()
    client.check(REDIS)

    assert client.remaining == {"docker.io": "76 pulls left in 6 h"}


def test_429_is_waited_out() -> None:
    """Retry-After is heeded, and the answer that comes then counts."""
    registry = Registry(httpx.Response(429, headers={"retry-after": "7"}), found())

    assert registry.ask().state == "found"
    assert registry.paused == [7]


@pytest.mark.parametrize("seconds", ["40", "3600"])
def test_429_beyond_the_bound_ends_at_once(seconds: str) -> None:
    """A wait that would outlast the check is not begun; it says nothing about the reference."""
    registry = Registry(httpx.Response(429, headers={"retry-after": seconds}))

    answer = registry.ask()

    assert (answer.state, registry.paused) == ("not asked", [])
    assert f"429 Too Many Requests, asks to wait {seconds} s" in answer.reason


@pytest.mark.parametrize("code", [500, 502, 503, 504])
def test_server_errors_say_nothing_about_the_reference(code: int) -> None:
    """Three tries, then it could not be asked: a registry in trouble has not lost an image."""
    registry = Registry(*[httpx.Response(code)] * 3)

    answer = registry.ask()

    assert (answer.state, len(registry.seen)) == ("not asked", 3)
    assert f"registry-1.docker.io answers {code}" in answer.reason


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ([httpx.ReadTimeout("")], "ReadTimeout"),
        ([httpx.RemoteProtocolError("disconnected")], "disconnected"),
        ([httpx.ConnectError("no route")], "no connection to registry-1.docker.io: no route"),
        ([httpx.Response(200, html="<html>log in</html>")], "HTML page"),
        ([httpx.Response(418)], "418"),
        ([httpx.Response(401, headers={"www-authenticate": 'Basic realm="x"'})], "requires a login (Basic)"),
        ([httpx.Response(401)], "401 without a challenge"),
        ([challenge(), httpx.Response(200, html="<html></html>")], "HTML page"),
        ([challenge(), httpx.Response(200, content=b"nonsense")], "without a token"),
        ([challenge(), httpx.Response(200, json=[])], "without a token"),
        ([challenge(), httpx.Response(200, json={"token": 5})], "without a token"),
        ([challenge(), httpx.Response(404)], "auth.docker.io answers 404 Not Found where a token was asked for"),
    ],
)
def test_what_is_no_answer_of_a_registry(answers: list[httpx.Response | Exception], reason: str) -> None:
    """Timeouts, nonsense and strangers' pages are no word about the reference, and not told as if it were gone."""
    answer = Registry(*answers).ask()

    assert answer.state == "not asked"
    assert reason in answer.reason


def test_unreachable_registry_is_tried_once() -> None:
    """Where one reference found no connection, the registry's others wait for none."""
    registry = Registry(httpx.ConnectTimeout("timed out"))
    client = registry.client()

    reasons = {client.check(parse_reference(f"redis:{tag}")).reason for tag in (6, 7, 8)}

    assert reasons == {"no connection to registry-1.docker.io: timed out"}
    assert len(registry.seen) == 1


def test_all_answers_are_there_within_the_bound() -> None:
    """What was not asked when the time was over is reported to be so."""
    registry = Registry(found())
    client = registry.client(bound=40)
    client.check(REDIS)
    registry.now = 41

    assert client.check(REDIS).reason == "the 40 s for the whole check were over"
    assert len(registry.seen) == 1


@pytest.mark.parametrize(
    ("registry", "scheme"),
    [
        ("localhost:5000", "http"),
        ("127.0.0.1:5000", "http"),
        ("127.9.9.9", "http"),
        ("[::1]:5000", "http"),
        ("localhost", "http"),
        ("registry.example:5000", "https"),
        ("10.0.0.1:5000", "https"),
    ],
)
def test_loopback_registry_is_asked_over_plain_http(registry: str, scheme: str) -> None:
    """As Docker does: a registry on this machine has no certificate."""
    fake = Registry(found())

    assert fake.ask(f"{registry}/app:1").state == "found"
    assert fake.asked == [f"HEAD {scheme}://{registry}/v2/app/manifests/1"]
    assert is_loopback(registry) == (scheme == "http")


def test_unusable_proxy_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that the HTTP client cannot use is no traceback."""
    monkeypatch.setenv("HTTPS_PROXY", "gopher://proxy:1")

    answer = Registries(40, lambda _: None).check(REDIS)

    assert answer.state == "not asked"
    assert "proxy" in answer.reason.lower()
