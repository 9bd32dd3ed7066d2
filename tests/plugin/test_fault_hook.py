"""A fault in a run: planted when its fixture stands, undone before that goes, and reported in fault.json."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from harness.faults.catalogue import Fault
from harness.plugin import fault_hook
from harness.waits import responses
from tests.plugin.conftest import Mini

STACK = """
class Manifests:
    def __init__(self):
        self.on_applied = []
    def apply(self, name):
        order(f"{name} applied")
        for notify in self.on_applied:
            notify(name)

@pytest.fixture(scope="session")
def kube(cluster):
    return "kube"

@pytest.fixture(scope="session")
def manifests(kube, stack):
    return Manifests()

@pytest.fixture(scope="session")
def stack(cluster):
    order("stack up")
    yield
    order("stack down")

@pytest.fixture(scope="module")
def proxy(stack):
    order("proxy up")
    yield
    order("proxy down")
"""
TESTS = '''
def test_one(proxy, manifests):
    """A claim."""
    manifests.apply("a/b.yaml")
    assert 1 == 2

def test_two(proxy):
    """Another."""
'''
LEAST = {
    "broken": "It is broken.",
    "field": "By somebody.",
    "caught_by": ["a"],
    "says": "b",
    "plant": [{"delete": {"object": "Node/a"}}],
}


class Planter:
    """Only says what it is reported to do."""

    fails = ""

    def __init__(self, fault: Fault, _settings: Any, cluster: Any, kube: Any, manifests: Any) -> None:
        assert (cluster, kube, type(manifests).__name__) == ("cluster", "kube", "Manifests")

    def plant(self) -> None:
        self._do("planted")

    def undo(self) -> None:
        self._do("undone")

    def _do(self, what: str) -> None:
        with open("order.txt", "a") as file:  # noqa: PTH123  # where the small suite writes, too
            file.write(f"{what}\n")
        if self.fails == what:
            raise RuntimeError(f"not {what}")


@pytest.fixture
def run(mini: Mini, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`run(after=...)`: the small suite under a fault; what happened in order, and what fault.json says."""
    monkeypatch.setattr(fault_hook, "Planter", Planter)
    monkeypatch.setattr(Planter, "fails", "")
    (mini.root / "suites" / "conftest.py").open("a").write(STACK)

    def go(tests: str = TESTS, **fault: Any) -> tuple[list[str], dict[str, Any]]:
        mini.write(a__one=tests)
        file = mini.root / "one.yaml"
        file.write_text(yaml.safe_dump(LEAST | fault))
        monkeypatch.setenv("E2E_FAULT", str(file))
        mini.run()
        return [line for line in mini.order if "gathered" not in line], json.loads(
            (mini.folder / "fault.json").read_text()
        )

    return go


def test_planted_while_its_fixture_stands(run: Any) -> None:
    """After the fixture's set-up, and undone before its teardown."""
    order, record = run(after="proxy")

    assert order[:3] == ["stack up", "proxy up", "planted"]
    assert order[-4:-1] == ["undone", "proxy down", "stack down"]
    assert (record["planted"], record["undone"], record["trouble"]) == (1, True, "")


def test_stack_is_the_usual_one(run: Any) -> None:
    """Without a word, the fault is planted as soon as the stack stands."""
    order, _ = run()

    assert order[:3] == ["stack up", "planted", "proxy up"]
    assert order[-3:-1] == ["undone", "stack down"]


def test_planted_around_each_test(run: Any) -> None:
    """With `after: test` each test's own code is met by it, and nothing else is."""
    order, record = run(after="test")

    assert order[:4] == ["stack up", "proxy up", "planted", "a/b.yaml applied"]
    assert order[4:7] == ["undone", "planted", "undone"]
    assert record["planted"] == 2


def test_planted_once_a_manifest_is_applied(run: Any) -> None:
    """It stays to the end of the stack: what it breaks may be the taking away."""
    order, _ = run(after="a/b.yaml")

    assert order[2:4] == ["a/b.yaml applied", "planted"]
    assert order[-4:-1] == ["proxy down", "undone", "stack down"]


@pytest.mark.parametrize(
    ("when", "around"),
    [
        ({"after": "harness.waits.responses.wait_for_response"}, ["reached", "planted", "reached"]),
        ({"after": "harness.waits.responses.wait_for_response#2"}, ["reached", "reached", "planted"]),
        ({"until": "harness.waits.responses.wait_for_response#2"}, ["reached", "undone", "reached"]),
    ],
)
def test_planted_around_calls_of_the_harness(
    run: Any, monkeypatch: pytest.MonkeyPatch, when: dict[str, str], around: list[str]
) -> None:
    """After a call, or until one: within a fixture that makes a whole experiment. At the end it is undone anyway."""
    original = responses.wait_for_response

    def reached() -> None:
        with open("order.txt", "a") as file:  # noqa: PTH123  # where the small suite writes, too
            file.write("reached\n")

    monkeypatch.setattr(responses, "wait_for_response", reached)
    reach = "    responses.wait_for_response()\n"
    calls = f"from harness.waits import responses\ndef test_calls(proxy):\n{reach}{reach}"

    order, record = run(tests=calls, **when)

    first = order.index("reached")
    assert order[first : first + 3] == around
    assert order[-3:-1] == ["undone", "stack down"]
    assert (record["planted"], record["trouble"]) == (1, "")
    assert responses.wait_for_response is reached is not original


def test_planted_within_a_fixture_it_is_undone_with_that_fixture(run: Any) -> None:
    """Before what the fixture relies on is taken away: a label put back after that would stay for good."""
    tests = """
@pytest.fixture(scope="module")
def experiment(proxy, manifests):
    manifests.apply("a/b.yaml")
    yield
    order("experiment down")

def test_one(experiment):
    '''A claim.'''
"""
    order, record = run(tests=f"import pytest\nfrom suites.conftest import order\n{tests}", after="a/b.yaml")

    planted = order.index("planted")
    assert order[planted : planted + 4] == ["planted", "experiment down", "undone", "proxy down"]
    assert record["undone"] is True


def test_struck_lines_are_reported(run: Any) -> None:
    """Where each test failed, by the line of its own file."""
    _, record = run()

    (struck,) = record["struck"]
    assert (struck["id"], struck["file"]) == ("suites/a/test_one.py::test_one", "suites/a/test_one.py")
    assert struck["line"] == TESTS.splitlines().index("    assert 1 == 2") + 1 + 3


@pytest.mark.parametrize(("fails", "trouble"), [("planted", "not planted"), ("undone", "not undone: ")])
def test_trouble_with_the_planting_is_reported_apart(
    run: Any, monkeypatch: pytest.MonkeyPatch, fails: str, trouble: str
) -> None:
    """A fault that could not be planted, or not be taken back, is no catch: it is reported what went wrong."""
    monkeypatch.setattr(Planter, "fails", fails)

    _, record = run()

    assert trouble in record["trouble"]
    assert record["planted"] == (fails == "undone")
    assert record["undone"] is (fails == "planted")


def test_fixture_that_never_stood_plants_nothing(run: Any) -> None:
    """Its name may be wrong: nothing was planted, and that is what is reported."""
    _, record = run(after="nobody")

    assert record["planted"] == 0


def test_wrong_file_ends_the_run(mini: Mini, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is run under a fault that cannot be read."""
    monkeypatch.setenv("E2E_FAULT", str(mini.root / "nowhere.yaml"))

    refused = mini.refused()

    assert "nowhere.yaml" in str(refused)


def test_fault_of_another_cluster_ends_the_run(mini: Mini, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would plant nothing there, and every test would seem to hold against it; nothing is run."""
    file = mini.root / "one.yaml"
    file.write_text(yaml.safe_dump(LEAST | {"on": ["emulated"]}))
    monkeypatch.setenv("E2E_FAULT", str(file))

    assert "fault one cannot be planted on a kind cluster" in str(mini.refused(cluster="kind"))
