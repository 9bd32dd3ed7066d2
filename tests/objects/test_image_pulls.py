"""What a failed pull's words mean. Texts: containerd 1.7 and 2.x, Docker 24 to 28, as public issues quote them."""

import pytest

from harness import timeouts
from harness.objects.image_pulls import NEVER, judge_pull_failure
from harness.objects.workloads import find_trouble
from tests.recordings import obj

UNPACK = 'failed to pull and unpack image "docker.io/istio/pilot:1.29.1": '
RESOLVE = UNPACK + 'failed to resolve reference "docker.io/istio/pilot:1.29.1": '
URL = "https://registry-1.docker.io/v2/istio/pilot/manifests/"
COPY = UNPACK + "failed to copy: httpReadSeeker: failed open: "
DO = RESOLVE + f'failed to do request: Head "{URL}1": '
FINAL = timeouts.TROUBLE_GRACE
HUB = "Docker Hub's anonymous pull rate limit (429): `docker login`, CACHE=1, REGISTRY=, or BUNDLE="
REACH = "the node does not reach the registry"


@pytest.mark.parametrize(
    ("message", "stands", "advice"),
    [
        (COPY + f"unexpected status code {URL}sha256:01: 429 Too Many Requests - Server message: toomanyrequests: You "
         "have reached your unauthenticated pull rate limit. https://www.docker.com/increase-rate-limit", NEVER, HUB),
        (COPY + f"unexpected status from GET request to {URL}sha256:01: 429 Too Many Requests\ntoomanyrequests: You "
         "have reached your unauthenticated pull rate limit. https://www.docker.com/increase-rate-limit", NEVER, HUB),
        (COPY + f"unexpected status code {URL}sha256:50: 429 Too Many Requests - Server message: toomanyrequests: You "
         "have reached your pull rate limit. You may increase the limit by authenticating and upgrading: "
         "https://www.docker.com/increase-rate-limit", NEVER, HUB),
        ("pulling from host quay.io failed with status code [manifests 1]: 429 Too Many Requests", NEVER,
         "the registry's rate limit (429)"),
        (RESOLVE + "failed to authorize: failed to fetch anonymous token: unexpected status from GET request to "
         "https://auth.docker.io/token: 503 Service Unavailable", NEVER, "the registry is in trouble (503)"),
        (RESOLVE + f"unexpected status from HEAD request to {URL}1: 500 Internal Server Error", NEVER, "(500)"),
        (RESOLVE + "pulling from host registry-1.docker.io failed with status: 502 Bad Gateway", NEVER, "(502)"),
        ("Error response from daemon: received unexpected HTTP status: 504 Gateway Time-out", NEVER, "(504)"),
        (DO + 'dial tcp 44.205.64.79:443: i/o timeout', NEVER, REACH),
        (DO + 'dial tcp 44.205.64.79:443: connect: connection refused', NEVER,
         REACH),
        (COPY + f'failed to do request: Get "{URL}1": read tcp 10.0.0.2:41:443: read: connection reset by peer', NEVER,
         REACH),
        (COPY + f'failed to do request: Get "{URL}1": net/http: TLS handshake timeout', NEVER, REACH),
        (UNPACK + 'failed to copy: read tcp 10.0.0.2:4->1.2.3.4:443: unexpected EOF', NEVER, REACH),
        ('Error response from daemon: Get "https://registry-1.docker.io/v2/": net/http: request canceled while waiting '
         "for connection (Client.Timeout exceeded while awaiting headers)", NEVER, REACH),
        (DO + 'proxyconnect tcp: dial tcp 10.0.0.1:3128: connect: no route to '
         "host", NEVER, REACH),
        (DO + 'tls: failed to verify certificate: x509: certificate signed by '
         "unknown authority", NEVER, "does not trust the registry's certificate"),
        (DO + 'dial tcp: lookup registry-1.docker.io on 172.18.0.1:53: no such '
         "host", timeouts.UNRESOLVED_GRACE, "does not resolve on the node"),
        (RESOLVE + "docker.io/istio/pilot:1.29.1: not found", FINAL, "the registry has no such image"),
        ("Error response from daemon: manifest for istio/pilot:9 not found: manifest unknown: manifest unknown",
         FINAL, "the registry has no such image"),
        (RESOLVE + "no match for platform in manifest: not found", FINAL, "not for this platform"),
        (RESOLVE + "pull access denied, repository does not exist or may require authorization: server message: "
         "insufficient_scope: authorization failed", FINAL, "the registry denies it"),
        (RESOLVE + "failed to authorize: failed to fetch oauth token: unexpected status: 401 Unauthorized",
         FINAL, "the registry denies it"),
        (RESOLVE + f"unexpected status from HEAD request to {URL}1: 403 Forbidden", FINAL,
         "the registry denies it"),
        ("Error response from daemon: pull access denied for x, repository does not exist or may require 'docker "
         "login': denied: requested access to the resource is denied", FINAL, "the registry denies it"),
        ('Failed to apply default image tag "a b": couldn\'t parse image name "a b": invalid reference format',
         FINAL, "malformed"),
        ('Back-off pulling image "docker.io/istio/pilot:1.29.1"', NEVER, ""),
        ('Back-off pulling image "reg.example/denied-503/not-found:429"', NEVER, ""),
        ("", NEVER, ""),
    ],
)  # fmt: skip
def test_words_of_a_pull(message: str, stands: float, advice: str) -> None:
    """Each text is judged by what it says of the registry; an image's name is no such text."""
    found = judge_pull_failure(message)

    assert found.stands == stands
    assert advice in found.advice
    assert bool(advice) == bool(found.advice)


def test_recorded_pull_without_a_network() -> None:
    """Recorded on kind without a network: the name does not resolve, and the advice is in the pod's line."""
    (found,) = find_trouble(obj("negative/pod-neg-image.yaml"))

    assert found.stands == timeouts.UNRESOLVED_GRACE
    assert found.text.endswith(
        "(the registry's name does not resolve on the node: without a network, BUNDLE= or REGISTRY=)"
    )
