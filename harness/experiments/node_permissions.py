"""Reads in a pod what its node permits programs to do, such as binding privileged ports."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from harness.errors import CannotJudge

Run = Callable[[Sequence[str]], str]  # a program in a pod, and what it writes


def check_memory_protection_keys(run: Run) -> None:
    """Checks that the CPU has memory protection keys.

    Raises:
        CannotJudge: it has none.
    """
    if " ospke" not in run(["grep", "-m1", "^flags", "/proc/cpuinfo"]):
        raise CannotJudge("memory protection keys: the CPU of the node has none (ospke)")


def check_privileged_port(run: Run, port: int) -> None:
    """Checks that a process needs NET_BIND_SERVICE to bind the port.

    Raises:
        CannotJudge: every process may bind it; containerd 2 sets that in pods by default.
    """
    first = int(run(["cat", "/proc/sys/net/ipv4/ip_unprivileged_port_start"]))
    if first <= port:
        raise CannotJudge(f"ports below 1024: in pods of this cluster every process may bind ports from {first} on")
