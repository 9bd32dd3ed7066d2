"""The mark `needs`: what is skipped, with which reason, and which names are refused."""

from __future__ import annotations

import pytest

MARKED = """
@pytest.fixture(scope="session")
def cluster():
    return type("Lacking", (), {"cannot_judge": {"nodes": "they are not ours"}})()

@pytest.mark.needs("load")
def test_judged():
    pass

@pytest.mark.needs("load", "nodes")
def test_lacking():
    assert 0
"""
FILE = """
pytestmark = pytest.mark.needs("nodes")

@pytest.fixture(scope="module", autouse=True)
def stood():
    assert 0, "nothing is stood up for it"

@pytest.mark.needs("mtls")
def test_of_a_marked_file():
    pass
"""


@pytest.mark.parametrize("listing", [(), ("--collect-only", "-q")])
def test_a_mark_that_needs_what_nobody_knows_is_refused(mini, listing):
    """Misspelt it would never skip: the sentence names test and word, in a run as in a listing, also if deselected."""
    text = '''
@pytest.mark.needs("load", "noodles")
def test_a(cluster):
    """A."""

def test_b(cluster):
    """B."""
'''
    result = mini.write(ingress__marks=text).run("suites", "-k", "test_b", *listing)

    assert result.ret == 2
    output = result.stdout.str() + result.stderr.str()
    assert output.count("suites/ingress/test_marks.py::test_a needs 'noodles', which is not a capability") == 1
    assert output.count("remedy: use one of: load, nodes, ") == 1
    assert mini.order == []


def test_what_the_cluster_lacks_is_skipped_with_its_reason(mini):
    """A test that needs it, or all of a file, before the file's own fixtures; what it can judge is judged."""
    mini.write(ingress__marked=MARKED, ingress__whole=MARKED.partition("@pytest.mark")[0] + FILE).run()

    assert mini.outcomes == {"test_judged": "held", "test_lacking": "skipped", "test_of_a_marked_file": "skipped"}
    assert [test["reason"] for test in mini.results["tests"]] == ["", *["nodes: they are not ours"] * 2]


FORGOTTEN = """
@pytest.fixture(scope="module")
def struck():
    raise NotAllowed("disruptive: not ours here: GatewayClass/x (cluster-wide)")

def test_first(struck):
    pass

def test_second(struck):
    pass

def test_of_itself():
    raise NotAllowed("disruptive: not ours here: Node/x (cluster-wide)")
"""
SET_UP = """
@pytest.fixture(scope="session")
def stood():
    assert 0, "nothing is stood up for it"

@pytest.mark.needs("nodes")
def test_skipped(stood):
    pass
"""
TOUCHING = """
from harness.disruption import restarts

def test_a():
    restarts.REDIS

def test_b():
    restarts.LIMITER
"""


def test_a_forgotten_mark_skips_all_the_same(mini):
    """Refused in a fixture or in the test: each test of it is skipped, with what it would have touched."""
    mini.write(ingress__forgotten=FORGOTTEN).run()

    assert mini.outcomes == dict.fromkeys(["test_first", "test_second", "test_of_itself"], "skipped")
    assert [test["reason"].rpartition(": ")[2] for test in mini.results["tests"]] == [
        "GatewayClass/x (cluster-wide)",
        "GatewayClass/x (cluster-wide)",
        "Node/x (cluster-wide)",
    ]


def test_no_fixture_of_the_session_is_made_for_a_test_that_is_skipped(mini):
    """Not even one that the whole session shares."""
    mini.write(ingress__early=MARKED.partition("@pytest.mark")[0] + SET_UP).run()

    assert mini.outcomes == {"test_skipped": "skipped"}


@pytest.mark.parametrize(("variable", "heading"), [("", "not touched, and "), ("1", "DISRUPTIVE=1: tests of this run")])
def test_what_would_be_touched_is_listed_first(mini, monkeypatch, variable, heading):
    """An object a line, with the files, before any test runs; only of tests that are in the run."""
    monkeypatch.setenv("E2E_DISRUPTIVE", variable)
    mini.write(ingress__touching=TOUCHING, rate_limit__pure="def test_c():\n    pass\n")

    touching, pure = (mini.run(f"suites/{area}", cluster="existing") for area in ("ingress", "rate_limit"))

    lines = touching.stdout.str().splitlines()
    at = next(n for n, line in enumerate(lines) if line.startswith(heading))
    assert lines[at + 1 : at + 3] == [
        "  Deployment/envoy-gateway-system/envoy-ratelimit: ingress/test_touching.py",
        "  Deployment/redis-system/redis: ingress/test_touching.py",
    ]
    assert heading not in pure.stdout.str()


def test_what_is_installed_in_somebodys_cluster_is_listed_too(mini, monkeypatch):
    """Installing was asked for: what of it concerns others is reported before it is done."""
    monkeypatch.setenv("E2E_INSTALL", "1")

    result = mini.write(rate_limit__pure="def test_c():\n    pass\n").run(cluster="existing")

    result.stdout.fnmatch_lines(["INSTALL=1 installs Istio*", "  Namespace/redis-system*"])
    result.stdout.no_fnmatch_line("  GatewayClass/eg-ingress*")


RESTS_ON = """
from harness.plugin.needs import check_judged

@pytest.fixture(scope="session")
def cluster():
    return type("Lacking", (), {"cannot_judge": {"waypoint": "Envoy Gateway's mode"}})()

@pytest.fixture(scope="session")
def proxy(cluster):
    check_judged(cluster, "ingress", "waypoint")

def test_one(proxy):
    assert 0

def test_another(proxy):
    assert 0

def test_without(cluster):
    check_judged(cluster, "ingress")
"""


def test_what_a_fixture_rests_on_is_skipped_for_all_who_ask_for_it(mini):
    """A fixture that needs what preflight found lacking: each of its tests is skipped with that reason, none errs."""
    mini.write(waypoint__rests=RESTS_ON).run()

    assert mini.outcomes == {"test_one": "skipped", "test_another": "skipped", "test_without": "held"}
    reasons = [test["reason"] for test in mini.results["tests"] if test["outcome"] == "skipped"]
    assert reasons == ["waypoint: Envoy Gateway's mode"] * 2
