"""Suites and manifests go in pairs, tests read as facts, and what is told is there."""

import ast
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness import versions
from harness.objects import manifests

ROOT = Path(__file__).resolve().parent.parent
SUITES, MANIFESTS = ROOT / "suites", ROOT / "manifests"
# Manifests without a suite of their own, and why.
UNPAIRED = {
    "resilience/idle_connections": "applied once a session, under every load",
    "base": "applied once a session, before any suite",
    "values": "values of charts",
    "waypoint/gateway_binding": "the waypoint in its form of that name: the fixture `waypoint` picks one",
    "waypoint/gateway_listener": "as gateway_binding",
    "waypoint/gateway_patch": "as gateway_binding",
}
DISTURBING = {"resilience"}  # suites that disturb what already stands: some apply nothing
TESTS = sorted(SUITES.glob("*/test_*.py"))
FILES = [file for file in sorted(MANIFESTS.glob("*/*.yaml")) if file.parent.name != "values"]
SETS = sorted(versions.load().sets)
BRANCHES = (ast.For, ast.AsyncFor, ast.While, ast.If, ast.Try, ast.TryStar, ast.Match, ast.IfExp)


def shown(file: Path) -> str:
    return f"{file.parent.name}/{file.stem}"


def functions(file: Path) -> list[ast.FunctionDef]:
    """The test functions of a suite."""
    return [
        n
        for n in ast.walk(ast.parse(file.read_text()))
        if isinstance(n, ast.FunctionDef) and n.name.startswith("test_")
    ]


CLAIMS = [pytest.param(f, id=f"{shown(file)}::{f.name}") for file in TESTS for f in functions(file)]


def manifest_of(file: Path) -> Path:
    """Where a suite's manifest is, if it has one."""
    return MANIFESTS / file.parent.name / f"{file.stem.removeprefix('test_')}.yaml"


def test_every_suite_has_its_manifest() -> None:
    """suites/<area>/test_<stem>.py stands beside manifests/<area>/<stem>.yaml, but for who disturbs what stands."""
    alone = [shown(f) for f in TESTS if not manifest_of(f).exists() and f.parent.name not in DISTURBING]

    assert TESTS
    assert alone == []


def test_every_manifest_has_its_suite() -> None:
    """And the other way round, but for those listed with a reason, and those that a suite beside them names."""
    alone = [f for f in sorted(MANIFESTS.glob("*/*.yaml")) if f.parent.name not in UNPAIRED]
    alone = [f for f in alone if not (SUITES / f.parent.name / f"test_{f.stem}.py").exists()]
    named = {
        f for f in alone if any(f.name in suite.read_text() for suite in (SUITES / f.parent.name).glob("test_*.py"))
    }

    assert {shown(f) for f in alone if f not in named} == {name for name in UNPAIRED if "/" in name}


def test_nothing_lies_outside_the_pattern() -> None:
    """No suite or manifest is where these checks would not find it."""
    python = {f for f in SUITES.rglob("*.py") if f.name != "conftest.py"}
    assert python == set(TESTS)
    assert set(MANIFESTS.rglob("*.y*ml")) == set(MANIFESTS.glob("*/*.yaml"))


@pytest.mark.parametrize("file", TESTS, ids=shown)
def test_suite_names_its_manifest(file: Path) -> None:
    """The head of a suite says which manifest it is about, and which part of the article, or what is promised."""
    head = ast.get_docstring(ast.parse(file.read_text())) or ""

    assert not manifest_of(file).exists() or f"Manifest: manifests/{shown(manifest_of(file))}.yaml" in head
    assert "Article: " in head or "Promise: " in head


@pytest.mark.parametrize("function", CLAIMS)
def test_docstring_is_a_fact(function: ast.FunctionDef) -> None:
    """Every test states its claim in one sentence of the present tense."""
    text = ast.get_docstring(function) or ""

    assert text.endswith("."), "no sentence"
    assert "\n" not in text, "one line"
    assert not re.search(r"[.!?]\s+[A-Z]", text), "one sentence"
    assert not re.search(r"(?i)\b(should|tests? that|checks? that|verif|makes? sure|ensures?|will)\b", text), "a fact"


@pytest.mark.parametrize("function", CLAIMS)
def test_no_branch_in_a_test(function: ast.FunctionDef) -> None:
    """A test is one straight line: no loop, no condition, nothing caught."""
    found = [type(node).__name__ for node in ast.walk(function) if isinstance(node, BRANCHES)]

    assert found == []


@pytest.mark.parametrize("function", CLAIMS)
def test_every_test_asserts(function: ast.FunctionDef) -> None:
    """A test without an assertion claims nothing; no assertion is of a constant or of a tuple."""
    asserts = [node for node in ast.walk(function) if isinstance(node, ast.Assert)]

    assert asserts
    assert not [node for node in asserts if isinstance(node.test, ast.Constant | ast.Tuple)]


def constant(file: Path, name: str) -> Any:
    """A module's constant."""
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == name:
            return ast.literal_eval(node.value)
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple):
            names = [target.id for target in node.targets[0].elts if isinstance(target, ast.Name)]
            if name in names:
                return ast.literal_eval(node.value)[names.index(name)]
    raise LookupError(f"{file} has no {name}")


def spec(name: str) -> Any:
    """The spec of the first document of a manifest."""
    return manifests.read(MANIFESTS / name)[0]["spec"]


@pytest.mark.parametrize(
    ("suite", "manifest"),
    [
        ("rate_limit/test_per_user.py", "rate_limit/per_user.yaml"),
        ("isolation/test_neighbours.py", "isolation/ratings_limit.yaml"),
    ],
)
def test_quota_is_the_manifests(suite: str, manifest: str) -> None:
    """QUOTA is the number of requests an hour that the manifest allows."""
    (rule,) = spec(manifest)["rateLimit"]["global"]["rules"]

    assert rule["limit"] == {"requests": constant(SUITES / suite, "QUOTA"), "unit": "Hour"}


@pytest.mark.parametrize(
    ("suite", "manifest"),
    [
        ("rate_limit/test_per_user.py", "rate_limit/per_user.yaml"),
        ("rate_limit/test_removal.py", "rate_limit/removal.yaml"),
        ("circuit_breaker/test_ratings.py", "circuit_breaker/ratings.yaml"),
    ],
)
def test_policy_is_the_manifests(suite: str, manifest: str) -> None:
    """POLICY names the object that the manifest makes."""
    (document,) = manifests.read(MANIFESTS / manifest)
    named = f"{document['kind']}/{document['metadata']['namespace']}/{document['metadata']['name']}"

    assert constant(SUITES / suite, "POLICY") == named


def test_breaker_is_certain() -> None:
    """The circuit breaker's room is nothing at all: a refusal is certain, not likely."""
    assert spec("circuit_breaker/ratings.yaml")["circuitBreaker"]["maxPendingRequests"] == 0


@pytest.mark.parametrize("form", ["listener", "patch", "binding"])
def test_forms_name_what_their_manifests_make(form: str) -> None:
    """NAME is the Gateway, SERVICE the Service and HTTPRoute of the form's manifest."""
    suite = SUITES / "waypoint" / f"test_form_{form}.py"
    made = {(d["kind"], d["metadata"]["name"]) for d in manifests.read(MANIFESTS / "waypoint" / f"form_{form}.yaml")}

    assert ("Gateway", constant(suite, "NAME")) in made
    assert {("Service", constant(suite, "SERVICE")), ("HTTPRoute", constant(suite, "SERVICE"))} <= made


@pytest.mark.parametrize("file", FILES, ids=shown)
def test_manifest_is_valid_and_pinned(file: Path) -> None:
    """Every manifest can be read, and pinned to every version set."""
    documents = manifests.read(file)

    for name in SETS:
        row = versions.load().sets[name]
        assert len(manifests.pinned(documents, row.images.values())) == len(documents)


@pytest.mark.parametrize("file", FILES, ids=shown)
def test_manifest_says_what_it_is(file: Path) -> None:
    """A manifest begins with a comment for who reads it alone."""
    assert file.read_text().startswith("# ")


def test_objects_of_one_name_are_one_object() -> None:
    """Two manifests that make the same object say the same of it, but for the forms of one waypoint, and Namespaces."""
    seen: dict[str, tuple[str, Any]] = {}
    double = []
    for file in FILES:
        for document in manifests.read(file):
            name = f"{document['kind']}/{document['metadata'].get('namespace', '')}/{document['metadata']['name']}"
            where, other = seen.setdefault(name, (shown(file), document))
            forms = "/gateway_" in where and "/gateway_" in shown(file)
            if other != document and not forms and document["kind"] != "Namespace":
                double.append(f"{name}: {where} and {shown(file)}")

    assert double == []


@pytest.mark.parametrize("file", sorted((MANIFESTS / "values").glob("*.yaml")), ids=shown)
def test_values_are_of_a_chart(file: Path) -> None:
    """Each file of values is of a chart of the version set, and is a mapping."""
    assert file.stem in versions.load().pick().charts
    assert isinstance(yaml.safe_load(file.read_text()), dict)


# -- what is told --------------------------------------------------------------------------------------------------

MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z][a-z0-9-]*):", MAKEFILE, re.MULTILINE))
DOCUMENTED = set(re.findall(r"^([a-z][a-z0-9-]*):.*?## ", MAKEFILE, re.MULTILINE))


def test_every_target_is_documented() -> None:
    """A target without a word of help is none that anybody finds."""
    assert TARGETS == DOCUMENTED
    assert {"test", "e2e", "check", "clean", "doctor"} <= TARGETS


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_help_lists_every_target() -> None:
    """`make help`, and `make` alone, list every target with its help."""
    for argv in (["make", "help"], ["make"]):
        said = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=20, check=True).stdout
        assert set(re.findall(r"^  make (\S+)", said, re.MULTILINE)) == DOCUMENTED


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_variables_reach_the_harness_and_nothing_else(tmp_path: Path) -> None:
    """What a user sets on the command line, or as E2E_ in the environment, is the harness's: no step of make's own."""
    probe = tmp_path / "probe.mk"
    probe.write_text("include Makefile\nprobe:\n\t@env\n")
    argv = ["make", "-f", str(probe), "probe", "-s", "INSTALL=1", "KEEP=never", f"VENV={tmp_path}/none"]
    own = {"PATH": os.environ["PATH"], "E2E_CLUSTER": "emulated", "E2E_KEEP": "always"}

    def told(argv: list[str]) -> list[str]:
        done = subprocess.run(argv, cwd=ROOT, env=own, capture_output=True, text=True, timeout=20, check=True)
        return done.stdout.splitlines()

    assert {"E2E_INSTALL=1", "E2E_KEEP=never", "E2E_CLUSTER=emulated"} <= set(told(argv))
    steps = [line for line in told([*argv[:3], "e2e", "-n", *argv[4:]]) if "requirements.lock" in line]
    assert len(steps) == 1
    assert "pip install" in steps[0]


@pytest.mark.parametrize(
    "page", sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")]), ids=lambda page: page.name
)
def test_pages_name_targets_that_exist(page: Path) -> None:
    """Every `make x` of the pages is a target."""
    named = set(re.findall(r"(?:`|^\s*(?:\$ )?)make ([a-z][a-z0-9-]*)", page.read_text(), re.MULTILINE))

    assert named <= TARGETS


@pytest.mark.parametrize(
    "page", sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")]), ids=lambda page: page.name
)
def test_pages_name_files_that_exist(page: Path) -> None:
    """Every path of the repository that a page names is there."""
    named = re.findall(r"`((?:harness|suites|manifests|tests|docs)/[\w./-]*\w)`", page.read_text())

    assert [path for path in named if not (ROOT / path).exists()] == []


def test_variables_of_make_are_settings() -> None:
    """Every variable that make passes on is a setting."""
    from harness.settings import Settings

    passed = {name.lower() for name in re.findall(r"^export E2E_(\w+)", MAKEFILE, re.MULTILINE)}

    assert passed
    assert passed <= set(Settings.model_fields)
