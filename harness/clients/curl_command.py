"""Builds the curl command line for the mesh client pod, and parses curl's JSON output. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from harness.errors import Inconclusive
from harness.http_exchange import Answer, Answers, Request
from harness.objects.address_with_port import host_port

_SUBJECT = re.compile(r"^Subject:.*?\bCN ?= ?([^\n,]+)")  # of the first of the certificates, as OpenSSL writes it


def curl_arguments(requests: Sequence[Request], ids: Sequence[str], *, at_once: int, max_time: float) -> list[str]:
    """One curl command line for all requests; more than one `at_once` go in parallel, else in turn.

    Each transfer is a group of its own (`--next`): own id in x-request-id and user-agent, body dropped, and a
    JSON object on standard output when it ends, whether or not it got an answer. Over https no certificate is
    refused: the answer says whose it was.
    """
    parallel = ["--parallel", "--parallel-immediate", "--parallel-max", str(at_once)] if at_once > 1 else []
    groups: list[str] = []
    for request, id_ in zip(requests, ids, strict=True):
        headers = {"x-request-id": id_, **request.headers}
        if request.host:
            headers["host"] = request.host
        groups += ["--next"] if groups else []
        groups += ["--silent", "--max-time", f"{max_time:g}", "--output", "/dev/null", "--user-agent", f"e2e/{id_}"]
        groups += ["--insecure"] if request.url.startswith("https:") else []
        groups += [] if request.method == "GET" and not request.body else ["--request", request.method]
        groups += ["--data-binary", request.body] if request.body else []
        for name, value in headers.items():
            groups += ["--header", f"{name}: {value}"]
        groups += ["--write-out", f'{{"id":"{id_}","curl":%{{json}},"headers":%{{header_json}}}}\n', request.url]
    return ["curl", *parallel, *groups]


def parse_answers(output: str, ids: Sequence[str]) -> Answers:
    """What curl wrote, as answers in the order of `ids`.

    Raises:
        Inconclusive: an id has no object or two, or what was written is not what curl writes: the send itself broke.
    """
    decoder, position, found = json.JSONDecoder(), 0, dict[str, Answer]()
    text = output.strip()
    while position < len(text):
        try:
            one, position = decoder.raw_decode(text, position)
            answer = _answer(one)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise Inconclusive(
                f"curl's output is not JSON at {position}: {text[position : position + 120]!r}"
            ) from error
        if answer.id in found:
            raise Inconclusive(f"curl reported two responses to request {answer.id}")
        found[answer.id] = answer
        while position < len(text) and text[position].isspace():
            position += 1
    missing = [id_ for id_ in ids if id_ not in found]
    if missing:
        raise Inconclusive(f"{len(missing)} of {len(ids)} requests have no response from curl, first {missing[0]}")
    return Answers(tuple(found[id_] for id_ in ids))


def _answer(one: dict[str, Any]) -> Answer:
    facts = one["curl"]
    status = int(facts["response_code"]) or None
    return Answer(
        id=str(one["id"]),
        status=status,
        headers={name.lower(): ", ".join(values) for name, values in one["headers"].items()},
        ms=float(facts["time_total"]) * 1000,
        error="" if status else str(facts.get("errormsg") or f"curl exit {facts.get('exitcode')}"),
        local=host_port(facts["local_ip"], facts["local_port"]) if facts.get("local_ip") else "",
        served_by=subject[1] if (subject := _SUBJECT.match(str(facts.get("certs") or ""))) else "",
    )
