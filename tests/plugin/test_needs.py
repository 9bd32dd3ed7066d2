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
    said = result.stdout.str() + result.stderr.str()
    assert said.count("suites/ingress/test_marks.py::test_a needs 'noodles', which is no capability") == 1
    assert said.count("remedy: use one of: load, nodes, ") == 1
    assert mini.order == []


def test_what_the_cluster_lacks_is_skipped_with_its_reason(mini):
    """A test that needs it, or all of a file, before the file's own fixtures; what it can judge is judged."""
    mini.write(ingress__marked=MARKED, ingress__whole=MARKED.partition("@pytest.mark")[0] + FILE).run()

    assert mini.outcomes == {"test_judged": "held", "test_lacking": "skipped", "test_of_a_marked_file": "skipped"}
    assert [test["reason"] for test in mini.results["tests"]] == ["", *["nodes: they are not ours"] * 2]
