"""Interprets kubelet's messages about image pulls: whether waiting helps, and the remedy. Pure.

Final are only: no such image, access denied, a malformed reference, and a registry whose name does not resolve for a
minute. Rate limits, 5xx, timeouts and resets heal: kubelet tries again after 10 s, 20 s, 40 s ... The texts are
containerd's and Docker's.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from harness import timeouts

NEVER = math.inf  # seconds: what may heal by itself is bounded by the wait alone
FINAL = timeouts.TROUBLE_GRACE
ELSEWHERE = "CACHE=1, REGISTRY=, or BUNDLE="


@dataclass(frozen=True, slots=True)
class Pull:
    """A failed pull: after how many seconds trying again does not help (NEVER: it may), and what the user can do.

    The advice is "" where the text does not tell what failed.
    """

    stands: float
    advice: str


def judge_pull_failure(message: str) -> Pull:
    """What the message of ErrImagePull or ImagePullBackOff says. Signs of a passing failure count first: the text of a
    token request that met a 503 mentions authorization too."""
    for pattern, pull in _SIGNS:
        if found := re.search(pattern, message, re.IGNORECASE):
            return Pull(pull.stands, pull.advice.format(*(group or "" for group in found.groups())))
    return Pull(NEVER, "")


_HUB = r"docker\.(?:io|com)"
_SIGNS: tuple[tuple[str, Pull], ...] = (
    (
        rf"(?=.*{_HUB})(?=.*(?:unauthenticated|reached your pull rate limit)).*(?:toomanyrequests|\b429\b)",
        Pull(NEVER, f"Docker Hub's anonymous pull rate limit (429): `docker login`, {ELSEWHERE}"),
    ),
    (r"toomanyrequests|\b429 Too Many", Pull(NEVER, f"the registry's rate limit (429): `docker login`, {ELSEWHERE}")),
    (
        r"\b(50[0-9])\b:? (?:Internal Server|Bad Gateway|Service|Gateway|unavailable)",
        Pull(NEVER, f"the registry is in trouble ({{0}}): later, {ELSEWHERE}"),
    ),
    (
        r"no such host|server misbehaving|temporary failure in name resolution",
        Pull(
            timeouts.UNRESOLVED_GRACE,
            "the registry's name does not resolve on the node: without a network, BUNDLE= or REGISTRY=",
        ),
    ),
    (
        r"i/o timeout|timeout exceeded|deadline exceeded|handshake timeout|connection (?:reset|refused|timed out)"
        r"|\bEOF\b|broken pipe|network is unreachable|no route to host|proxyconnect",
        Pull(NEVER, f"the node does not reach the registry, or not for long: its network and proxy, {ELSEWHERE}"),
    ),
    (
        r"x509: |certificate signed by unknown",
        Pull(NEVER, "the node does not trust the registry's certificate: give it the registry's CA"),
    ),
    (
        r"invalid reference format|couldn't parse image",
        Pull(FINAL, "the image's reference is malformed"),
    ),
    (
        r"manifest unknown|name unknown|: not found\b|no match for platform",
        Pull(
            FINAL,
            "the registry has no such image, or not for this platform: is VERSIONS= right?",
        ),
    ),
    (
        r"access denied|access forbidden|\bdenied: |insufficient_scope|\bunauthorized\b|authorization failed"
        r"|no basic auth|\b40[13] (?:Unauthorized|Forbidden)",
        Pull(
            FINAL,
            "the registry denies it: does the repository exist, and does it need `docker login`?",
        ),
    ),
)
