"""Running a program in a container over the API server's websocket."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import kubernetes
import kubernetes.stream
from kubernetes.client.exceptions import ApiException

from harness.errors import Unjudged


@dataclass(frozen=True, slots=True)
class Ended:
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
    heard: Callable[[], None] = lambda: None,
) -> Ended:
    """Runs `argv` there, without a shell, and waits for its end. `heard` is called once, when it first writes.

    Raises:
        Unjudged: it did not end `within` seconds; nothing is known of what it did.
    """
    core = kubernetes.client.CoreV1Api(api)
    try:
        socket = kubernetes.stream.stream(
            core.connect_get_namespaced_pod_exec,
            name=pod,
            namespace=namespace,
            container=container,
            command=list(argv),
            stdin=False,
            stdout=True,
            stderr=True,
            tty=False,
            binary=True,  # decoded as text, a character that two frames share would be lost
            _preload_content=False,
            _request_timeout=within,
        )
    except ApiException as error:
        if isinstance(error.__context__, KeyboardInterrupt | SystemExit):  # the client makes an ordinary failure of it
            raise error.__context__ from None
        raise
    deadline, silent = time.monotonic() + within, True
    try:
        while socket.is_open():
            left = deadline - time.monotonic()
            if left <= 0:
                raise Unjudged(f"{argv[0]} in {namespace}/{pod}/{container} did not end within {within:g}s")
            socket.update(timeout=min(left, 5))
            if silent and socket.peek_stdout():
                silent = False
                heard()
        out, err = (read(timeout=0).decode(errors="replace") for read in (socket.read_stdout, socket.read_stderr))
        try:
            return Ended(int(socket.returncode), out, err)
        except (TypeError, LookupError, ValueError) as error:  # the stream closed without a word on the program's end
            raise Unjudged(f"{argv[0]} in {namespace}/{pod}/{container}: the stream broke before its end") from error
    finally:
        socket.close()
        api.close()
