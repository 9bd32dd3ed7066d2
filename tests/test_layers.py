"""Who may know whom, and where each concern has its one home."""

import ast
import graphlib
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import pytest
from grimp import build_graph
from importlinter.cli import lint_imports

from tests import sources

ROOT = Path(__file__).resolve().parent.parent
HARNESS = ROOT / "harness"
EMULATOR = "cluster/emulated/"  # a process of its own, with programs, time and an environment of its own

# What, and the only places below harness/ where it may be. A name is an import or an attribute such as time.sleep.
HOMES = {
    "httpx": ("tools/download.py", "clients/http.py", "registry/"),
    "kubernetes": ("kube/",),
    "pytest": ("plugin/",),
    "_pytest": (),
    "pytest_kind": (),  # GPL-3.0-or-later: its options are honoured, nothing of it is imported
    "subprocess": ("command.py", EMULATOR),
    "os.system": (),
    "os.popen": (),
    "time.sleep": ("wait.py", EMULATOR),
    "asyncio.sleep": (EMULATOR,),
    "tenacity": ("wait.py",),
    "os.environ": (
        "settings.py",
        "command.py",
        "no_proxy.py",
        EMULATOR,
        "faults/forked_pytest.py",
    ),  # the last: its children's own
    "os.getenv": (),
    "yaml.load": ("cluster/emulated/", "strict_yaml.py"),
    "aiohttp": (EMULATOR,),
    "grpc": (EMULATOR,),
}
# The homes that a name has but does not use at present.
UNUSED = {"yaml.load", "grpc"}


def files(folder: Path = HARNESS) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def names(nodes: Sequence[ast.AST]) -> Iterator[str]:
    """Every module imported (and each of its parents), and every attribute of one, under the module's own name."""
    aliases: dict[str, str] = {}
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                first = alias.name.partition(".")[0]
                aliases[alias.asname or first] = alias.name if alias.asname else first
                yield from parents(alias.name)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from parents(node.module)
            for alias in node.names:
                yield f"{node.module}.{alias.name}"
    for node in nodes:
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield f"{aliases.get(node.value.id, '?')}.{node.attr}"


@cache
def used(file: Path) -> frozenset[str]:
    """The names of a file."""
    return frozenset(names(sources.nodes(file)))


def parents(module: str) -> Iterator[str]:
    parts = module.split(".")
    yield from (".".join(parts[:end]) for end in range(1, len(parts) + 1))


def test_layers_hold(capsys: pytest.CaptureFixture[str]) -> None:
    """Every contract of .importlinter is kept: no layer knows one above it, and no module is without a layer."""
    code = lint_imports(config_filename=str(ROOT / ".importlinter"), no_cache=True, no_logo=True)

    assert code == 0, capsys.readouterr().out
    assert "0 broken" in capsys.readouterr().out


def test_no_module_imports_itself_through_others() -> None:
    """There is no import circle, not even one that only type checkers see: graphlib names the modules of the first."""
    graph = build_graph("harness", cache_dir=None)

    graphlib.TopologicalSorter({one: graph.find_modules_directly_imported_by(one) for one in graph.modules}).prepare()


@pytest.mark.parametrize("what", HOMES)
def test_each_concern_has_one_home(what: str) -> None:
    """What waits, runs programs, reads the environment or speaks HTTP is in one place."""
    users = {str(file.relative_to(HARNESS)) for file in files() if what in used(file)}

    strays = {user for user in users if not user.startswith(HOMES[what])} if HOMES[what] else users
    assert strays == set()
    assert users or not HOMES[what] or what in UNUSED, f"nobody uses {what}: is its home still right?"


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("import httpx", "httpx"),
        ("import httpx as h", "httpx"),
        ("from httpx import get", "httpx"),
        ("def f():\n    import subprocess", "subprocess"),
        ("from subprocess import run", "subprocess"),
        ("import time as t\nt.sleep(1)", "time.sleep"),
        ("from time import sleep", "time.sleep"),
        ("import os\nprint(os.environ['A'])", "os.environ"),
        ("from os import environ", "os.environ"),
        ("import kubernetes.stream", "kubernetes"),
    ],
)
def test_no_spelling_escapes(source: str, what: str) -> None:
    """However it is imported, it is found."""
    assert what in set(names(list(ast.walk(ast.parse(source)))))


def test_suites_take_fixtures_by_name() -> None:
    """A suite imports what it says and judges with: never the plugin, a cluster, a tool, or another suite."""
    forbidden = ("suites", *(f"harness.{name}" for name in ("plugin", "cluster", "helm", "kubectl", "command", "cli")))
    for file in files(ROOT / "suites"):
        assert {name for name in used(file) if set(parents(name)) & set(forbidden)} == set(), file


def test_modules_are_short() -> None:
    """A module of more than 300 lines has a reason, which is written here."""
    long = {str(file.relative_to(ROOT)) for file in files() if len(file.read_text().splitlines()) > 300}

    assert long <= REASONS.keys(), f"say why, or divide: {sorted(long - REASONS.keys())}"
    assert {file for file in REASONS if not (ROOT / file).exists()} == set()


REASONS = {
    "harness/cluster_call_records.py": "one file format: what writes it, and both that read it",
    "harness/cli.py": "one parser and one short function for each command",
    "harness/kube/client.py": "one class, the boundary to the Kubernetes API: its calls are short, each marked",
    "harness/settings.py": "one row for each setting, and the one reader of the environment",
    "harness/version_sets.py": "the version set, what follows from it, and its file",
}


def test_every_exception_to_a_rule_has_its_reason() -> None:
    """A noqa or a type-ignore is followed by why, on its line."""
    bare = []
    for file in [*files(), *files(ROOT / "suites")]:
        for number, row in enumerate(file.read_text().splitlines(), start=1):
            for mark in ("# noqa", "# type: ignore"):
                if mark in row and "  #" not in row[row.index(mark) + len(mark) :]:
                    bare.append(f"{file.relative_to(ROOT)}:{number}")

    assert bare == []
