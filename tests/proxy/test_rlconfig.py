"""The limits that the rate-limit service holds."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.proxy.rlconfig import Limit, NotRlconfig, parse_rlconfig
from tests.recordings import text
from tests.recordings.shapes import fuzz

DOMAIN = "default/bookinfo-ingress/ingress"


def test_recorded_limit_is_the_articles() -> None:
    """Three an hour, enforced, for the ingress listener."""
    (limit,) = parse_rlconfig(text("admin/ratelimit-rlconfig.txt"))

    assert (limit.unit, limit.requests, limit.shadow) == ("HOUR", 3, False)
    assert limit.is_in_domain(DOMAIN)
    assert not limit.is_in_domain("default/bookinfo-ingress/ing")
    assert limit.key.endswith("rule-0-match-0.rule-0-match-1_rule-0-match-1")


def test_empty_text_has_no_limits() -> None:
    """A rate limit service without rules limits nothing."""
    assert parse_rlconfig("") == ()


def test_shadow_mode_is_seen() -> None:
    """In shadow mode the limit counts and lets pass."""
    assert parse_rlconfig("a.b: unit=DAY requests_per_unit=1, shadow_mode: true") == (Limit("a.b", "DAY", 1, True),)
    assert parse_rlconfig("a.b: unit=DAY requests_per_unit=1") == (Limit("a.b", "DAY", 1, False),)


@pytest.mark.parametrize("other", ["<html>", "a: unit=HOUR", "a: unit=HOUR requests_per_unit=x, shadow_mode: false"])
def test_other_texts_are_refused(other: str) -> None:
    """The answer of a wrong port is an error, not an absence of limits."""
    with pytest.raises(NotRlconfig, match="no limit of /rlconfig"):
        parse_rlconfig(other)


@fuzz
@given(st.text())
def test_any_text_is_read_or_refused(anything: str) -> None:
    """Garbage raises Unreadable and nothing else."""
    with suppress(NotRlconfig):
        assert isinstance(parse_rlconfig(anything), tuple)
