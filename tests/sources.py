"""Python files of this tree as syntax trees: each is parsed once in a process, however many tests read it."""

import ast
from functools import cache
from pathlib import Path


@cache
def tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text())


@cache
def nodes(file: Path) -> tuple[ast.AST, ...]:
    """All nodes of the file."""
    return tuple(ast.walk(tree(file)))
