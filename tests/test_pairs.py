"""Suites and manifests go in pairs, tests read as facts, and what is reported is there."""

import ast
import os
import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness import version_sets
from harness.objects import manifests
from tests.patience import SOON
from tests.sources import nodes, tree

ROOT = Path(__file__).resolve().parent.parent
SUITES, MANIFESTS = ROOT / "suites", ROOT / "manifests"
# Manifests without a suite of their own, and why.
UNPAIRED = {
    "resilience/idle_connections": "applied once a session, under every load",
    "base": "applied once a session, before any suite",
    "conformance": "applied by `mesh-e2e conformance`, whose suite is the Gateway API's own",
    "values": "values of charts",
    "waypoint/gateway_binding": "the waypoint in its form of that name: the fixture `waypoint` picks one",
    "waypoint/gateway_listener": "as gateway_binding",
    "waypoint/gateway_patch": "as gateway_binding",
}
DISTURBING = {"resilience"}  # suites that disturb what already stands: some apply nothing
TESTS = sorted(SUITES.glob("*/test_*.py"))
FILES = [file for file in sorted(MANIFESTS.glob("*/*.yaml")) if file.parent.name != "values"]
BRANCHES = (ast.For, ast.AsyncFor, ast.While, ast.If, ast.Try, ast.TryStar, ast.Match, ast.IfExp)


def shown(file: Path) -> str:
    return f"{file.parent.name}/{file.stem}"


def functions(file: Path) -> list[ast.FunctionDef]:
    """The test functions of a suite."""
    return [n for n in nodes(file) if isinstance(n, ast.FunctionDef) and n.name.startswith("test_")]


CLAIMS = {f"{shown(file)}::{f.name}": f for file in TESTS for f in functions(file)}


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


def test_suite_names_its_manifest() -> None:
    """The module docstring of a suite names its manifest, and the part of the article or the promise it is about."""
    wrong = []
    for file in TESTS:
        head = ast.get_docstring(tree(file)) or ""
        if manifest_of(file).exists() and f"Manifest: manifests/{shown(manifest_of(file))}.yaml" not in head:
            wrong.append(f"{shown(file)}: does not name its manifest")
        if "Article: " not in head and "Promise: " not in head:
            wrong.append(f"{shown(file)}: neither Article nor Promise")

    assert wrong == []


def not_a_fact(text: str) -> str:
    """What keeps a docstring from being one sentence in the present tense; empty if nothing does."""
    rules = {
        "is no sentence": not text.endswith("."),
        "is more than one paragraph": "\n\n" in text,
        "is longer than 30 words": len(text.split()) > 30,
        "is more than one sentence": re.search(r"[.!?]\s+[A-Z]", text),
        "is no fact": re.search(r"(?i)\b(should|tests? that|checks? that|verif|makes? sure|ensures?|will)\b", text),
    }
    return next((rule for rule, broken in rules.items() if broken), "")


def test_docstring_is_a_fact() -> None:
    """Every test states its claim in one sentence of the present tense."""
    reasons = {name: not_a_fact(ast.get_docstring(function) or "") for name, function in CLAIMS.items()}

    assert CLAIMS
    assert {name: reason for name, reason in reasons.items() if reason} == {}


def test_claims_stand_alone() -> None:
    """Each claim differs from every other, names its subject and uses the field's words: reports print it alone."""
    claims = {name: re.sub(r"{\w+}", "", ast.get_docstring(function) or "") for name, function in CLAIMS.items()}
    text = Counter(claims.values())
    subject = re.compile(r"(It|Its|They|Their|With it|Under it|Meanwhile|Either|Nor|The policy|The other)\b")
    house = re.compile(r"\b(callers?|limiter|(?<!circuit )breaker|spent|green|told|refused|QUOTA)\b")

    assert [name for name, claim in claims.items() if text[claim] > 1] == []
    assert [name for name, claim in claims.items() if subject.match(claim)] == []
    assert {name: found[0] for name, claim in claims.items() if (found := house.search(claim))} == {}


@pytest.mark.parametrize("text", ["", "No full stop", "Two. Sentences.", "It should hold.", "Checks that it holds."])
def test_what_is_no_fact_is_recognized(text: str) -> None:
    """The rule above rejects what it is about."""
    assert not_a_fact(text)


def test_no_branch_in_a_test_or_a_fixture() -> None:
    """A test, and a fixture, is one straight line: no loop, condition, exception handler or function of its own, and
    none skips by hand: experiments are functions of the harness, and what cannot be judged raises CannotJudge."""
    found = [
        f"{file.relative_to(ROOT)}:{node.lineno}: {type(node).__name__}"
        for file in [*TESTS, *sorted((ROOT / "harness/plugin").glob("fixtures*.py"))]
        for function in tree(file).body
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
        if isinstance(node, BRANCHES) or _skips(node) or (file in TESTS and _is_arm(node, function))
    ]

    assert found == []


def _skips(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and ast.unparse(node) in ("pytest.skip", "pytest.xfail")


def _is_arm(node: ast.AST, function: ast.FunctionDef) -> bool:
    """Whether it is a function within a fixture, which calls it for each arm of an experiment."""
    return (
        isinstance(node, ast.FunctionDef)
        and node is not function
        and bool(function.decorator_list)
        and not (function.name.startswith("test_"))
    )


def test_suites_move_with_the_namespace() -> None:
    """A name in namespace `default` is compared as `here` has it: on others' clusters suites have another namespace."""
    wrong = []
    for file in TESTS:
        compared = [node for one in nodes(file) if isinstance(one, ast.Assert) for node in ast.walk(one)]
        calls = [node for node in compared if isinstance(node, ast.Call) and ast.unparse(node.func) == "here"]
        moved = {id(node) for call in calls for node in ast.walk(call)}
        texts = [node for node in compared if isinstance(node, ast.Constant) and id(node) not in moved]
        wrong += [f"{shown(file)}:{one.lineno}" for one in texts if re.search(r"\bdefault[/.]", str(one.value))]
    assert wrong == []


def test_every_test_asserts() -> None:
    """Every test has an assertion, and none asserts a constant or a tuple."""
    wrong = []
    for name, function in CLAIMS.items():
        asserts = [node for node in ast.walk(function) if isinstance(node, ast.Assert)]
        if not asserts or any(isinstance(node.test, ast.Constant | ast.Tuple) for node in asserts):
            wrong.append(name)

    assert wrong == []


def constant(file: Path, name: str) -> Any:
    """A module's constant."""
    for node in tree(file).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == name:
            return ast.literal_eval(node.value)
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple):
            names = [target.id for target in node.targets[0].elts if isinstance(target, ast.Name)]
            if name in names:
                return ast.literal_eval(node.value)[names.index(name)]
    raise LookupError(f"{file} has no {name}")


def spec(name: str) -> Any:
    """The spec of the first document of a manifest."""
    return manifests.read_manifest(MANIFESTS / name)[0]["spec"]


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
    (document,) = manifests.read_manifest(MANIFESTS / manifest)
    named = f"{document['kind']}/{document['metadata']['namespace']}/{document['metadata']['name']}"

    assert constant(SUITES / suite, "POLICY") == named


def test_breaker_is_certain() -> None:
    """The circuit breaker's room is nothing at all: a refusal is certain, not likely."""
    assert spec("circuit_breaker/ratings.yaml")["circuitBreaker"]["maxPendingRequests"] == 0


@pytest.mark.parametrize("form", ["listener", "patch", "binding"])
def test_forms_name_what_their_manifests_make(form: str) -> None:
    """NAME is the Gateway, SERVICE the Service and HTTPRoute of the form's manifest."""
    suite = SUITES / "waypoint" / f"test_form_{form}.py"
    made = {
        (d["kind"], d["metadata"]["name"])
        for d in manifests.read_manifest(MANIFESTS / "waypoint" / f"form_{form}.yaml")
    }

    assert ("Gateway", constant(suite, "NAME")) in made
    assert {("Service", constant(suite, "SERVICE")), ("HTTPRoute", constant(suite, "SERVICE"))} <= made


def test_manifests_begin_with_a_comment() -> None:
    """A manifest can be read by itself: its first line says what it is."""
    assert [shown(file) for file in FILES if not file.read_text().startswith("# ")] == []


def test_objects_of_one_name_are_one_object() -> None:
    """Two manifests that make the same object say the same of it, but for the forms of one waypoint, and Namespaces."""
    seen: dict[str, tuple[str, Any]] = {}
    double = []
    for file in FILES:
        for document in manifests.read_manifest(file):
            name = f"{document['kind']}/{document['metadata'].get('namespace', '')}/{document['metadata']['name']}"
            where, other = seen.setdefault(name, (shown(file), document))
            forms = "/gateway_" in where and "/gateway_" in shown(file)
            if other != document and not forms and document["kind"] != "Namespace":
                double.append(f"{name}: {where} and {shown(file)}")

    assert double == []


def test_values_are_of_a_chart() -> None:
    """Each file of values is of a chart of the version set, and is a mapping."""
    files = sorted((MANIFESTS / "values").glob("*.yaml"))

    assert {file.stem for file in files} <= version_sets.load().pick().charts.keys()
    assert [shown(file) for file in files if not isinstance(yaml.load(file.read_text(), yaml.CSafeLoader), dict)] == []


# -- what is reported --------------------------------------------------------------------------------------------------

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
        output = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=SOON, check=True).stdout
        assert set(re.findall(r"^  make (\S+)", output, re.MULTILINE)) == DOCUMENTED


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_variables_reach_the_harness_and_nothing_else(tmp_path: Path) -> None:
    """What a user sets on the command line, or as E2E_ in the environment, is the harness's: no step of make's own."""
    probe = tmp_path / "probe.mk"
    probe.write_text("include Makefile\nprobe:\n\t@env\n")
    argv = ["make", "-f", str(probe), "probe", "-s", "INSTALL=1", "KEEP=never", f"VENV={tmp_path}/none"]
    own = {"PATH": os.environ["PATH"], "E2E_CLUSTER": "emulated", "E2E_KEEP": "always"}

    def commands(argv: list[str]) -> list[str]:
        done = subprocess.run(argv, cwd=ROOT, env=own, capture_output=True, text=True, timeout=SOON, check=True)
        return done.stdout.splitlines()

    assert {"E2E_INSTALL=1", "E2E_KEEP=never", "E2E_CLUSTER=emulated"} <= set(commands(argv))
    steps = [line for line in commands([*argv[:3], "e2e", "-n", *argv[4:]]) if "requirements.lock" in line]
    assert len(steps) == 1
    assert "pip install" in steps[0]


PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])


def test_pages_name_targets_that_exist() -> None:
    """Every `make x` in the documentation is a target."""
    pattern = re.compile(r"(?:`|^\s*(?:\$ )?)make ([a-z][a-z0-9-]*)", re.MULTILINE)

    assert {page.name: set(pattern.findall(page.read_text())) - TARGETS for page in PAGES} == {
        page.name: set() for page in PAGES
    }


def test_pages_name_files_that_exist() -> None:
    """Every path of the repository that the documentation names exists."""
    pattern = re.compile(r"`((?:harness|suites|manifests|tests|docs)/[\w./-]*\w)`")
    named = {(page.name, path) for page in PAGES for path in pattern.findall(page.read_text())}

    assert named
    assert [name for name in sorted(named) if not (ROOT / name[1]).exists()] == []


def test_findings_name_recordings_that_exist() -> None:
    """Every recording that docs/findings.md names is in tests/recordings, and it names most of them."""
    text = (ROOT / "docs" / "findings.md").read_text()
    paragraphs = re.findall(r"Recordings?: ([^.]*(?:\.\w[^.]*)*)\.", text)
    named = {name for paragraph in paragraphs for name in re.findall(r"`([\w./-]+)`", paragraph)}
    recordings = {name for name in named if not name.startswith("suites/")}

    assert len(recordings) > 15
    assert [name for name in sorted(recordings) if not (ROOT / "tests" / "recordings" / name).exists()] == []


def test_nothing_refers_to_documents_outside_the_repository() -> None:
    """Numbered findings and notes of their authors are no reference that a reader can follow: docs/findings.md is."""
    outside = re.compile(r"stack-facts|ground-truth|live-findings|\b[Ff]indings? [0-9]")
    folders = ("harness", "suites", "tests", "docs", "faults", "manifests")
    files = [f for folder in folders for f in (ROOT / folder).rglob("*") if f.suffix in {".py", ".md", ".yaml"}]

    assert files
    assert [str(f.relative_to(ROOT)) for f in files if f != Path(__file__) and outside.search(f.read_text())] == []


def test_attributes_that_suites_read_exist() -> None:
    """Types do not reach a fixture's value in a test: a renamed field would show only when that test runs."""
    files = [file for root in ("harness", "suites") for file in (ROOT / root).rglob("*.py")]
    known = {name for file in files for node in nodes(file) for name in _defined(node)}
    known |= {name for kind in (str, bytes, list, dict, set, pytest.mark, pytest) for name in dir(kind)}
    known |= {"b64encode", "enter_context", "iter_markers", "args", "Item"}  # of the standard library and pytest

    marks = set(re.findall(r"pytest\.mark\.(\w+)", "".join(file.read_text() for file in TESTS)))
    used = [(file, node) for file in TESTS for node in nodes(file)]
    read = [(file, node) for file, node in used if isinstance(node, ast.Attribute) and node.attr not in known | marks]

    assert [f"{shown(file)}:{node.lineno} .{node.attr}" for file, node in read] == []


def _defined(node: ast.AST) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
        return [node.id if isinstance(node, ast.Name) else node.attr]
    return [one.asname or one.name for one in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
