"""Runs the machine's curl as the mesh client pod of the emulated cluster."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator, Sequence
from urllib.parse import urlsplit

from harness.cluster.emulated.api.streams import CommandResult
from harness.cluster.emulated.network.addresses import door

Resolve = Callable[[str], str]  # a host to an address; KeyError: there is no such name


async def curl(command: Sequence[str], *, source: str, resolve: Resolve) -> CommandResult:
    """Runs a curl command line, as harness/clients/curl_command.py writes it, from the address `source`."""
    environment = {"PATH": os.environ.get("PATH", "")}  # no proxy, and with -q no configuration file, of this user
    process = await asyncio.create_subprocess_exec(
        *("curl", "-q", *arguments(command[1:], source, resolve)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment,
    )
    try:
        stdout, stderr = await process.communicate()
    finally:
        if process.returncode is None:  # the client of the exec has gone
            process.kill()
    return CommandResult(stdout.decode(), stderr.decode(), process.returncode or 0)


def arguments(words: Sequence[str], source: str, resolve: Resolve) -> Iterator[str]:
    """The same words, each transfer (they are separated by --next, and end with their URL) with its source and
    destination addresses."""
    for number, word in enumerate(words):
        yield word
        if number + 1 == len(words) or words[number + 1] == "--next":
            url = urlsplit(word)
            host, port = url.hostname or "", url.port or 80
            try:
                address = resolve(host)
            except KeyError:
                address = f"{host}.."  # no DNS server is asked for such a name
            yield from ("--interface", source, "--connect-to", f"{host}:{port}:{address}:{door(port)}")
