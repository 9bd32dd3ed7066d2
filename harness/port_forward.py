"""Runs kubectl port-forward with a local listening port."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness import timeouts
from harness.command import RunningProgram, running
from harness.errors import SetupFailed
from harness.wait import until

LISTENS = re.compile(r"Forwarding from 127\.0\.0\.1:(\d+)")


@contextmanager
def port_forward(
    kubeconfig: Path, context: str, namespace: str, target: str, port: int, *, kubectl: str = "kubectl"
) -> Iterator[str]:
    """Forwards a free local port to `target` ("pod/x", "service/y") for the block; yields http://127.0.0.1:PORT.

    kubectl picks the port itself and says which: nothing is raced for.

    Raises:
        SetupFailed: kubectl ended instead, or did not listen in time; its own words are in the message.
    """
    argv = [kubectl, "--kubeconfig", str(kubeconfig), *(["--context", context] if context else [])]
    argv += ["port-forward", "--namespace", namespace, "--address", "127.0.0.1", target, f":{port}"]
    with running(argv) as forward:
        seen = until(
            lambda: _listening(forward),
            bool,
            what=f"kubectl port-forward to {namespace}/{target}:{port}",
            within=timeouts.PORT_FORWARD,
            every=0.05,
        )
        yield f"http://127.0.0.1:{seen}"


def _listening(forward: RunningProgram) -> str:
    for line in forward.lines:
        if found := LISTENS.search(line):
            return found[1]
    if not forward.is_running:
        raise SetupFailed(f"kubectl port-forward ended: {' '.join(forward.lines)[-300:]}")
    return ""
