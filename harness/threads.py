"""Runs work in parallel threads, which stop soon after an interruption."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

from harness.command import end_programs_of_other_threads
from harness.interruption import interrupting_other_threads


@contextmanager
def thread_pool(most: int) -> Iterator[ThreadPoolExecutor]:
    """An executor with at most so many threads. Its end waits for all that was begun; when the block is interrupted
    (Ctrl-C, SIGTERM, a test's time-out) what was begun is ended: waits within half a second, programs, and requests to
    an API at their own bound."""
    with ExitStack() as at_last, ThreadPoolExecutor(max_workers=most) as pool:
        try:
            yield pool
        except Exception:
            raise
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            at_last.enter_context(interrupting_other_threads())
            end_programs_of_other_threads()
            raise
