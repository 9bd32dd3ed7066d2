"""Parses the rate limit service's page /rlconfig: the loaded limits.

`<domain>.<key>_<value>.<key>_<value>: unit=HOUR requests_per_unit=3, shadow_mode: false, quota_mode: false`, from
tests/recordings/admin/ratelimit-rlconfig.txt. Envoy Gateway's domain is "<namespace>/<gateway>/<listener>".
An empty text is a rate limit service without limits: then every request passes, and looks as if there were no policy.
"""

import re
from dataclasses import dataclass

_LINE = re.compile(
    r"(?P<key>.+): unit=(?P<unit>[A-Z]+) requests_per_unit=(?P<requests>\d+)(?P<rest>(?:,.*)?)", re.ASCII
)


class NotRlconfig(ValueError):
    """A line is no limit: most often the answer of another port."""


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit: requests per unit ("SECOND", "MINUTE", "HOUR", "DAY"); in shadow mode it counts and lets pass.

    key is the domain and the descriptors, joined by dots. All three parts may hold dots and underscores themselves,
    so it cannot be taken apart again: compare with `is_in_domain`, or look for a name in it.
    """

    key: str
    unit: str
    requests: int
    shadow: bool

    def is_in_domain(self, domain: str) -> bool:
        """Whether the limit belongs to this domain, e.g. "default/bookinfo-ingress/ingress"."""
        return self.key.startswith(f"{domain}.")


def parse_rlconfig(text: str) -> tuple[Limit, ...]:
    """The limits in the text, in order; () for an empty one. Raises Unreadable at the first line that is none."""
    return tuple(_read(line) for line in text.split("\n") if line.strip())


def _read(line: str) -> Limit:
    found = _LINE.fullmatch(line.strip())
    if not found:
        raise NotRlconfig(f"no limit of /rlconfig: {line[:120]!r}")
    return Limit(found["key"], found["unit"], int(found["requests"][:18]), "shadow_mode: true" in found["rest"])
