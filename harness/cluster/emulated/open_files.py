"""Open files: one burst of 200 requests through two ztunnels and an Envoy is some 2,000 sockets of one process."""

from __future__ import annotations

import resource

from harness.errors import BadInput

NEEDED = 4096


def allowed() -> None:
    """Sees that this user may have as many as are needed.

    Raises:
        BadInput: not even by asking.
    """
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard != resource.RLIM_INFINITY and hard < NEEDED:
        raise BadInput(
            f"this user may have {hard} open files, the emulated cluster needs {NEEDED}",
            remedy=f"raise the hard limit: `ulimit -Hn {NEEDED}` as root, or /etc/security/limits.conf",
        )


def take() -> None:
    """Raises this process's limit, which is often 1,024, to what is needed; its children inherit it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < NEEDED:
        resource.setrlimit(resource.RLIMIT_NOFILE, (NEEDED, hard))
