"""Errors: one sentence, a remedy where there is one, and the exit code of the command line."""

import pytest

from harness.errors import BadInput, CommandFailed, HarnessError, Inconclusive, NotReady, SetupFailed, Terminal


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (BadInput("x"), 2),
        (SetupFailed("x"), 1),
        (NotReady("x", within=1, tries=1, last_seen="y"), 1),
        (Terminal("x", after=1, seen="y"), 1),
        (CommandFailed(["x"], 1, ""), 1),
        (Inconclusive("x"), 1),
    ],
)
def test_exit_code(error: HarnessError, code: int) -> None:
    """Asked wrong is 2; everything else that went wrong is 1."""
    assert error.exit_code == code


def test_remedy_is_a_line_of_its_own() -> None:
    """The remedy follows the sentence, and only where there is one."""
    assert str(BadInput("no such set", remedy="use another")) == "no such set\n  remedy: use another"
    assert str(BadInput("no such set")) == "no such set"


def test_remedy_may_come_later() -> None:
    """Who catches an error and knows more may add the remedy."""
    failed = CommandFailed(["helm"], 1, "no such host")
    failed.remedy = "use a bundle"

    assert str(failed).endswith("no such host\n  remedy: use a bundle")


def test_long_command_lines_are_cut() -> None:
    """The head of a command line says enough."""
    failed = CommandFailed(["kind", *"abcdefgh"], None, "")

    assert str(failed).startswith("`kind a b c d e …` was stopped at its time limit")


def test_unjudged_is_no_broken_setup() -> None:
    """A claim nobody could judge is its own outcome: neither a pass, nor a broken cluster."""
    assert not isinstance(Inconclusive("x"), SetupFailed)
    assert not isinstance(BadInput("x"), SetupFailed)


def test_causes_follow_the_first_line() -> None:
    """Before the rest of the message and the remedy."""
    error = HarnessError("it failed\nmore of it", remedy="do this")
    error.causes = ("one", "two")

    assert str(error).splitlines() == ["it failed", "  cause: one", "  cause: two", "more of it", "  remedy: do this"]
