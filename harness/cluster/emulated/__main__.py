"""The process of the emulated cluster: `python -m harness.cluster.emulated --dir D --name N --images JSON`.

It writes D/ready.json when the API answers, and ends (with its children) on SIGTERM, or when D is removed.
"""

from __future__ import annotations

import argparse
import asyncio
import errno
import json
import logging
import os
import signal
import socket
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

from aiohttp import web

from harness.cluster.emulated.api.server import ApiApplication
from harness.cluster.emulated.control_api import Control
from harness.cluster.emulated.faults import Faults
from harness.cluster.emulated.machine_requirements import raise_open_files
from harness.cluster.emulated.world import World
from harness.errors import BadInput

API_PORT = 6443
_LONGEST = 8 << 20  # bytes of a request line: exec carries a whole command line in it
_OCTETS = range(16, 240)
_LOOK = 0.5  # seconds between looks whether the folder is still there


async def serve(arguments: argparse.Namespace, notify_ready: Callable[[], None]) -> None:
    """Runs the cluster until it is asked to end. `notify_ready` is called once the API answers."""
    directory: Path = arguments.dir
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    here = asyncio.create_task(removed(directory, ended))  # also while it starts: whoever starts it may be killed
    for sign in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sign, ended.set)
    held, octet = hold(arguments.name)
    world = World(
        name=arguments.name,
        directory=directory,
        octet=octet,
        images=json.loads(arguments.images),
        kubernetes=arguments.kubernetes,
        delay_factor=arguments.delay_factor,
    )
    app = ApiApplication(world.store, world.admission, world, arguments.kubernetes).application()
    Control(world, Faults(world)).add_to(app)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5, max_line_size=_LONGEST, max_field_size=_LONGEST)
    await runner.setup()
    await web.SockSite(runner, held).start()
    work = asyncio.create_task(world.run(), name="world")
    world.wake()
    await world.settled()
    address = held.getsockname()
    ready, partial = directory / "ready.json", directory / "ready.json.partial"
    partial.write_text(json.dumps({"pid": os.getpid(), "url": f"http://{address[0]}:{address[1]}", "octet": octet}))
    partial.replace(ready)
    notify_ready()
    here.cancel()
    watching = asyncio.create_task(removed(ready, ended))
    await ended.wait()
    watching.cancel()
    work.cancel()
    await world.close()
    await runner.cleanup()
    ready.unlink(missing_ok=True)


def hold(name: str) -> tuple[socket.socket, int]:
    """Binds the API's address, 127.<octet>.255.1:6443: who has it has the octet, so no two clusters share one.

    Raises:
        BadInput: all octets are taken, or this is not Linux.
    """
    first = zlib.crc32(name.encode()) % len(_OCTETS)
    for n in range(len(_OCTETS)):
        octet = _OCTETS[(first + n) % len(_OCTETS)]
        held = socket.socket()
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            held.bind((f"127.{octet}.255.1", API_PORT))
            held.listen(256)
        except OSError as error:
            held.close()
            if error.errno == errno.EADDRNOTAVAIL:
                raise BadInput("the emulated cluster needs Linux's loopback: all of 127.0.0.0/8") from error
        else:
            return held, octet
    raise BadInput("no loopback block is free for another emulated cluster", remedy="end one: `make clean`")


async def removed(ready: Path, ended: asyncio.Event) -> None:
    """Asks to end when the cluster's folder is gone."""
    while ready.exists():
        await asyncio.sleep(_LOOK)
    ended.set()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m harness.cluster.emulated", description=__doc__)
    parser.add_argument("--dir", type=Path, required=True, help="the cluster's own folder")
    parser.add_argument("--name", required=True)
    parser.add_argument("--images", required=True, help="images that can be pulled, as JSON: role to name")
    parser.add_argument("--kubernetes", default="1.34.4", help="the version that the API says it is")
    parser.add_argument("--delay-factor", type=float, default=30.0, help="recorded delays are divided by it")
    parser.add_argument("--detach", action="store_true", help="go on in the background once the API answers")
    arguments = parser.parse_args()
    raise_open_files()
    notify_ready = detach(arguments.dir / "emulator.log") if arguments.detach else lambda: None
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    asyncio.run(serve(arguments, notify_ready))


def detach(log: Path) -> Callable[[], None]:
    """Goes on in a child with a session of its own and its output in `log`. The parent ends when the child calls what
    this returns (status 0), or when the child has ended before (status 1, with the log's last lines)."""
    read_end, tell = os.pipe()
    if os.fork():
        os.close(tell)
        ready = os.read(read_end, 1)
        if not ready:
            sys.stderr.write("\n".join(log.read_text().splitlines()[-8:]) + "\n")
        os._exit(0 if ready else 1)
    os.close(read_end)
    os.setsid()
    nowhere, file = os.open(os.devnull, os.O_RDONLY), os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for descriptor, onto in ((nowhere, 0), (file, 1), (file, 2)):
        os.dup2(descriptor, onto)

    def done() -> None:
        os.write(tell, b"r")
        os.close(tell)

    return done


if __name__ == "__main__":
    main()
