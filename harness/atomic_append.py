"""Appends lines to a file whole or not at all: on a full disk no half line is left."""

from __future__ import annotations

import os
from contextlib import suppress
from errno import ENOSPC
from io import RawIOBase


def append_line(file: RawIOBase, line: bytes) -> None:
    """Writes the line and its end to an unbuffered file.

    Raises:
        OSError: it does not fit, or cannot be written; the file is as it was.
    """
    begin, data = file.tell(), line + b"\n"
    try:
        if file.write(data) != len(data):  # an unbuffered file takes what still fits
            raise OSError(ENOSPC, os.strerror(ENOSPC))
    except OSError:
        with suppress(OSError):
            file.truncate(begin)
            file.seek(begin)
        raise
