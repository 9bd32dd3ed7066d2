"""The one place that runs other programs: argument lists, bounded, output kept, nothing through a shell."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from harness.errors import BadInput, CommandFailed

REMEDIES = {
    "kind": "install kind (https://kind.sigs.k8s.io), or use CLUSTER=emulated, which needs none",
    "helm": "install Helm 3 or 4 (https://helm.sh)",
    "kubectl": "install kubectl (https://kubernetes.io/docs/tasks/tools)",
    "docker": "install Docker and start it, or use CLUSTER=emulated, which needs none",
}


@dataclass(frozen=True, slots=True)
class Output:
    """What a program left: its status, standard output and standard error as text."""

    code: int
    stdout: str
    stderr: str


def which(program: str) -> str:
    """The program's path.

    Raises:
        BadInput: it is not on PATH; the remedy says how to get it.
    """
    path = shutil.which(program)
    if path is None:
        raise BadInput(f"`{program}` is not on PATH", remedy=REMEDIES.get(Path(program).name, ""))
    return path


def run(
    argv: Sequence[str],
    *,
    within: float,
    env: Mapping[str, str] | None = None,
    stdin: str | None = None,
    check: bool = True,
) -> Output:
    """Runs a program for at most `within` seconds, in a process group of its own, which ends with it.

    Raises:
        BadInput: the program is not there.
        CommandFailed: it ended with a status other than 0 (unless `check` is false), or ran out of time.
    """
    command = [which(argv[0]), *argv[1:]]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env=os.environ | dict(env or {}),
        start_new_session=True,
    ) as process:
        try:
            stdout, stderr = process.communicate(stdin, timeout=within)
        except subprocess.TimeoutExpired:
            _end(process)
            stdout, stderr = "", ""
            with suppress(subprocess.TimeoutExpired):  # a daemon that left the group may hold the pipes open
                stdout, stderr = process.communicate(timeout=1)
            raise CommandFailed(list(argv), None, stdout + stderr) from None
        except BaseException:  # Ctrl-C, SIGTERM: the program must not outlive us
            _end(process)
            raise
    if check and process.returncode != 0:
        raise CommandFailed(list(argv), process.returncode, stderr or stdout)
    return Output(process.returncode, stdout, stderr)


@contextmanager
def running(argv: Sequence[str], *, env: Mapping[str, str] | None = None) -> Iterator[Lines]:
    """Keeps a program running for the block; its combined output can be read line by line meanwhile."""
    process = subprocess.Popen(
        [which(argv[0]), *argv[1:]],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=os.environ | dict(env or {}),
        start_new_session=True,
    )
    try:
        yield Lines(process)
    finally:
        _end(process)
        process.wait()


class Lines:
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
    def alive(self) -> bool:
        """Whether it runs; once it does not, `lines` are all that it said."""
        if self._process.poll() is None:
            return True
        self._drainer.join(timeout=1)  # bounded: a child of its may hold the pipe open
        return False

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def code(self) -> int:
        """Its exit status; it is waited for."""
        return self._process.wait()


def _end(process: subprocess.Popen[str]) -> None:
    """Asks the whole group to end, then makes it: a child that does not hear outlives its parent otherwise."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, sign)
        except (ProcessLookupError, PermissionError):  # nobody is left (macOS: only the dead, which it will not signal)
            return
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=5)
