"""Builds the fortio command line, and parses its JSON output. Pure.

Seen with fortio 1.68.2 (`load -access-log-format json -access-log-file /dev/stdout -json -`): a request's object has
`timestamp` (its start, epoch nanoseconds), `latency` (seconds), `thread` and `details` (the status; "-1" for none).
It has a terminal, so that Ctrl-C can end it, and says things to a human there, in colours: these, and lines that begin
no object, are left out.
"""

from __future__ import annotations

import json
import re
from typing import Any

from harness.errors import Inconclusive
from harness.http_exchange import Request
from harness.load.timeline import Sample

BINARY = "/usr/bin/fortio"
COLOUR = re.compile(r"\x1b\[[0-9;]*m")  # its end stands at the next line's beginning
# After talk the next object stands on the next line, or right behind it: the terminal echoes ^C wherever it is.
_BEGINS = re.compile(r'\n|(?=\{"latency":)')
ANSWER_SECONDS = 3.0  # a request without an answer for so long is lost


def fortio_arguments(
    request: Request, *, id: str, qps: float, connections: int, seconds: float, keep: bool
) -> list[str]:
    """One fortio command line. `keep` reuses a connection until it breaks; else each request has one of its own.

    Paced evenly (`-uniform`), and what an outage delayed is not sent in a burst after it (`-nocatchup`). Every
    request says `user-agent: e2e/<id>`, as do two that come before the run and are not in its record.
    """
    headers = {"user-agent": f"e2e/{id}", **request.headers}
    if request.host:
        headers["host"] = request.host
    argv = [BINARY, "load", "-quiet", "-loglevel", "Critical", "-allow-initial-errors", "-uniform", "-nocatchup"]
    argv += ["-qps", f"{qps:g}", "-c", str(connections), "-t", f"{seconds:g}s", "-timeout", f"{ANSWER_SECONDS:g}s"]
    argv += [f"-keepalive={'true' if keep else 'false'}"]
    for name, value in headers.items():
        argv += ["-H", f"{name}: {value}"]
    return [*argv, "-access-log-format", "json", "-access-log-file", "/dev/stdout", "-json", "-", request.url]


def parse_samples(output: str) -> tuple[Sample, ...]:
    """The requests of one run, in the order written.

    Raises:
        Inconclusive: what was written is no such JSON, the run's own object is missing (it did not end by itself), or
            that counts other requests than were reported.
    """
    decoder, position, found, whole = json.JSONDecoder(), 0, list[Sample](), dict[str, Any]()
    text = COLOUR.sub("", output).strip()
    while position < len(text):
        if text[position] != "{":
            begins = _BEGINS.search(text, position)
            position = begins.end() if begins else len(text)
            continue
        try:
            one, position = decoder.raw_decode(text, position)
            if "RunType" in one:
                whole = one
            else:
                found.append(_sample(one))
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise Inconclusive(
                f"fortio's output is not JSON at {position}: {text[position : position + 120]!r}"
            ) from error
        while position < len(text) and text[position].isspace():
            position += 1
    try:
        counted = int(whole["DurationHistogram"]["Count"])
    except (KeyError, TypeError, ValueError) as error:
        raise Inconclusive(f"fortio did not end its run: it reported {len(found)} requests, and no summary") from error
    if counted != len(found):
        raise Inconclusive(f"fortio counts {counted} requests and reports {len(found)}")
    return tuple(found)


def _sample(one: dict[str, Any]) -> Sample:
    status = int(one["details"])
    return Sample(
        at=int(one["timestamp"]) / 1e9,
        ms=float(one["latency"]) * 1000,
        status=status if status > 0 else None,
        connection=int(one["thread"]),
    )
