"""Writes to standard output when its reader may have left (`| head`) or the disk is full."""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress

from rich.console import Console

READER_GONE = 128 + signal.SIGPIPE  # as a shell has it for a program that this signal ended


class Output(Console):
    """Rich's own would end the process with 1, which is the code for a problem that was found."""

    def on_broken_pipe(self) -> None:
        raise  # the BrokenPipeError that rich handles with this call


def is_broken_pipe(command: Callable[[], int]) -> int:
    """Runs the command and returns its exit code; READER_GONE, silently, once its output is no longer read; 1, with one
    sentence, where the disk that it writes to is full."""
    try:
        try:
            return command()
        finally:
            sys.stdout.flush()  # also after argparse's --help
    except BrokenPipeError:
        _drop()
        return READER_GONE
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        print(f"mesh-e2e: {error.strerror}{f': {error.filename}' if error.filename else ''}", file=sys.stderr)
        _drop()
        return 1


def _drop() -> None:
    """What standard output still holds would fail again when Python ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    with suppress(OSError, ValueError):  # it is no file
        os.dup2(nowhere, sys.stdout.fileno())
