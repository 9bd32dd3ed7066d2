"""Runs a program in a container over the API server's websocket."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import kubernetes
import kubernetes.stream
from kubernetes.client.exceptions import ApiException

from harness.errors import Inconclusive

CTRL_C, ECHO = "\x03", "^C"  # what a terminal takes for an interrupt, and what it shows of it
OFTEN = 0.25  # seconds between two looks whether to stop


@dataclass(frozen=True, slots=True)
class ExecResult:
    """How the program ended: its status and what it wrote."""

    code: int
    stdout: str
    stderr: str


def run_in_pod(
    api: Any,
    namespace: str,
    pod: str,
    container: str,
    argv: Sequence[str],
    *,
    within: float,
    on_output: Callable[[], None] = lambda: None,
    stop: threading.Event | None = None,
) -> ExecResult:
    """Runs `argv` there, without a shell, and waits for its end. `on_output` is called once, when it first writes.

    With `stop` it has a terminal (its errors are then in stdout as well), and is sent Ctrl-C once that is set.

    Raises:
        Inconclusive: it did not end `within` seconds; nothing is known of what it did.
    """
    core = kubernetes.client.CoreV1Api(api)
    try:
        socket = kubernetes.stream.stream(
            core.connect_get_namespaced_pod_exec,
            name=pod,
            namespace=namespace,
            container=container,
            command=list(argv),
            stdin=stop is not None,
            stdout=True,
            stderr=stop is None,
            tty=stop is not None,  # no other way leads from here to a signal: closing the stream ends nothing
            binary=True,  # decoded as text, a character that two frames share would be lost
            _preload_content=False,
            _request_timeout=within,
        )
    except ApiException as error:
        if isinstance(error.__context__, KeyboardInterrupt | SystemExit):  # the client makes an ordinary failure of it
            raise error.__context__ from None
        raise
    deadline, silent, complete = time.monotonic() + within, True, stop is None
    try:
        while socket.is_open():
            left = deadline - time.monotonic()
            if left <= 0:
                raise Inconclusive(f"{argv[0]} in {namespace}/{pod}/{container} did not end within {within:g}s")
            if stop is not None and stop.is_set() and not complete:
                socket.write_stdin(CTRL_C)
                complete = True
            socket.update(timeout=min(left, 5 if complete else OFTEN))
            if silent and socket.peek_stdout():
                silent = False
                on_output()
        out, err = (read(timeout=0).decode(errors="replace") for read in (socket.read_stdout, socket.read_stderr))
        try:
            return ExecResult(int(socket.returncode), out.replace(ECHO, "", 1) if stop is not None else out, err)
        except (TypeError, LookupError, ValueError) as error:  # the stream closed without a word on the program's end
            raise Inconclusive(
                f"{argv[0]} in {namespace}/{pod}/{container}: the stream broke before its end"
            ) from error
    finally:
        socket.close()
        api.close()
