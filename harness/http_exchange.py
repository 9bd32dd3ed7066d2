"""HTTP requests and responses as values. No I/O: clients send them, suites judge them."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any, overload

from harness.record_replay import ADDED, recorded

RAW_BODY = 400


@recorded("unique name")
def unique_name(prefix: str) -> str:
    """A name that no other run, test or attempt has used: fresh buckets, fresh log lines."""
    return f"{prefix}-{uuid.uuid4().hex[:10]}"


@dataclass(frozen=True, slots=True)
class Request:
    """One request. `url` is a path for the ingress client and a whole http URL for the mesh client."""

    url: str
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    host: str | None = None
    method: str = field(default="GET", metadata=ADDED)
    body: str = field(default="", metadata=ADDED)

    @property
    def described(self) -> dict[str, Any]:
        """Its parts as JSON; of a body only its length in bytes."""
        parts = {"method": self.method, "url": self.url, "host": self.host, "headers": dict(self.headers)}
        return parts | ({"bytes": len(self.body.encode())} if self.body else {})


def get(url: str, *, host: str | None = None, **headers: str) -> Request:
    """A GET; keyword names become header names: `x_user_id="john"` is `x-user-id: john`."""
    return Request(url, MappingProxyType({k.replace("_", "-"): v for k, v in headers.items()}), host)


@dataclass(frozen=True, slots=True)
class Answer:
    """What one request got.

    `id` was sent as x-request-id and, because Envoy may replace that at the edge, also as `user-agent: e2e/<id>`.
    `status` is None when no HTTP answer came; `error` then says why. `ms` is the time to the last byte.
    `local` is the client's own address:port of that connection, where known. `served_by` is the common name of the
    certificate that the server showed, over TLS.
    """

    id: str
    status: int | None
    headers: Mapping[str, str]
    ms: float
    error: str = ""
    body: str = ""
    local: str = ""
    served_by: str = ""

    def header(self, name: str) -> str | None:
        return self.headers.get(name.lower())


@dataclass(frozen=True, slots=True)
class Answers(Sequence[Answer]):
    """The history of one send, in the order sent."""

    items: tuple[Answer, ...]

    @overload
    def __getitem__(self, index: int) -> Answer: ...
    @overload
    def __getitem__(self, index: slice) -> Answers: ...
    def __getitem__(self, index: int | slice) -> Answer | Answers:
        return Answers(self.items[index]) if isinstance(index, slice) else self.items[index]

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Answer]:
        return iter(self.items)

    @property
    def statuses(self) -> list[int | None]:
        return [answer.status for answer in self.items]

    @property
    def ids(self) -> list[str]:
        return [answer.id for answer in self.items]

    def with_status(self, status: int | None) -> Answers:
        return Answers(tuple(answer for answer in self.items if answer.status == status))

    def without_text(self, text: str) -> Answers:
        """Those whose body does not have this text."""
        return Answers(tuple(answer for answer in self.items if text not in answer.body))

    def header(self, name: str) -> list[str | None]:
        return [answer.header(name) for answer in self.items]

    @property
    def served_by(self) -> list[str]:
        """Common names of servers' certificates."""
        return [answer.served_by for answer in self.items]

    def raw(self, requests: Sequence[Request], *, together: bool = False) -> list[str]:
        """Each answer as JSON with its request, its body cut to RAW_BODY characters; `together`: they were sent at
        once."""
        names = ("id", "status", "ms", "error", "local", "served_by")
        return [
            json.dumps(
                {name: getattr(one, name) for name in names}
                | {"headers": dict(one.headers), "body": one.body[:RAW_BODY]}
                | {"request": asked.described | {"together": together}}
            )
            for one, asked in zip(self.items, requests, strict=True)
        ]

    @property
    def slowest_ms(self) -> float:
        return max((answer.ms for answer in self.items), default=0.0)

    def __repr__(self) -> str:
        counted = Counter(str(answer.status or answer.error or "no answer") for answer in self.items)
        return f"<{len(self.items)} answers: " + ", ".join(f"{k} x {n}" for k, n in counted.items()) + ">"


def answers_to_json(answers: Answers) -> list[dict[str, Any]]:
    """Answers as JSON."""
    names = [field.name for field in fields(Answer)]
    return [{name: getattr(one, name) for name in names} | {"headers": dict(one.headers)} for one in answers]


def answers_from_json(given: list[dict[str, Any]]) -> Answers:
    """Answers from their JSON."""
    return Answers(tuple(Answer(**one) for one in given))
