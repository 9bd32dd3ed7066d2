"""The items that the plugin adds after each area: what they are called, what they say, when an entry's day has come."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date

import pytest

from harness.faults import catalogue
from harness.oracles import known_signs
from harness.oracles.collector import OracleCollector
from harness.oracles.signs import Sign
from harness.plugin import oracles

STACK = """
@pytest.fixture(scope="session")
def cluster():
    return type("Able", (), {"cannot_judge": {}})()

@pytest.fixture(scope="session")
def stack(cluster):
    return None

@pytest.fixture(scope="session")
def kube():
    return None

@pytest.fixture(scope="session")
def admin():
    return None

@pytest.fixture(scope="session")
def oracle_scope():
    return None
"""
TEST = '''
def test_a(stack, kube):
    """A."""
'''
PANIC = Sign("panic", "istiod istio-system/istiod-1", "panic: x")
CHURN = Sign("churn", "Envoy default/waypoint-1", "2 and then 3 more pushes")


@pytest.fixture
def signs(monkeypatch) -> Callable[..., None]:
    """`signs(*found)`: what every area's last look brings, instead of a cluster's."""

    def found(*signs: Sign, unread: bool = False, elsewhere: tuple[Sign, ...] = ()) -> None:
        class Played(OracleCollector):
            def __init__(self, *_):
                pass

            def collect(self):
                pass

            def finish_area(self):
                return signs

            def take_foreign_signs(self):
                return elsewhere

            def take_unreadable_logs(self):
                return ("log of ztunnel: 12 lines",) if unread else ()

        monkeypatch.setattr(oracles, "OracleCollector", Played)

    return found


def stood(mini, **files: str):
    """The small suite with what stands for the stack."""
    mini.write(**files)
    (mini.root / "suites" / "conftest.py").write_text("import pytest\n" + STACK)
    return mini


def test_each_area_has_its_oracle_behind_its_tests(mini, signs):
    """By an id that the catalogue of faults knows; an area without the stack has none."""
    signs()
    stood(mini, ingress__a=TEST, waypoint__a=TEST, pure__a="def test_a():\n    pass\n").run()

    ids = [test["id"] for test in mini.results["tests"]]
    assert ids == [
        "suites/ingress/test_a.py::test_a",
        "suites/ingress::oracles",
        "suites/pure/test_a.py::test_a",
        "suites/waypoint/test_a.py::test_a",
        "suites/waypoint::oracles",
    ]
    assert [id for id in ids if catalogue.is_oracle(id)] == ["suites/ingress::oracles", "suites/waypoint::oracles"]


def test_signs_that_nobody_expected_fail_the_area(mini, signs):
    """The first line says how many and which is the first; the table shows that line."""
    signs(PANIC, CHURN)
    result = stood(mini, ingress__a=TEST).run()

    assert result.ret == 1
    (found,) = [test for test in mini.results["tests"] if catalogue.is_oracle(test["id"])]
    assert found["outcome"] == "broken"
    first, *others = found["reason"].splitlines()
    assert first == f"AssertionError: 2 not expected: {PANIC}"
    assert others == [f"  {CHURN}"]
    result.stdout.fnmatch_lines([f"    AssertionError: 2 not expected: {PANIC}"])


def test_command_to_run_again_runs_the_oracles(mini, signs):
    """What the failure of an area's oracles says to type selects them again, with the tests of their area."""
    signs(PANIC)
    stood(mini, ingress__a=TEST, waypoint__a=TEST).run()
    text = (mini.folder / "artifacts" / "ingress" / "oracles" / "failure.txt").read_text()
    command = re.search(r"make e2e T=(\S+) CLUSTER=emulated KEEP=always", text)
    assert command is not None

    mini.run(command[1])

    ids = [test["id"] for test in mini.results["tests"]]
    assert ids == ["suites/ingress/test_a.py::test_a", "suites/ingress::oracles"]


def test_nothing_found_in_logs_that_cannot_be_read_is_inconclusive(mini, signs):
    """A log of another format would hold nothing that looks wrong."""
    signs(unread=True)
    stood(mini, ingress__a=TEST).run()

    (found,) = [test for test in mini.results["tests"] if catalogue.is_oracle(test["id"])]
    assert (found["outcome"], found["reason"]) == (
        "inconclusive",
        "harness.errors.Inconclusive: log of ztunnel: 12 lines",
    )


def test_entry_whose_day_has_come_is_reported_once_a_run(mini, signs, monkeypatch):
    """In a note of the summary, though two areas were judged; neither fails for it, and the sign is excused."""
    signs(PANIC)
    files = ("suites/ingress/test_a.py", "suites/waypoint/test_a.py")
    entry = known_signs.KnownSign("old", re.compile("panic"), (), files, date(2020, 1, 1), "reason", "docs/x.md")
    monkeypatch.setattr(known_signs, "read_known_signs", lambda: (entry,))
    result = stood(mini, ingress__a=TEST, waypoint__a=TEST).run()

    message = "known sign old was to be looked at again by 2020-01-01: docs/x.md"
    assert result.ret == 0
    assert mini.results["notes"] == [message]
    assert result.stdout.str().count(message) == 1


def test_oracles_are_off_when_asked_to_be(mini, signs, monkeypatch):
    """Then there is no such item."""
    signs(PANIC)
    monkeypatch.setenv("E2E_ORACLES", "off")
    stood(mini, ingress__a=TEST).run()

    assert mini.outcomes == {"test_a": "held"}


def test_signs_of_others_judge_nothing(mini, signs):
    """The area holds; its evidence lists them."""
    signs(elsewhere=(CHURN,))
    result = stood(mini, ingress__a=TEST).run()

    (found,) = [test for test in mini.results["tests"] if catalogue.is_oracle(test["id"])]
    assert (result.ret, found["outcome"]) == (0, "held")
    assert "elsewhere, not judged" in str(found)


def test_signs_of_others_are_shown_with_a_failure_of_ours(mini, signs):
    """They may be why; they are not counted."""
    signs(PANIC, elsewhere=(CHURN,))
    stood(mini, ingress__a=TEST).run()

    (found,) = [test for test in mini.results["tests"] if catalogue.is_oracle(test["id"])]
    assert found["reason"].splitlines() == [
        f"AssertionError: 1 not expected: {PANIC}",
        f"  elsewhere, not judged (it may be why): {CHURN}",
    ]


SKIPPED = '''
@pytest.mark.skip(reason="not here")
def test_a(stack, kube):
    """A."""
'''


@pytest.mark.parametrize(("found", "outcome"), [((), "skipped"), ((PANIC,), "broken")])
def test_area_of_which_nothing_was_run_is_not_held(mini, signs, found, outcome):
    """Nothing was looked for there; a sign that is there all the same is reported."""
    signs(*found)
    stood(mini, earlier__a=TEST, ingress__a=SKIPPED).run()

    (last,) = [test for test in mini.results["tests"] if test["id"] == "suites/ingress::oracles"]
    assert last["outcome"] == outcome


LACKING = '''
@pytest.fixture(scope="session")
def cluster():
    return type("Lacking", (), {"cannot_judge": {"nodes": "they are not ours"}})()

@pytest.fixture(scope="session")
def stack(cluster):
    assert 0, "nothing is set up for it"

@pytest.mark.needs("nodes")
def test_a(stack, kube):
    """A."""
'''


def test_nothing_is_watched_for_a_test_that_the_cluster_cannot_judge(mini, signs):
    """It is skipped before the oracles ask for the stack."""
    signs()
    stood(mini, ingress__a=LACKING).run()

    assert mini.outcomes == {"test_a": "skipped", "oracles": "skipped"}
