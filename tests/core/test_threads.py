"""Threads, real ones, that wait and run programs when the main thread is interrupted."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness import command
from harness.command import run, running
from harness.install.installation import InstallStep, run_side_by_side
from harness.interruption import interrupting_other_threads, raise_if_interrupted
from harness.threads import thread_pool
from harness.wait import pause, until
from tests.fakes.programs import alive
from tests.patience import AT_ONCE, SOON


@pytest.fixture
def interrupted() -> Iterator[Callable[[threading.Event], None]]:
    """Ctrl-C in the main thread, a moment after that happened."""
    threads: list[threading.Thread] = []

    def when(begun: threading.Event) -> None:
        def interrupt() -> None:
            begun.wait(SOON)
            time.sleep(0.1)
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

        threads.append(threading.Thread(target=interrupt))
        threads[-1].start()

    yield when
    for thread in threads:
        thread.join()


def never() -> None:
    until(lambda: 0, lambda _: False, what="nothing", within=300, every=0.05)


@pytest.mark.parametrize(
    "act",
    [
        never,
        lambda: run(["sh", "-c", "sleep 300"], within=300),
        lambda: [run(["sh", "-c", "sleep 300"], within=300, check=False) for _ in range(60)],
        lambda: [pause(0.1, why="a test") for _ in range(3000)],
    ],
    ids=["waits", "runs a program", "runs one after the other", "lets time pass"],
)
def test_installation_is_interrupted_at_once(
    act: Callable[[], object], interrupted: Callable[[threading.Event], None]
) -> None:
    """Steps under way, whatever they wait for, do not hold up Ctrl-C; and no other begins."""
    begun, others = threading.Event(), list[str]()

    def first() -> None:
        begun.set()
        act()

    steps = [InstallStep("a", first), InstallStep("b", never), InstallStep("c", lambda: others.append("c"), ("a",))]
    interrupted(begun)
    started = time.monotonic()

    with pytest.raises(KeyboardInterrupt):
        run_side_by_side(steps)

    assert time.monotonic() - started < AT_ONCE
    assert others == []
    raise_if_interrupted()  # whoever is interrupted may wait again: evidence and undoing come now
    assert until(lambda: 1, bool, what="it is one", within=1) == 1


def test_programs_of_threads_within_threads_end_too(
    tmp_path: Path, interrupted: Callable[[threading.Event], None]
) -> None:
    """Images are loaded by threads of a step; what waits in their line does not begin."""
    begun = threading.Event()

    def load(n: int) -> None:
        begun.set()
        run(["sh", "-c", f"echo $$ > {tmp_path}/pid-{n}; sleep 300"], within=300)

    def images() -> None:
        with thread_pool(2) as pool:
            list(pool.map(load, range(20)))

    interrupted(begun)
    with pytest.raises(KeyboardInterrupt):
        run_side_by_side([InstallStep("images", images)])

    pids = [int(file.read_text()) for file in tmp_path.glob("pid-*") if file.read_text()]
    assert len(pids) < 20
    assert [pid for pid in pids if alive(pid)] == []


def test_a_failure_lets_the_others_finish() -> None:
    """Only an interruption ends them."""
    done = threading.Event()

    def slow() -> None:
        until(lambda: 0, lambda _: True, what="something", within=1)
        done.set()

    def fail() -> None:
        with thread_pool(2) as pool:
            pool.submit(slow)
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()

    assert done.is_set()


def test_programs_of_the_main_thread_stay() -> None:
    """Its tunnels are asked for evidence yet."""
    with running(["sh", "-c", "sleep 300"]) as tunnel:
        command.end_programs_of_other_threads()

        assert tunnel.is_running


def test_others_may_not_even_begin() -> None:
    """For the block; the thread that says so may."""
    found: list[BaseException] = []

    def begin() -> None:
        try:
            run(["sh", "-c", "sleep 300"], within=300)
        except BaseException as error:  # noqa: BLE001  # what is asked for
            found.append(error)

    with interrupting_other_threads():
        raise_if_interrupted()
        thread = threading.Thread(target=begin)
        thread.start()
        thread.join(AT_ONCE)

    assert [type(one) for one in found] == [KeyboardInterrupt]
