"""Downloads one program and checks its SHA-256; the file is complete and executable, or absent."""

from __future__ import annotations

import hashlib
import os
import shutil
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from filelock import FileLock, Timeout

from harness import progress, timeouts
from harness.errors import BadInput
from harness.interruption import raise_if_interrupted
from harness.tools.published import Tool
from harness.wait import pause

CHUNK = 1 << 18
PAUSES = (0.5, 1.0, None)  # seconds after each try that failed; after the last there is none
PASSING = (408, 425, 429, 500, 502, 503, 504)  # statuses of a server that may answer otherwise a moment later


def fetch_tool(name: str, tool: Tool, of: str, into: Path, mirror: str = "") -> Path:
    """The program of that platform in the folder `into`, fetched unless it is there already.

    `mirror` is a base URL which has each file below the host's name: MIRROR/get.helm.sh/helm-v4.1.3-….tar.gz. Proxies
    of the environment are used. Two processes that want one file take turns.

    Raises:
        BadInput: nothing is published for the platform, it cannot be fetched or kept, or its SHA-256 is another.
    """
    elsewhere = f"install {name} on PATH, or name a mirror (TOOLS_MIRROR=https://host/path, docs/tools.md)"
    if of not in tool.sha256:
        raise BadInput(f"no {name} is published here for {of}", remedy=f"install {name} on PATH")
    file, url = into / f"{name}-{tool.version}-{of}", mirrored(tool.url_for(of), mirror)
    try:
        into.mkdir(parents=True, exist_ok=True)
        with _alone(into, name):
            if not file.exists():
                with progress.stage(f"fetching {name} v{tool.version} from {urlsplit(url).netloc}"):
                    _make(name, tool, of, url, file)
    except (httpx.HTTPError, httpx.InvalidURL, ImportError, ValueError) as error:
        # The last two: a proxy of the environment that httpx cannot use.
        message = " ".join(str(error).split()) or type(error).__name__
        raise BadInput(f"{name} v{tool.version} cannot be fetched from {url}: {message}", remedy=elsewhere) from error
    except OSError as error:
        raise BadInput(
            f"{name} v{tool.version} cannot be written to {into}: {error.strerror or error}",
            remedy=f"make room there, or install {name} on PATH",
        ) from error
    return file


def mirrored(url: str, mirror: str) -> str:
    """The URL below a mirror, its host being the first folder; the URL itself without a mirror."""
    parts = urlsplit(url)
    return f"{mirror.rstrip('/')}/{parts.netloc}{parts.path}" if mirror else url


def _make(name: str, tool: Tool, of: str, url: str, file: Path) -> None:
    for old in file.parent.glob(f"{name}-*.partial"):  # of a killed run: under the lock nobody else writes one
        old.unlink()
    archive, program = (file.with_name(f"{file.name}.{part}.partial") for part in ("archive", "program"))
    try:
        found = _patiently(url, archive)
        if found != tool.sha256[of]:
            raise BadInput(
                f"{url} is not the {name} v{tool.version} that tools.yaml names (SHA-256 {found}, not "
                f"{tool.sha256[of]}): deleted",
                remedy="is a proxy or mirror answering in its place? Else install it on PATH",
            )
        if tool.member:
            _extract(archive, tool.member_for(of), program)
        else:
            archive.rename(program)
        program.chmod(0o755)
        program.rename(file)
    finally:
        archive.unlink(missing_ok=True)
        program.unlink(missing_ok=True)


def _patiently(url: str, into: Path) -> str:
    for seconds in PAUSES:
        try:
            return _stream(url, into)
        except httpx.HTTPError as error:
            if seconds is None or not _may_pass(error):
                raise
            pause(seconds, why=f"{url}: {error}")
    raise AssertionError("the last try has no pause")


def _may_pass(error: BaseException) -> bool:
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code in PASSING
    return isinstance(error, httpx.TransportError) and not isinstance(error, httpx.UnsupportedProtocol)


def _stream(url: str, into: Path) -> str:
    """Writes what the URL gives, and returns its SHA-256."""
    digest, ends = hashlib.sha256(), time.monotonic() + timeouts.DOWNLOAD
    limits = httpx.Timeout(timeouts.HTTP, connect=timeouts.HTTP_CONNECT * 2)
    ours = _loopback(urlsplit(url).hostname or "")
    with (
        httpx.Client(follow_redirects=True, timeout=limits, trust_env=not ours) as client,
        client.stream("GET", url, headers={"accept-encoding": "identity"}) as answer,
        into.open("wb") as file,
    ):
        answer.raise_for_status()
        size, done, quarter = int(answer.headers.get("content-length", 0)), 0, 0
        for chunk in answer.iter_raw(CHUNK):
            raise_if_interrupted()
            if time.monotonic() > ends:
                raise httpx.ReadTimeout(f"only {done >> 20} MiB within {timeouts.DOWNLOAD:g}s", request=answer.request)
            file.write(chunk)
            digest.update(chunk)
            done += len(chunk)
            if size and done * 4 // size > quarter:
                quarter = done * 4 // size
                progress.awaiting(f"{done >> 20} of {size >> 20} MiB", "")
    return digest.hexdigest()


def _loopback(host: str) -> bool:
    """Whether a host is this machine, which no proxy of the environment can reach."""
    return host in ("localhost", "::1") or host.startswith("127.")


def _extract(archive: Path, member: str, into: Path) -> None:
    try:
        with tarfile.open(archive) as tar, into.open("wb") as file:
            held = tar.extractfile(member)
            if held is None:
                raise BadInput(f"{member} is not a file in its release's archive")
            shutil.copyfileobj(held, file)
    except (tarfile.TarError, KeyError, EOFError) as error:
        raise BadInput(f"the archive that should hold {member} cannot be read: {error}") from None


@contextmanager
def _alone(folder: Path, name: str) -> Iterator[None]:
    lock = FileLock(folder / f"{name}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        progress.note(f"another process fetches {name} (waiting for {os.fspath(folder)})")
        try:
            lock.acquire(timeout=timeouts.DOWNLOAD * 3)
        except Timeout:
            raise BadInput(f"{lock.lock_file} is held by another process", remedy="wait for that run") from None
    try:
        yield
    finally:
        lock.release()
