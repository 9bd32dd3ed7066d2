"""Runs child processes: argument lists without a shell, a time limit, and captured output."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from harness import progress, timeouts
from harness.errors import BadInput, CommandFailed
from harness.interruption import raise_if_interrupted, shielded
from harness.record_replay import refuse_when_replaying

_chosen: dict[str, str] = {}  # the program that stands for a name, where it is not the one of PATH
_live: dict[subprocess.Popen[str], int] = {}  # the programs that run now, and the threads that wait for them
REMEDIES = {
    "kind": "install kind (https://kind.sigs.k8s.io), or use CLUSTER=emulated, which needs none",
    "helm": "install Helm 3 or 4 (https://helm.sh)",
    "curl": "install curl 7.83 or newer, or use CLUSTER=kind",
    "kubectl": "install kubectl (https://kubernetes.io/docs/tasks/tools)",
    "docker": "install Docker and start it, or use CLUSTER=emulated, which needs none",
}


@dataclass(frozen=True, slots=True)
class Output:
    """What a program left: its status, standard output and standard error as text."""

    code: int
    stdout: str
    stderr: str


def use_program(program: str, path: str) -> None:
    """From now on `program` is the one at `path`, for this process."""
    _chosen[program] = path


def which(program: str) -> str:
    """The program's path: the one chosen by `use_program`, else the one on PATH.

    Raises:
        BadInput: it is not on PATH; the remedy says how to get it.
    """
    path = _chosen.get(program) or shutil.which(program)
    if path is None:
        raise BadInput(f"`{program}` is not on PATH", remedy=REMEDIES.get(Path(program).name, ""))
    return path


def run(
    argv: Sequence[str],
    *,
    within: float = timeouts.PROGRAM,
    env: Mapping[str, str] | None = None,
    stdin: str | None = None,
    check: bool = True,
    grace: float = 0.0,
) -> Output:
    """Runs a program for at most `within` seconds, in a process group of its own, which ends with it.

    One that must end early gets a signal, and `grace` seconds to clean up.

    Raises:
        BadInput: the program does not exist.
        CommandFailed: it ended with a status other than 0 (unless `check` is false), or ran out of time.
    """
    refuse_when_replaying(f"`{argv[0]}`")
    raise_if_interrupted()
    with _start(argv, env, subprocess.PIPE, subprocess.PIPE if stdin is not None else subprocess.DEVNULL) as process:
        try:
            with _known(process):
                stdout, stderr = process.communicate(stdin, timeout=within)
        except subprocess.TimeoutExpired:
            _end(process, grace, lambda seconds: process.communicate(timeout=seconds))
            stdout, stderr = "", ""
            with suppress(subprocess.TimeoutExpired):  # a daemon that left the group may hold the pipes open
                stdout, stderr = process.communicate(timeout=timeouts.PIPE_END)
            raise CommandFailed(list(argv), None, stdout + stderr) from None
        except BaseException:  # Ctrl-C, SIGTERM: the program must not outlive us
            _end(process, grace, lambda seconds: process.communicate(timeout=seconds))
            raise
    if check and process.returncode != 0:
        raise CommandFailed(list(argv), process.returncode, stderr or stdout)
    return Output(process.returncode, stdout, stderr)


@contextmanager
def running(
    argv: Sequence[str], *, env: Mapping[str, str] | None = None, grace: float = 0.0
) -> Iterator[RunningProgram]:
    """Keeps a program running for the block; its combined output can be read line by line meanwhile. At the block's end
    it has `grace` seconds to clean up."""
    refuse_when_replaying(f"`{argv[0]}`")
    process = _start(argv, env, subprocess.STDOUT)
    try:
        with _known(process):
            yield RunningProgram(process)
    finally:
        _end(process, grace, process.wait)
        process.wait()


def end_programs_of_other_threads() -> None:
    """Ends the programs that threads other than this one and the main one run.

    `interruption.interrupting_other_threads` keeps them from starting more.
    """
    stay = (threading.get_ident(), threading.main_thread().ident)
    _end_all([process for process, thread in list(_live.items()) if thread not in stay])


class RunningProgram:
    """The output of a running program, drained by a thread so that a full pipe never stops it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._lines: list[str] = []
        self._drainer = threading.Thread(target=self._drain, daemon=True)
        self._drainer.start()

    def _drain(self) -> None:
        for line in self._process.stdout or ():
            self._lines.append(line.rstrip("\n"))

    @property
    def lines(self) -> list[str]:
        return list(self._lines)

    @property
    def is_running(self) -> bool:
        """Whether it runs; once it does not, `lines` is its whole output."""
        if self._process.poll() is None:
            return True
        self._drainer.join(timeout=timeouts.PROGRAM_END)  # bounded: a child of its may hold the pipe open
        return False

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def code(self) -> int:
        """Its exit status; it is waited for."""
        return self._process.wait()


def _start(
    argv: Sequence[str], env: Mapping[str, str] | None, stderr: int, stdin: int = subprocess.DEVNULL
) -> subprocess.Popen[str]:
    """Starts a program. A signal that arrives meanwhile takes effect once there is a process that can be ended: an
    interrupted `Popen` would leave one that is not tracked."""
    process: subprocess.Popen[str] | None = None
    try:
        with shielded(lambda: None):
            process = subprocess.Popen(
                [which(argv[0]), *argv[1:]],
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                errors="replace",
                env=os.environ | dict(env or {}),
                start_new_session=True,
            )
    except KeyboardInterrupt:
        if process is not None:
            _end_all([process])
        raise
    return process


@contextmanager
def _known(process: subprocess.Popen[str]) -> Iterator[None]:
    """For the block, `end_programs_of_other_threads` finds it; one that begins too late for that is not waited for."""
    _live[process] = threading.get_ident()
    try:
        raise_if_interrupted()
        yield
    finally:
        del _live[process]


def _end(process: subprocess.Popen[str], grace: float, wait: Callable[[float], object]) -> None:
    """Lets the program clean up, if it is to have time for that, then ends its group. `wait` gets the seconds."""
    try:
        if grace and process.poll() is None:
            progress.note(f"a program has {grace:.0f}s to clean up; Ctrl-C again ends it at once: {process.args!r:.80}")
            _signal([process], signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                wait(grace)
    finally:
        _end_all([process])


def _end_all(processes: Sequence[subprocess.Popen[str]]) -> None:
    """Asks whole groups to end, then makes them: a child that does not hear outlives its parent otherwise."""
    try:
        _signal(processes, signal.SIGTERM)
        ends = time.monotonic() + timeouts.PROGRAM_END
        for process in processes:
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=max(0.0, ends - time.monotonic()))
    finally:
        _signal(processes, signal.SIGKILL)


def _signal(processes: Sequence[subprocess.Popen[str]], number: signal.Signals) -> None:
    for process in processes:
        # Nobody is left there (macOS: only the dead, which it will not signal).
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
