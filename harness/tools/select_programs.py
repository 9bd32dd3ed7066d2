"""Selects kind, helm and kubectl: as configured, from PATH if the version fits, or downloaded."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import Literal, get_args

from harness import progress
from harness.command import run, use_program, which
from harness.errors import BadInput, HarnessError
from harness.settings import Settings
from harness.tools import published
from harness.tools.download import fetch_tool

Name = Literal["kind", "helm", "kubectl"]
NAMES: tuple[Name, ...] = get_args(Name)
ASKS = {
    "kind": ["version"],
    "helm": ["version", "--template", "{{.Version}}"],
    "kubectl": ["version", "--client"],  # kubectl only forwards ports here: whichever answers fits
}
HELM_MAJORS = (3, 4)


@dataclass(frozen=True, slots=True)
class ChosenProgram:
    """The chosen program: its path, its version as numbers, and whether it is ours in .tools/."""

    name: str
    path: str
    version: published.Numbers
    fetched: bool = False

    def __str__(self) -> str:
        where = f"{self.path} (fetched)" if self.fetched else self.path
        return f"{'.'.join(map(str, self.version)) or '(version unknown)'}, {where}"


def choose_program(name: Name, settings: Settings, *, kind_least: str = "") -> ChosenProgram:
    """Chooses a program; from then on this process runs it wherever `name` is asked for.

    `kind_least` is the oldest kind that the node image works with; empty: any.

    Raises:
        BadInput: what was asked for by its option does not exist or does not fit, or PATH has none that fits and it
            cannot be fetched.
    """
    asked = {"kind": settings.kind_bin, "helm": settings.helm_bin, "kubectl": settings.kubectl_bin}[name]
    if asked != name:
        program, objection = _look(name, which(asked), kind_least)
        if objection:
            option = f"{name.upper()}_BIN"
            raise BadInput(f"{asked}: {objection}", remedy=f"name another, or leave out {option}")
    else:
        program = _from_path(name, kind_least) or _fetched(name, settings, kind_least)
    use_program(name, program.path)
    return program


def _from_path(name: Name, kind_least: str) -> ChosenProgram | None:
    path = shutil.which(name)
    if path is None:
        return None
    program, objection = _look(name, path, kind_least)
    if objection:
        progress.note(f"{name} of PATH is not used: {objection}")
        return None
    return program


def _fetched(name: Name, settings: Settings, kind_least: str) -> ChosenProgram:
    tool, of = published.load_published(settings.tools_file).tools[name], published.this_platform()
    if objection := _objection(name, published.version_numbers(tool.version), kind_least):
        raise BadInput(objection, remedy=f"install {name} {kind_least} or newer on PATH, or choose an older node image")
    file = fetch_tool(name, tool, of, settings.tools, settings.tools_mirror)
    return ChosenProgram(name, str(file), published.version_numbers(tool.version), fetched=True)


def _look(name: Name, path: str, kind_least: str) -> tuple[ChosenProgram, str]:
    """The program at a path, and why it cannot be used; empty when it fits."""
    try:
        result = run([path, *ASKS[name]])
    except (HarnessError, OSError) as error:  # OSError: of another architecture, not a program
        return ChosenProgram(name, path, ()), f"{path} does not run: {' '.join(str(error).split())[-200:]}"
    version = published.version_numbers(result.stdout)
    return ChosenProgram(name, path, version), _objection(name, version, kind_least)


def _objection(name: Name, version: published.Numbers, kind_least: str) -> str:
    text = ".".join(map(str, version)) or "(version unknown)"
    if name == "helm" and version[:1] not in [(major,) for major in HELM_MAJORS]:
        return f"helm {text} is not supported, 3 and 4 are"
    if name == "kind" and kind_least and version < published.version_numbers(kind_least):
        return f"kind {text} is too old for the node image, which needs kind {kind_least} or newer"
    return ""
