"""The mark `feature`: where a test is in the support table, and when it is skipped."""

from __future__ import annotations

import pytest

MARKED = '''
@pytest.fixture(scope="session")
def version_set():
    return type("Set", (), {"envoy_gateway": "1.7.5"})()

@pytest.fixture(params=["ingress", "waypoint"])
def place(request):
    return request.param

@pytest.mark.feature("Limit")
def test_both(place):
    """A limit holds."""

@pytest.mark.feature("Route", place="waypoint", means="ignored", before="1.8")
def test_one():
    """A route is ignored."""

@pytest.mark.feature("Route", place="waypoint", since="1.8")
def test_later():
    """A route works."""

@pytest.mark.feature("Route", place="waypoint", before="1.7")
def test_earlier():
    """A route worked."""
'''


def test_cells_are_in_the_results(mini):
    """Each case has its feature, place and meaning; what another version has is skipped with its reason."""
    mini.write(limits__marked=MARKED).run()

    found = {
        test["id"].rpartition("::")[2]: (test["feature"], test["place"], test["means"], test["outcome"])
        for test in mini.results["tests"]
    }
    assert found == {
        "test_both[ingress]": ("Limit", "ingress", "held", "held"),
        "test_both[waypoint]": ("Limit", "waypoint", "held", "held"),
        "test_one": ("Route", "waypoint", "ignored", "held"),
        "test_later": ("Route", "waypoint", "held", "skipped"),
        "test_earlier": ("Route", "waypoint", "held", "skipped"),
    }
    reasons = {test["reason"] for test in mini.results["tests"] if test["outcome"] == "skipped"}
    assert reasons == {
        "not offered by Envoy Gateway 1.7.5: since 1.8",
        "another test has this cell: this one is about Envoy Gateway before 1.7",
    }


@pytest.mark.parametrize(
    ("mark", "expected"),
    [
        ('"Limit"', "feature 'Limit', place ''"),
        ('"Limit", place="ingress", means="perhaps"', "means 'perhaps'"),
        ('"Limit", place="ingress", sinc="1.8"', "unexpected keyword argument 'sinc'"),
    ],
)
def test_incomplete_mark_is_rejected(mini, mark, expected):
    """A mark without a place, or with a word that nobody knows, is bad input: it names the test."""
    result = mini.write(limits__marked=f'@pytest.mark.feature({mark})\ndef test_a():\n    """A."""\n').run()

    text = result.stdout.str() + result.stderr.str()
    assert result.ret == 2
    assert "suites/limits/test_marked.py::test_a" in text
    assert expected in text
