"""Bounded waits: end early when recovery is impossible, and report what was seen last."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import tenacity

from harness import observations, progress, record_replay
from harness.errors import HarnessError, NotObserved, NotReady, Terminal
from harness.interruption import raise_if_interrupted

T = TypeVar("T")
EAGER = 8  # the second look comes after an eighth of `every`: most of what is awaited is nearly there
_patience, _delays = 1.0, 1.0


def set_patience(factor: float, *, delays: float = 1.0) -> None:
    """Every bound of `until` in this process is multiplied by `factor` from now on: more for a slow machine, less where
    what is awaited is known to come soon or never (the emulated cluster under a planted fault). `delays` is what the
    cluster's own delays are divided by (the emulated one's)."""
    global _patience, _delays
    _patience, _delays = factor, delays


def scaled_bound(seconds: float) -> float:
    """A bound of harness/timeouts.py as it holds in this process."""
    return seconds * _patience


def scaled_dwell(seconds: float) -> float:
    """How long something must stay as it is before that counts: the longer, the later the cluster reports."""
    return seconds * max(1.0, _patience) / _delays


def until(
    observe: Callable[[], T],
    want: Callable[[T], bool],
    *,
    what: str,
    within: float,
    every: float = 0.5,
    hopeless: Callable[[T], str | None] = lambda _: None,
    transient: tuple[type[Exception], ...] = (),
    show: Callable[[T], str] = repr,
    remedy: str = "",
    causes: Callable[[], Sequence[str]] = tuple,
) -> T:
    """Observes until `want` holds, and returns what was observed then.

    `within` and `every` are seconds, the first before `scaled_bound`; the first looks follow each other sooner.
    `hopeless` returns why an observation cannot heal, or None. Only the exceptions in `transient` are taken for "not
    yet" (each is reported); any other ends the wait. Such an exception is no observation, unless its class says so
    (`observed`).
    `causes` is called when the wait has failed, and returns sentences that say why, for the error to quote.

    Raises:
        NotReady: `within` ran out. It says what was awaited, how long, how many tries, what was last seen.
        NotObserved: `within` ran out, and the last look was no observation (the API server or an admin port did not
            answer), so the state at the end is not known. Earlier observations do not count: since the last of them
            what was awaited may have come true.
        Terminal: an observation was hopeless.
    """
    started, within = time.monotonic(), scaled_bound(within)
    seen, observation = "nothing", ""  # by the last look, and by the last look that was an observation

    def explained(error: HarnessError) -> HarnessError:
        error.causes = tuple(causes())
        return error

    def attempt() -> T:
        nonlocal seen, observation
        raise_if_interrupted()
        try:
            with observations.probing():
                observed = observe()
        except transient as error:
            seen = f"{type(error).__name__}: {_short(str(error))}"
            observation = seen if getattr(error, "observed", False) else observation
            progress.awaiting(what, seen)
            raise _NotYet from error
        seen = observation = _short(show(observed))
        if want(observed):
            return observed
        reason = hopeless(observed)
        if reason:
            raise explained(Terminal(what, after=time.monotonic() - started, seen=reason, remedy=remedy))
        progress.awaiting(what, seen)
        raise _NotYet

    # One observation that takes the whole bound (a starved machine) is no reason to give up: a second one follows.
    out_of_time = tenacity.stop_all(tenacity.stop_after_delay(within), tenacity.stop_after_attempt(2))
    retrying = tenacity.Retrying(
        stop=lambda state: record_replay.is_out_of_time(what, state.attempt_number, lambda: out_of_time(state)),
        sleep=_sleep,
        wait=tenacity.wait_exponential(multiplier=every / EAGER, max=every),
        retry=tenacity.retry_if_exception_type(_NotYet),
    )
    try:
        return retrying(attempt)
    except tenacity.RetryError as error:
        tries = error.last_attempt.attempt_number
        if seen == observation:
            raise explained(NotReady(what, within=within, tries=tries, last_seen=seen, remedy=remedy)) from error
        before = f"before that: {observation}" if observation else "no look was an observation"
        raise NotObserved(what, within=within, tries=tries, last_seen=f"{seen} ({before})", remedy=remedy) from error


def pause(seconds: float, *, why: str) -> None:
    """Lets time pass where time itself is the subject (a window's end, a dwell); `why` is shown."""
    if seconds > 1:
        progress.awaiting(why, f"{seconds:.0f}s")
    raise_if_interrupted()
    _sleep(seconds)


def _sleep(seconds: float) -> None:
    if not record_replay.is_replaying():  # recorded answers do not change with time
        time.sleep(seconds)


class _NotYet(Exception):
    """Not an error: another try is due."""


def _short(text: Any, limit: int = 600) -> str:
    flat = " ".join(str(text).split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"
