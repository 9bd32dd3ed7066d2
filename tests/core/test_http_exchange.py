"""Requests and answers as values."""

from hypothesis import given
from hypothesis import strategies as st

from harness.http_exchange import Answer, Answers, get, unique_name
from tests.recordings.shapes import fuzz

STATUSES = st.lists(st.none() | st.integers(100, 599), max_size=30)


def answers(statuses: list[int | None]) -> Answers:
    """An answer of each status."""
    return Answers(tuple(Answer(f"rq-{n}", s, {"x-n": str(n)}, float(n)) for n, s in enumerate(statuses)))


def test_names_are_unique_and_say_what_for() -> None:
    """No two names are the same, and each begins with its prefix."""
    names = {unique_name("caller") for _ in range(500)}

    assert len(names) == 500
    assert all(name.startswith("caller-") for name in names)


def test_keyword_names_become_header_names() -> None:
    """Underscores of Python are dashes of HTTP."""
    request = get("/productpage", host="b.example", x_user_id="john")

    assert (request.url, request.host, dict(request.headers)) == ("/productpage", "b.example", {"x-user-id": "john"})
    assert get("/").host is None


def test_request_is_a_value() -> None:
    """A request does not change after it was made."""
    assert get("/a", x_b="c") == get("/a", x_b="c")
    assert get("/a", x_b="c") != get("/a", x_b="d")


@fuzz
@given(STATUSES)
def test_answers_keep_the_order_sent(statuses: list[int | None]) -> None:
    """Statuses, ids and headers come in the order sent, and a slice is answers again."""
    found = answers(statuses)

    assert found.statuses == statuses
    assert found.ids == [f"rq-{n}" for n in range(len(statuses))]
    assert found.header("X-N") == [str(n) for n in range(len(statuses))]
    assert found[1:].statuses == statuses[1:]
    assert isinstance(found[1:], Answers)
    assert len(found) == len(list(found)) == len(statuses)


@fuzz
@given(STATUSES)
def test_answers_fall_apart_by_status(statuses: list[int | None]) -> None:
    """Each answer is had by its own status and by no other."""
    found = answers(statuses)

    assert sum(len(found.with_status(status)) for status in set(statuses)) == len(statuses)
    assert all(answer.status == status for status in set(statuses) for answer in found.with_status(status))
    assert len(found.with_status(999)) == 0


def test_answers_without_a_text() -> None:
    """Those whose body has it are left out, the order stays."""
    bodies = ["of reviews-v1", "of reviews-v2", "", "of reviews-v1"]
    found = Answers(tuple(Answer(str(n), 200, {}, 1, body=body) for n, body in enumerate(bodies)))

    assert found.without_text("reviews-v1").ids == ["1", "2"]
    assert found.without_text("of nobody").ids == found.ids


def test_slowest_of_none_is_nothing() -> None:
    """No answers took no time; else the slowest counts."""
    assert answers([]).slowest_ms == 0
    assert answers([200, 200, 503]).slowest_ms == 2


def test_header_names_have_no_case() -> None:
    """A header is found however it is spelled; one that does not exist is None."""
    answer = Answer("rq", 200, {"x-ratelimit-limit": "3"}, 1)

    assert answer.header("X-RateLimit-Limit") == "3"
    assert answer.header("x-none") is None


def test_repr_counts() -> None:
    """The printed form says how many of what; no answer is reported by its error."""
    silent = Answer("rq-9", None, {}, 1, error="ConnectError: refused")

    assert repr(answers([200, 429, 200])) == "<3 answers: 200 x 2, 429 x 1>"
    assert repr(Answers((silent,))) == "<1 answers: ConnectError: refused x 1>"
    assert repr(answers([None])) == "<1 answers: no answer x 1>"
