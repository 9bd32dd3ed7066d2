"""Parses rejected xDS updates in Envoy's own log.

No Kubernetes status shows a refusal: with the waypoint's TCP listener on 15008 the Gateway is Programmed and each
listener too, while Envoy says "cannot bind '0.0.0.0:15008'" in this log (tests/recordings/port-15008-clash).
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from harness.logs.unreadable import UnreadableLines

# Envoy writes a refusal up to four times: the listener manager, lds, the delta subscription, the gRPC subscription.
# The last is there for every kind of resource and subscription, so it alone is counted.
_REJECTED = re.compile(r"gRPC config for (?P<type>\S+) rejected: (?P<message>.*)", re.DOTALL)
_HEAD = re.compile(r"\[(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+)\]\[\d+\]\[\w+\]\[[^\]]*\] (?:\[[^\]]*\] )?")
_MANY = re.compile(r"Error adding/updating \S+ (.*)", re.DOTALL)
_ONE = re.compile(r"(?:, )?(\S+): (.+)")


@dataclass(frozen=True, slots=True)
class Rejection:
    """One resource of an update that Envoy refused over xDS and answered with a NACK.

    resource is a name such as "default/waypoint/fake-hbone-port", "" when Envoy refused the update as a whole.
    type_url says of which kind. time is UTC, None when the line's head is cut off.
    """

    time: datetime | None
    resource: str
    text: str
    type_url: str


def parse_rejections(text: str) -> tuple[Rejection, ...]:
    """Every refusal in the log, in order, repeated ones too; () when there is none. Never raises."""
    return tuple(rejection for entry in _entries(text) for rejection in _read(entry))


def find_unreadable_lines(text: str) -> UnreadableLines:
    """Lines that begin like a message of Envoy's and have another head than its messages: a refusal in such a format
    would not be found. Never raises."""
    return UnreadableLines.of(line for line in text.split("\n") if line.startswith("[") and not _HEAD.match(line))


def _entries(text: str) -> list[str]:
    """The log cut into messages: Envoy's may run over several lines, each new one begins with `[` or `{`."""
    entries: list[str] = []
    for line in text.split("\n"):
        if line.startswith(("[", "{")) or not entries:
            entries.append(line)
        else:
            entries[-1] += "\n" + line
    return entries


def _read(entry: str) -> list[Rejection]:
    if entry.startswith("{"):
        return []  # An access line; a client's path or header may quote anything.
    found = _REJECTED.search(entry)
    if not found:
        return []
    time, kind, message = _time(entry), found["type"], found["message"].strip()
    many = _MANY.match(message)
    each = [_ONE.fullmatch(line.strip()) for line in many[1].split("\n") if line.strip()] if many else []
    named = [Rejection(time, one[1], one[2], kind) for one in each if one]
    return named or [Rejection(time, "", " ".join(message.split()), kind)]


def _time(entry: str) -> datetime | None:
    head = _HEAD.match(entry)
    if not head:
        return None
    try:
        return datetime.fromisoformat(head[1]).replace(tzinfo=UTC)
    except ValueError:
        return None
