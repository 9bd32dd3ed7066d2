"""Refuses disruptions that would change other people's objects, unless they are allowed.

On somebody else's cluster most changes are refused by the Kubernetes client itself (`Kube(not_ours=…)`).
`check_allowed` is for those that do not go through it: Helm, and signals to a process.
"""

from __future__ import annotations

import ast
import importlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from harness.cluster.protocol import Cluster
from harness.errors import NotAllowed
from harness.objects.effect_on_others import affects_others
from harness.objects.kind_namespace_name import parse_ref, ref_of
from harness.objects.manifests import MANIFESTS, manifest_of_suite, read_manifest
from harness.objects.namespace_mapping import AS_WRITTEN

ROOM = "harness.disruption"
WRITING = frozenset({"patch", "patched", "delete", "evict"})  # methods that change what a name says
F = TypeVar("F", bound=Callable[..., Any])


def touches(*what: str) -> Callable[[F], F]:
    """Declares what of others a function touches, whatever its arguments: "DaemonSet/istio-system/ztunnel"."""

    def declare(function: F) -> F:
        function.touches = what  # type: ignore[attr-defined]  # read by `describe_touched`
        return function

    return declare


def check_allowed(cluster: Cluster, *what: str) -> None:
    """Checks before anything is done.

    Raises:
        NotAllowed: this cluster lacks the capability `disruptive`.
    """
    if "disruptive" in cluster.cannot_judge:
        raise NotAllowed(f"disruptive: {cluster.cannot_judge['disruptive']}: {', '.join(dict.fromkeys(what))}")


def describe_touched(suite: Path) -> list[str]:
    """What of others a suite's file touches, a line each, sorted; empty if all that it changes is its own.

    Read from its source: what it uses of harness.disruption, the manifests that it applies, and the names of objects
    that it patches or deletes, all as written for namespace `default`.
    """
    tree = ast.parse(suite.read_text())
    return sorted({*_by_disruption(tree), *_by_manifests(tree, suite), *_by_writes(tree)})


def _by_disruption(tree: ast.Module) -> Iterator[str]:
    modules: dict[str, Any] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(ROOM):
            for alias in node.names:
                if node.module == ROOM:
                    modules[alias.asname or alias.name] = importlib.import_module(f"{ROOM}.{alias.name}")
                else:
                    yield from _touched(getattr(importlib.import_module(str(node.module)), alias.name))
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
            yield from _touched(getattr(modules[node.value.id], node.attr))


def _touched(used: object) -> Iterator[str]:
    """What a function declares, or the workload that a constant names, if it is not ours."""
    yield from getattr(used, "touches", ())
    if isinstance(used, str):
        yield from _named(used)


def _by_manifests(tree: ast.Module, suite: Path) -> Iterator[str]:
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    asked = {argument.arg for function in functions for argument in function.args.args} | set(_strings(tree))
    patterns = {text for text in asked if text.endswith(".yaml") and " " not in text}
    patterns |= {_pattern(node) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)}
    if "applied" in asked:  # the fixture, as an argument or in usefixtures
        patterns.add(manifest_of_suite(suite))
    for pattern in patterns:
        for file in MANIFESTS.glob(pattern) if pattern.endswith(".yaml") else ():
            yield from filter(None, (affects_others(ref_of(one), AS_WRITTEN) for one in read_manifest(file)))


def _pattern(text: ast.JoinedStr) -> str:
    """An f-string as a glob pattern: what is not known yet may be anything."""
    return "".join(str(part.value) if isinstance(part, ast.Constant) else "*" for part in text.values)


def _by_writes(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in WRITING:
            for argument in node.args:
                for text in _strings(argument):
                    yield from _named(text)


def _named(text: str) -> Iterator[str]:
    with suppress(ValueError):  # no name of an object
        yield from filter(None, [affects_others(parse_ref(text), AS_WRITTEN)])


def _strings(tree: ast.AST) -> Iterator[str]:
    """All constant strings, docstrings among them: a sentence is no name of a file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
