"""Fake programs on PATH, and what they were called with."""

from __future__ import annotations

import os
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

BODY = Path(__file__).with_name("program.sh")


@dataclass(frozen=True)
class Call:
    """One call of one program."""

    program: str
    argv: list[str]
    env: dict[str, str]
    stdin: str
    pid: int

    def after(self, option: str) -> str:
        """The word behind an option."""
        return self.argv[self.argv.index(option) + 1]


class Programs:
    """A folder that is the whole PATH (but for `sh` and `sleep`): what is not put there is not installed."""

    def __init__(self, home: Path) -> None:
        self.home = home
        for real in ("sh", "sleep"):
            self.link(real)
        (home / "calls").mkdir()

    def have(self, *names: str) -> None:
        for name in names:
            self.script(name, "")

    def script(self, name: str, first: str) -> None:
        """A fake program that runs a line of shell before it notes its call."""
        path = self.home / name
        body = f"home={shlex.quote(str(self.home))} name={name}\n. {shlex.quote(str(BODY))}\n"
        path.write_text(f"#!/bin/sh\n{f'({first})' if first else ''}\n{body}")
        path.chmod(0o755)

    def link(self, real: str) -> None:
        """Puts a real program there."""
        (self.home / real).symlink_to(shutil.which(real, path="/usr/bin:/bin") or "")

    def lose(self, name: str) -> None:
        (self.home / name).unlink()

    def answer(self, program: str, *words: str, out: str = "", err: str = "", code: int = 0, hang: float = 0) -> None:
        """What `program` says from now on when all the words are among its arguments."""
        fits = " && ".join([f'[ "$name" = {program} ]', *(f'has {shlex.quote(word)} "$@"' for word in words)])
        gives = f"code={code} out={shlex.quote(out)} err={shlex.quote(err)} hang={hang}"
        with (self.home / "answers.sh").open("a") as file:
            file.write(f"if {fits}; then {gives}; fi\n")

    def calls(self, program: str = "", *words: str) -> list[Call]:
        file = self.home / "order"
        made = [self._call(pid) for pid in file.read_text().split()] if file.exists() else []
        return [c for c in made if program in ("", c.program) and set(words) <= set(c.argv)]

    def _call(self, pid: str) -> Call:
        read = {part: self.home / "calls" / f"{pid}.{part}" for part in ("argv", "env", "stdin")}
        program, *argv = read["argv"].read_text().split("\0")[:-1]
        env = dict(pair.split("=", 1) for pair in read["env"].read_text().split("\0")[:-1])
        return Call(program, argv, env, read["stdin"].read_text() if read["stdin"].exists() else "", int(pid))

    def call(self, program: str, *words: str) -> Call:
        """The one such call."""
        (made,) = self.calls(program, *words)
        return made

    @property
    def clusters(self) -> list[str]:
        """What kind lists."""
        file = self.home / "clusters"
        return file.read_text().split() if file.exists() else []

    @clusters.setter
    def clusters(self, names: list[str]) -> None:
        (self.home / "clusters").write_text("".join(f"{name}\n" for name in names))

    @property
    def nodes(self) -> list[str]:
        return (self.home / "nodes").read_text().split()

    @nodes.setter
    def nodes(self, names: list[str]) -> None:
        (self.home / "nodes").write_text("\n".join(names))


def alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def uid_is_root() -> bool:
    return os.geteuid() == 0
