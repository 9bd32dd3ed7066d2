"""Calls of the harness's functions, watched."""

from __future__ import annotations

import pytest

from harness.faults import call_hooks
from harness.waits import responses

HERE = "harness.waits.responses.wait_for_response"


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What happened, in order; the watched function is a stub that tells."""
    lines: list[str] = []

    def reached(*, fails: bool = False) -> str:
        lines.append("called")
        if fails:
            raise ValueError("it fails")
        return "answer"

    monkeypatch.setattr(responses, "wait_for_response", reached)
    return lines


def call(**named: bool) -> object:
    return responses.wait_for_response(**named)  # type: ignore[call-arg]  # the stub's arguments


def test_done_around_the_call_once(events: list[str]) -> None:
    """Before and after the first call alone, whose answer is passed on."""
    call_hooks.hook_call(HERE, before=lambda: events.append("before"), after=lambda: events.append("after"))

    assert (call(), call()) == ("answer", "answer")
    assert events == ["before", "called", "after", "called"]


def test_numbered_call(events: list[str]) -> None:
    """With a number, that call."""
    call_hooks.hook_call(f"{HERE}#2", after=lambda: events.append("after"))

    call()
    call()

    assert events == ["called", "called", "after"]


def test_call_that_fails_has_ended_too(events: list[str]) -> None:
    """What it raises is passed on."""
    call_hooks.hook_call(HERE, after=lambda: events.append("after"))

    with pytest.raises(ValueError, match="it fails"):
        call(fails=True)

    assert events == ["called", "after"]


def test_watch_is_taken_away(events: list[str]) -> None:
    """The function is itself again."""
    stub = responses.wait_for_response
    take_away = call_hooks.hook_call(HERE, after=lambda: events.append("after"))

    take_away()
    call()

    assert events == ["called"]
    assert responses.wait_for_response is stub


@pytest.mark.parametrize("text", ["waypoint", "test", "a/b.yaml", "harness", "harness.wait.until#0", "os.path.join"])
def test_what_names_no_call(text: str) -> None:
    """Fixtures, manifests and others' functions are none."""
    assert not call_hooks.is_call(text)
    with pytest.raises(ValueError, match="names no call"):
        call_hooks.hook_call(text)


@pytest.mark.parametrize("text", ["harness.nowhere.function", "harness.wait.nothing"])
def test_unknown_function(text: str) -> None:
    """It is reported when the fault is armed, not never."""
    with pytest.raises((ImportError, AttributeError)):
        call_hooks.hook_call(text)
