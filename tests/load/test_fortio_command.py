"""fortio's command line and what it writes. Recorded on a real cluster; planted: cut, doubled and foreign output."""

import json
from itertools import pairwise

import pytest

from harness.errors import Inconclusive
from harness.http_exchange import get
from harness.load.fortio_command import fortio_arguments, parse_samples
from tests import recordings

RECORDED = (recordings.HERE / "load" / "fortio.jsonl").read_text()


def test_recorded_run_is_read() -> None:
    """10 requests of two connections, each answered 404."""
    found = parse_samples(RECORDED)

    assert len(found) == 10
    assert {sample.connection for sample in found} == {0, 1}
    assert found[0].at == pytest.approx(1795252260.430137)
    assert found[0].ms == pytest.approx(6.539)
    assert [sample.status for sample in found].count(404) == 10


def test_no_answer_is_none() -> None:
    """fortio writes "-1" where no status came."""
    assert parse_samples(RECORDED.replace('"404"', '"-1"', 1))[0].status is None


def test_run_that_was_cut_is_not_judged() -> None:
    with pytest.raises(Inconclusive, match="did not end its run"):
        parse_samples(RECORDED[: RECORDED.index('{\n  "RunType"')])


def test_lost_line_is_noticed() -> None:
    with pytest.raises(Inconclusive, match="counts 10 requests and reports 9"):
        parse_samples(RECORDED.split("\n", 1)[1])


def test_half_a_line_is_noticed() -> None:
    """A line that begins no object is talk, and a request less than the run counts."""
    with pytest.raises(Inconclusive, match="counts 10 requests and reports 9"):
        parse_samples(RECORDED[20:])
    with pytest.raises(Inconclusive, match="not JSON"):
        parse_samples(RECORDED[:20] + "\n" + RECORDED)


def test_nothing_is_no_run() -> None:
    with pytest.raises(Inconclusive, match="did not end its run"):
        parse_samples("")


@pytest.mark.parametrize(
    "talk", ["\x1b[91mLog level is now 5\r", "Fortio 1.68.2 running at 20 queries", "# target 50%"]
)
def test_talk_to_a_terminal_is_left_out(talk: str) -> None:
    """Also where a colour's end stands before an object, or an error's words have braces of their own."""
    assert parse_samples(f"{talk}\n\x1b[0m{RECORDED}\n{talk}") == parse_samples(RECORDED)


def test_echo_of_ctrl_c_hides_no_request() -> None:
    """The terminal writes it wherever the output is; a request was missing once, on a busy machine."""
    lines = RECORDED.split("\n")

    assert parse_samples("\n".join([*lines[:4], f"^C{lines[4]}", *lines[5:]])) == parse_samples(RECORDED)
    assert parse_samples("\n".join([*lines[:4], "^C", *lines[4:]])) == parse_samples(RECORDED)


@pytest.mark.parametrize("foreign", ['{"latency": 1}', "{}", "{7"])
def test_foreign_output_is_not_judged(foreign: str) -> None:
    with pytest.raises(Inconclusive):
        parse_samples(foreign + "\n" + RECORDED)


def test_status_that_is_no_number_is_not_judged() -> None:
    with pytest.raises(Inconclusive):
        parse_samples(RECORDED.replace('"404"', '"oops"', 1))


def test_command_line_is_bounded_and_marked() -> None:
    argv = fortio_arguments(
        get("http://x/", x_user_id="john"), id="load-1", qps=20, connections=2, seconds=10, keep=False
    )

    assert argv[-1] == "http://x/"
    assert ("-t", "10s") in list(pairwise(argv))
    assert "-keepalive=false" in argv
    assert "user-agent: e2e/load-1" in argv
    assert "x-user-id: john" in argv


def test_host_is_sent() -> None:
    argv = fortio_arguments(get("http://x/", host="ratings"), id="l", qps=1, connections=1, seconds=1, keep=True)

    assert "host: ratings" in argv
    assert "-keepalive=true" in argv


def test_recording_is_what_fortio_writes() -> None:
    """The run's own object closes it and names its version."""
    whole = json.loads(RECORDED[RECORDED.index('{\n  "RunType"') :])

    assert whole["Version"] == "1.68.2"
