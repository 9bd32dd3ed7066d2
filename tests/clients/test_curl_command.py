"""What is reported to curl, and what it writes."""

import json
import shutil
import subprocess
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.clients import curl_command
from harness.errors import Inconclusive
from harness.http_exchange import Request, get
from tests.patience import SOON
from tests.recordings.shapes import fuzz, json_values, keyed

IDS = st.lists(st.from_regex(r"rq-[0-9a-f]{10}", fullmatch=True), min_size=1, max_size=6, unique=True)
HOSTILE = keyed(
    "id", "curl", "headers", "response_code", "time_total", "errormsg", "exitcode", "local_ip", "local_port"
)


def written(id_: str, status: int = 200, **changes: Any) -> str:
    """What curl writes for one transfer."""
    values = {
        "response_code": status,
        "time_total": 0.012,
        "local_ip": "10.244.0.9",
        "local_port": 40_001,
        "errormsg": None,
    }
    return json.dumps({"id": id_, "curl": values | changes, "headers": {"X-A": ["1", "2"], "server": ["envoy"]}}) + "\n"


def test_one_group_for_each_request() -> None:
    """Each request has its id, time limit and output of its own, between --next."""
    argv = curl_command.curl_arguments(
        [get("http://a:1/x", x_user_id="john"), get("http://b/", host="c")], ["i1", "i2"], at_once=1, max_time=30
    )

    assert argv[0] == "curl"
    assert "--parallel" not in argv
    first, second = argv[1 : argv.index("--next")], argv[argv.index("--next") + 1 :]
    assert first[-1] == "http://a:1/x"
    assert "x-request-id: i1" in first
    assert "x-user-id: john" in first
    assert first[first.index("--user-agent") + 1] == "e2e/i1"
    assert first[first.index("--max-time") + 1] == "30"
    assert "host: c" in second
    assert "x-request-id: i2" in second
    assert not any("i1" in word for word in second)


def test_together_is_parallel_from_the_start() -> None:
    """More than one at once is a parallel transfer of that many, none held back."""
    argv = curl_command.curl_arguments([get("http://a/")] * 3, ["a", "b", "c"], at_once=3, max_time=1)

    assert argv[1:5] == ["--parallel", "--parallel-immediate", "--parallel-max", "3"]
    assert argv.count("--next") == 2


def test_every_request_needs_an_id() -> None:
    """A request without an id could not be reported from the others."""
    with pytest.raises(ValueError, match="shorter"):
        curl_command.curl_arguments([get("http://a/")] * 2, ["a"], at_once=1, max_time=1)


@fuzz
@given(IDS, st.randoms(), st.sampled_from(["\n", "", "\n\n", " \n "]))
def test_answers_come_in_the_order_of_ids(ids: list[str], random: Any, between: str) -> None:
    """In whatever order transfers end, answers are in the order sent."""
    lines = [written(id_, 200 + n).strip() + between for n, id_ in enumerate(ids)]
    random.shuffle(lines)

    found = curl_command.parse_answers("".join(lines), ids)

    assert found.ids == ids
    assert found.statuses == [200 + n for n in range(len(ids))]


def test_answer_is_read() -> None:
    """Status, time, headers and the connection's own address are curl's."""
    (found,) = curl_command.parse_answers(written("a", 503), ["a"])

    assert (found.status, found.ms, found.local, found.error) == (503, 12.0, "10.244.0.9:40001", "")
    assert found.header("X-a") == "1, 2"


def test_transfer_without_an_answer_is_reported() -> None:
    """Status 0 is no status: the error is curl's message, or its exit code."""
    (silent,) = curl_command.parse_answers(written("a", 0, errormsg="Connection refused", local_ip=""), ["a"])
    (mute,) = curl_command.parse_answers(written("a", 0, exitcode=52, local_ip=None), ["a"])

    assert (silent.status, silent.error, silent.local) == (None, "Connection refused", "")
    assert mute.error == "curl exit 52"


def test_missing_answer_is_unjudged() -> None:
    """An id without an object was sent or not: nobody knows."""
    with pytest.raises(Inconclusive, match="1 of 2 requests have no response from curl, first b"):
        curl_command.parse_answers(written("a"), ["a", "b"])


def test_answer_to_another_request_does_not_count() -> None:
    """An id that nobody asked for is no answer to ours."""
    assert curl_command.parse_answers(written("z") + written("a"), ["a"]).ids == ["a"]


def test_two_answers_to_one_request_are_unjudged() -> None:
    """One request has one answer; which of two is its is not known."""
    with pytest.raises(Inconclusive, match="a"):
        curl_command.parse_answers(written("a") + written("a", 503), ["a"])


@pytest.mark.parametrize(
    "output",
    ["curl: option --json unknown", "{", "null", "[]", "3", '{"id": "a"}', '{"id": "a", "curl": {}, "headers": {}}',
     '{"id": "a", "curl": {"response_code": "x"}, "headers": {}}', '{"id": [], "curl": {}, "headers": {}}',
     '{"id": "a", "curl": {"response_code": 200, "time_total": 1}, "headers": []}', "[" * 100_000,
     '{"id": "a", "curl": {"response_code": 200, "time_total": 1}, "headers": {"a": [1]}}',
     '{"id": "a", "curl": {"response_code": 200, "time_total": 1}, "headers": {"a": null}}'],
)  # fmt: skip
def test_what_curl_does_not_write_is_unjudged(output: str) -> None:
    """Output of another shape reports no request."""
    with pytest.raises(Inconclusive):
        curl_command.parse_answers(output, ["a"])


def test_half_an_output_is_unjudged() -> None:
    """A stream cut in the middle is reported with where."""
    whole = written("a") + written("b")

    with pytest.raises(Inconclusive):
        curl_command.parse_answers(whole[: len(whole) - 20], ["a", "b"])


@fuzz
@given(st.text() | json_values.map(json.dumps) | st.lists(HOSTILE.map(json.dumps)).map(" ".join))
def test_garbage_is_unjudged_or_read(output: str) -> None:
    """Nothing that curl could write makes the reader fail in another way."""
    try:
        found = curl_command.parse_answers(output, ["a"])
    except Inconclusive:
        return
    assert found.ids == ["a"]


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs a curl to speak to")
def test_real_curl_understands_us(free_port: int) -> None:
    """A real curl takes the command line and writes what we read, here with nobody to answer."""
    ids = ["a", "b", "c"]
    argv = curl_command.curl_arguments([get(f"http://127.0.0.1:{free_port}/")] * 3, ids, at_once=3, max_time=SOON)

    result = subprocess.run(argv, capture_output=True, text=True, timeout=SOON, check=False)

    found = curl_command.parse_answers(result.stdout, ids)
    assert found.statuses == [None] * 3
    assert all("onnect" in answer.error for answer in found), result


def test_method_is_named_where_it_is_no_get() -> None:
    """curl sends a GET by itself."""
    argv = curl_command.curl_arguments(
        [get("http://a/"), Request("http://b/", method="PUT")], ["i1", "i2"], at_once=1, max_time=1
    )

    assert argv.count("--request") == 1
    assert argv[argv.index("--request") + 1] == "PUT"
    assert argv.index("--next") < argv.index("--request")


def test_body_does_not_change_the_method() -> None:
    """curl would send a body by POST."""
    argv = curl_command.curl_arguments([Request("http://a/", body="a=b")], ["i1"], at_once=1, max_time=1)

    assert argv[argv.index("--data-binary") + 1] == "a=b"
    assert argv[argv.index("--request") + 1] == "GET"


@pytest.mark.parametrize(
    ("certs", "name"),
    [
        ("Subject:CN = backend\nIssuer:CN = mesh-e2e\nVersion:2\n", "backend"),
        ("Subject:O = a, CN=b.example, OU = c\nIssuer:CN = mesh-e2e\n", "b.example"),
        ("", ""),
        (None, ""),
    ],
)
def test_certificate_is_named_by_its_subject(certs: str | None, name: str) -> None:
    """As curl writes it over https, where no certificate is refused; on a connection used again it writes none."""
    argv = curl_command.curl_arguments([get("https://a/"), get("http://b/")], ["i1", "i2"], at_once=1, max_time=1)

    assert curl_command.parse_answers(written("i1", certs=certs), ["i1"])[0].served_by == name
    assert "--insecure" in argv[: argv.index("--next")]
    assert "--insecure" not in argv[argv.index("--next") :]
