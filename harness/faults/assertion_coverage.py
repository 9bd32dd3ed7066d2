"""Lists the assertions of the suites, and which of them a planted fault has made fail. Reads files only."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Assertion:
    """One assert statement: its file as test ids name it, its lines (first to last), its condition as text, and the
    function of the file that it is in."""

    file: str
    first: int
    last: int
    text: str
    function: str = ""

    @property
    def test(self) -> str:
        """Of a test, its id without a case."""
        return f"{self.file}::{self.function}"


def find_assertions(root: Path, folders: Iterable[str]) -> list[Assertion]:
    """Every assert statement of the test files below these folders of root, in order."""
    found = []
    for path in [path for folder in folders for path in sorted((root / folder).rglob("test_*.py"))]:
        source = path.read_text()
        name = path.relative_to(root).as_posix()
        for top in ast.parse(source).body:
            nodes = [node for node in ast.walk(top) if isinstance(node, ast.Assert)]
            for node in sorted(nodes, key=lambda one: one.lineno):
                text = " ".join((ast.get_source_segment(source, node.test) or "").split())
                within = top.name if isinstance(top, ast.FunctionDef) else ""
                found.append(Assertion(name, node.lineno, node.end_lineno or node.lineno, text, within))
    return found


def unreached_assertions(assertions: Iterable[Assertion], struck: Iterable[tuple[str, int]]) -> list[Assertion]:
    """Those at whose lines no test has failed. `struck` is (file, line) of each failure."""
    lines = set(struck)
    return [a for a in assertions if not any((a.file, line) in lines for line in range(a.first, a.last + 1))]
