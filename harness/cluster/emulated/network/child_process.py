"""Runs a real program as a child process: reads its output line by line, and ends it with its parent."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections import deque
from collections.abc import Callable, Sequence

from harness.errors import SetupFailed

# The kernel kills the child when the emulator dies, even by SIGKILL: PR_SET_PDEATHSIG is 1, SIGKILL is 9.
_DIE_WITH_PARENT = "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 9); os.execv(sys.argv[1], sys.argv[1:])"


class Child:
    """One running program. `tail` holds its last lines, `code` its status once it has ended."""

    def __init__(self, argv: Sequence[str], log: Callable[[str], None]) -> None:
        self._argv = argv
        self._log = log
        self._process: asyncio.subprocess.Process | None = None
        self._drain: asyncio.Task[None] | None = None
        self.tail: deque[str] = deque(maxlen=20)

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def code(self) -> int | None:
        return self._process.returncode if self._process else None

    async def start(self) -> None:
        """Begins it; standard output and standard error are one stream.

        Raises:
            SetupFailed: the program cannot be run.
        """
        try:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", "-c", _DIE_WITH_PARENT),
                *self._argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                limit=1 << 20,
            )
        except OSError as error:
            raise SetupFailed(f"cannot run {self._argv[0]}: {error}") from error
        self._drain = asyncio.create_task(self._read(self._process))

    async def stop(self, grace: float = 2.0) -> None:
        """Ends it: SIGTERM, then SIGKILL after `grace` seconds (0: at once). Its last lines are read first."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate() if grace else process.kill()
            try:
                await asyncio.wait_for(process.wait(), grace or None)
            except TimeoutError:
                process.kill()
                await process.wait()
        if self._drain:
            await self._drain

    def failure(self, what: str) -> SetupFailed:
        """The error for a program that is not doing `what`, with its last lines."""
        return SetupFailed(f"{self._argv[0]}: {what} (status {self.code}); last lines:\n  " + "\n  ".join(self.tail))

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        with contextlib.suppress(ValueError):  # a line longer than `limit`: nothing here writes one
            async for raw in process.stdout:
                line = raw.decode(errors="replace").rstrip("\n")
                self.tail.append(line)
                self._log(line)
