"""Programs: their output kept, their time bounded, nothing of them left running."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from harness.command import run, running, which
from harness.errors import BadInput, CommandFailed
from harness.wait import until
from tests.fakes.programs import Programs, alive
from tests.patience import AT_ONCE, SOON, time_starts_with

# Starts a child in the same group, says both numbers, and waits for ever.
FAMILY = "sleep 300 & echo $$ $! > {file}; wait"
# The same, but the child does not hear SIGTERM and holds our pipes open.
STUBBORN = "sh -c 'trap \"\" TERM; echo $$ > {file}.child; sleep 300; sleep 300' & echo $$ $! > {file}; wait"


def pids(file: Path) -> list[int]:
    """The numbers in the file, once they are there."""
    until(
        lambda: file.exists() and file.read_text().split(), bool, what="the family has started", within=SOON, every=0.01
    )
    return [int(word) for word in file.read_text().split()]


def gone(numbers: list[int]) -> None:
    """Waits for init to have buried them."""
    until(lambda: [n for n in numbers if alive(n)], lambda left: not left, what="all ended", within=SOON, every=0.01)


def test_output_is_kept_apart() -> None:
    """Standard output and standard error come back as they were written."""
    output = run(["sh", "-c", "echo out; echo err >&2"], within=SOON)

    assert (output.code, output.stdout, output.stderr) == (0, "out\n", "err\n")


def test_bytes_that_are_no_text_are_replaced() -> None:
    """Output that is no UTF-8 is no error."""
    assert run(["sh", "-c", r"printf '\377ok'"], within=SOON).stdout == "\ufffdok"


def test_more_output_than_a_pipe_holds() -> None:
    """A program that writes a lot to both streams does not stop."""
    code = "import sys; sys.stdout.write('o' * 300_000); sys.stderr.write('e' * 300_000)"

    output = run([sys.executable, "-S", "-c", code], within=SOON)

    assert (len(output.stdout), len(output.stderr)) == (300_000, 300_000)


def test_stdin_is_given_or_empty() -> None:
    """What is given is read; without it the program reads the end at once and asks nobody."""
    assert run(["sh", "-c", "cat"], within=SOON, stdin="values").stdout == "values"
    assert run(["sh", "-c", "cat"], within=SOON).stdout == ""


def test_environment_is_ours_and_what_is_added(monkeypatch: pytest.MonkeyPatch) -> None:
    """The program sees our environment with the additions, and ours stays as it was."""
    monkeypatch.setenv("INHERITED", "yes")

    output = run(["sh", "-c", "echo $INHERITED $ADDED"], within=SOON, env={"ADDED": "too"})

    assert output.stdout == "yes too\n"
    assert "ADDED" not in os.environ


def test_nothing_goes_through_a_shell() -> None:
    """Words with the shell's own characters arrive as they are."""
    words = ["$HOME", "a b", "*", ";", "`id`"]

    assert run(["sh", "-c", 'printf "%s\\n" "$@"', "x", *words], within=SOON).stdout.splitlines() == words


def test_failure_has_the_status_and_the_last_lines() -> None:
    """A status other than 0 is an error that quotes what the program printed last."""
    with pytest.raises(CommandFailed) as caught:
        run(["sh", "-c", "echo lost; for i in 1 2 3 4 5 6 7 8 9; do echo line $i >&2; done; exit 3"], within=SOON)

    assert caught.value.code == 3
    assert "ended with status 3" in str(caught.value)
    assert "line 9" in str(caught.value)
    assert "line 1\n" not in str(caught.value)
    assert "line 1\n" in caught.value.output


def test_failure_without_stderr_quotes_stdout() -> None:
    """Programs that complain on standard output are quoted too."""
    with pytest.raises(CommandFailed, match="no such thing"):
        run(["sh", "-c", "echo no such thing; exit 1"], within=SOON)


def test_silent_failure_says_so() -> None:
    """No output is reported to be no output."""
    with pytest.raises(CommandFailed, match=r"\(no output\)"):
        run(["sh", "-c", "exit 1"], within=SOON)


def test_status_is_returned_when_not_checked() -> None:
    """Unchecked, a failure is an answer like any other."""
    assert run(["sh", "-c", "exit 4"], within=SOON, check=False).code == 4


def test_missing_program_is_bad_input_with_the_remedy(programs: Programs) -> None:
    """A program that is not on PATH is named, with where to get it."""
    with pytest.raises(BadInput) as caught:
        run(["kind", "get", "clusters"], within=SOON)

    assert "`kind` is not on PATH" in str(caught.value)
    assert "https://kind.sigs.k8s.io" in caught.value.remedy
    assert caught.value.exit_code == 2


def test_which_gives_the_path(programs: Programs) -> None:
    """A program on PATH is given by its path."""
    programs.have("helm")

    assert which("helm") == str(programs.home / "helm")


def test_time_limit_ends_the_child_of_the_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Out of time, the program and what it started end; the output so far is in the error."""
    file = tmp_path / "pids"
    time_starts_with(monkeypatch, file)

    with pytest.raises(CommandFailed) as caught:
        run(["sh", "-c", "echo begun; " + FAMILY.format(file=file)], within=0.3)

    assert caught.value.code is None
    assert "was stopped at its time limit: begun" in str(caught.value)
    gone(pids(file))


def test_time_limit_ends_who_does_not_hear(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A child that ignores SIGTERM, and holds our pipes open, does not outlive the time limit nor hold us up."""
    file, begun = tmp_path / "pids", time.monotonic()
    time_starts_with(monkeypatch, Path(f"{file}.child"))
    time_starts_with(monkeypatch, file)

    with pytest.raises(CommandFailed):
        run(["sh", "-c", STUBBORN.format(file=file)], within=0.3)

    assert time.monotonic() - begun < AT_ONCE
    gone(pids(file) + pids(Path(f"{file}.child")))


def test_time_limit_does_not_wait_for_who_left_the_group() -> None:
    """A daemon that made a session of its own, with our pipes, does not hold us up."""
    code, begun = "import os, time; os.fork() or os.setsid(); time.sleep(300)", time.monotonic()

    with pytest.raises(CommandFailed):
        run([sys.executable, "-S", "-c", code], within=0.2)

    assert time.monotonic() - begun < AT_ONCE


def test_interrupt_ends_the_program(tmp_path: Path) -> None:
    """Ctrl-C ends the whole family of the program before it reaches us."""
    file = tmp_path / "pids"

    def interrupt() -> None:
        pids(file)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        run(["sh", "-c", FAMILY.format(file=file)], within=SOON)

    gone(pids(file))


def test_interrupt_while_a_program_starts_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C between the fork and the return of Popen leaves no process behind."""
    started: list[subprocess.Popen[str]] = []

    class Interrupted(subprocess.Popen[str]):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            started.append(self)
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(subprocess, "Popen", Interrupted)

    with pytest.raises(KeyboardInterrupt):
        run(["sleep", "240"], within=SOON)

    gone([started[0].pid])


def test_terminal_signals_do_not_reach_the_program() -> None:
    """The program has a session of its own: a Ctrl-C of the terminal is ours to pass on."""
    output = run(
        [sys.executable, "-S", "-c", "import os; print(os.getsid(0), os.getpid())"], within=SOON
    ).stdout.split()

    assert output[0] == output[1] != str(os.getsid(0))


def test_running_program_is_read_meanwhile_and_ended(tmp_path: Path) -> None:
    """Its lines are there while it runs; after the block its family is gone."""
    file = tmp_path / "pids"

    with running(["sh", "-c", "echo one; echo two >&2; " + FAMILY.format(file=file)]) as program:
        until(lambda: program.lines, lambda lines: len(lines) == 2, what="two lines", within=SOON, every=0.01)
        assert sorted(program.lines) == ["one", "two"]
        assert program.is_running
        family = pids(file)
        assert program.pid == family[0]

    gone(family)


def test_running_program_ends_though_the_block_raises(tmp_path: Path) -> None:
    """A block that fails leaves nothing behind."""
    file = tmp_path / "pids"

    def fail() -> None:
        with running(["sh", "-c", FAMILY.format(file=file)]):
            pids(file)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()

    gone(pids(file))


@pytest.mark.parametrize("attempt", range(10))
def test_program_that_ended_has_said_all_it_said(attempt: int) -> None:
    """Once it is seen to be dead, its last line can be read: the error that quotes it is whole."""
    with running(["sh", "-c", "echo last word; exit 7"]) as program:
        until(lambda: program.is_running, lambda alive: not alive, what="it ended", within=SOON, every=0.0001)
        assert program.lines == ["last word"]
        assert program.code == 7


def test_missing_program_cannot_be_kept_running(programs: Programs) -> None:
    """As for any other run."""
    with pytest.raises(BadInput, match="kubectl"), running(["kubectl"]):
        pass


# Asked to end, it writes more than a pipe holds and then that it is done; asked again, it ends at once.
TIDY = """
import pathlib, signal, sys, time
def tidy(*_):
    pathlib.Path({file!r} + ".asked").touch()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    time.sleep({seconds})
    sys.stdout.write("o" * 300_000)
    sys.stdout.flush()
    pathlib.Path({file!r}).write_text("tidy")
    sys.exit(3)
signal.signal(signal.SIGTERM, tidy)
pathlib.Path({file!r} + ".begun").touch()
time.sleep(300)
"""


def tidy(file: Path, seconds: float) -> list[str]:
    return [sys.executable, "-S", "-c", TIDY.format(file=str(file), seconds=seconds)]


def test_program_with_grace_cleans_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At its time limit as well as at the end of a block; what it says meanwhile does not stop it."""
    time_starts_with(monkeypatch, tmp_path / "limit.begun")
    with pytest.raises(CommandFailed, match="stopped at its time limit"):
        run(tidy(tmp_path / "limit", 0.2), within=0.3, grace=SOON)
    with running(tidy(tmp_path / "block", 0.2), grace=SOON) as program:
        until((tmp_path / "block.begun").exists, bool, what="it runs", within=SOON, every=0.01)

    assert (tmp_path / "limit").read_text() == (tmp_path / "block").read_text() == "tidy"
    assert program.code == 3


def test_grace_ends_with_the_second_interruption(tmp_path: Path) -> None:
    """Who presses Ctrl-C again does not wait for what the program would still do."""
    begun, file = time.monotonic(), tmp_path / "file"

    def interrupt() -> None:
        for sign in ("begun", "asked"):
            until((tmp_path / f"file.{sign}").exists, bool, what=f"file.{sign} exists", within=SOON, every=0.01)
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        run(tidy(file, 300), within=300, grace=300)
    thread.join()

    assert time.monotonic() - begun < AT_ONCE
    assert not file.exists()


def test_program_without_grace_has_none(tmp_path: Path) -> None:
    """A tunnel has nothing to clean up."""
    begun = time.monotonic()
    with running(["sh", "-c", "exec sleep 300"]):
        pass

    assert time.monotonic() - begun < AT_ONCE
