"""Who is a witness of what: a shared experiment's are those of every test that judges it."""

from __future__ import annotations

import json

from harness.observations import Sighting
from harness.plugin.artifacts import raw_material

EXPERIMENT = '''
@pytest.fixture(scope="module")
def arms(cluster):
    observations.record_sighting("client", "200 x 3")
    observations.record_sighting("access log", "3 lines")
    observations.record_seconds("enforced", 1.5)
    return "arms"

@pytest.fixture(scope="module")
def counted(arms):
    observations.record_sighting("counters", "moved by 3")

@pytest.fixture
def judged(arms):
    observations.record_sighting("config_dump", "read again")

def test_first(arms):
    """It is the first to ask."""

def test_second(arms):
    """It sees more of its own."""
    observations.record_sighting("log", "a line")

def test_through_others(counted, judged):
    """It asks for what others ask for."""

def test_alone(cluster):
    """It judges nothing of it."""
'''


def witnesses(mini) -> dict[str, list[str]]:
    """Of each test by its name."""
    return {test["id"].partition("::")[2]: test["witnesses"] for test in mini.results["tests"]}


def test_all_that_judge_an_experiment_have_its_witnesses(mini):
    """Directly or through other fixtures, in the order of time; who does not use it has none of them."""
    mini.write(ingress__shared=EXPERIMENT).run()

    assert witnesses(mini) == {
        "test_first": ["client", "access log"],
        "test_second": ["client", "access log", "log"],
        "test_through_others": ["client", "access log", "counters", "config_dump"],
        "test_alone": [],
    }


def test_a_late_test_has_them_in_every_report(mini):
    """In its folder and in Allure, though another test made them; what was measured counts once."""
    mini.write(ingress__shared=EXPERIMENT).run()
    found = [json.loads(file.read_text()) for file in (mini.folder / "allure-results").glob("*-result.json")]
    second = next(one for one in found if one["name"] == "It sees more of its own.")

    assert "access log  3 lines" in (mini.folder / "artifacts/ingress/test_second/witnesses.txt").read_text()
    assert [one["name"] for one in second["attachments"]] == ["witnesses.txt"]
    assert [(one["name"], one["n"]) for one in mini.results["times"]] == [("cluster up", 1), ("enforced", 1)]


def test_what_the_stack_saw_is_nobodys(mini):
    """A session fixture's word is the session's, also where an experiment is built on it and asks for it first."""
    text = '''
@pytest.fixture(scope="session")
def stack(cluster):
    observations.record_sighting("istiod", "ready")

@pytest.fixture(scope="module", autouse=True)
def bound(request):
    request.getfixturevalue("stack")
    observations.record_sighting("client", "200")

def test_a():
    """A."""

def test_b(stack):
    """B."""
'''
    mini.write(ingress__stack=text).run()

    assert witnesses(mini) == {"test_a": ["client"], "test_b": ["client"]}
    assert "istiod  ready" in (mini.folder / "setup" / "witnesses.txt").read_text()


def test_an_experiment_made_anew_has_its_own(mini):
    """With other parameters, in another class, in another file: what stood before is no witness any more."""
    text = '''
@pytest.fixture(scope="module", params=["patch", "listener"])
def form(cluster, request):
    observations.record_sighting(request.param, "200")

@pytest.fixture(scope="class")
def kind(cluster, request):
    observations.record_sighting(request.cls.__name__, "200")

def test_one(form):
    """One."""

def test_two(form):
    """Two."""

class TestA:
    def test_of_a(self, kind):
        """Of A."""

class TestB:
    def test_of_b(self, kind):
        """Of B."""

    def test_of_b_too(self, kind):
        """Of B as well."""
'''
    other = '''
@pytest.fixture(scope="module")
def form(cluster):
    observations.record_sighting("other", "200")

def test_other(form):
    """Other."""
'''
    mini.write(ingress__a=text, ingress__b=other).run()

    assert witnesses(mini) == {
        "test_one[patch]": ["patch"],
        "test_one[listener]": ["listener"],
        "test_two[patch]": ["patch"],
        "test_two[listener]": ["listener"],
        "TestA::test_of_a": ["TestA"],
        "TestB::test_of_b": ["TestB"],
        "TestB::test_of_b_too": ["TestB"],
        "test_other": ["other"],
    }


def test_an_experiment_that_fails_is_witnessed_to_the_end(mini):
    """pytest raises its error again for every test; each says what had been seen by then."""
    text = '''
@pytest.fixture(scope="module")
def arms(cluster):
    observations.record_sighting("client", "404")
    raise NotReady("Envoy enforces it", within=3, tries=4, last_seen="[404]")

def test_a(arms):
    """A."""

def test_b(arms):
    """B."""
'''
    mini.write(ingress__fails=text).run()

    assert mini.outcomes == {"test_a": "error", "test_b": "error"}
    assert witnesses(mini) == {"test_a": ["client"], "test_b": ["client"]}


REQUESTS = '''
@pytest.fixture(scope="module")
def sent(cluster):
    observations.record_sighting("client", "<2 answers>", of=["1", "2"])

def test_alone(sent):
    """One witness."""

def test_joined(sent):
    """Two witnesses."""
    observations.record_sighting("access log", "2 lines", of=["1", "2"])

def test_beside(sent):
    """One witness, and what another saw of other requests."""
    observations.record_sighting("counters", "stand at 7")

@pytest.mark.one_witness("nobody else can see it")
def test_allowed(sent):
    """One witness, and why."""

def test_broken(sent):
    """One witness, and broken."""
    assert 0
'''


def test_claim_about_traffic_with_one_witness_is_inconclusive(mini):
    """Whatever it asserts; one that is broken stays broken."""
    mini.write(ingress__shared=REQUESTS).run()

    assert mini.outcomes == {
        "test_alone": "inconclusive",
        "test_joined": "held",
        "test_beside": "inconclusive",
        "test_allowed": "held",
        "test_broken": "broken",
    }
    tests = {test["id"].partition("::")[2]: test for test in mini.results["tests"]}
    assert "2 of 2 requests have one witness (client)" in tests["test_alone"]["reason"]
    assert tests["test_joined"]["witnesses"] == ["client", "access log"]
    assert {test["kind"] for test in tests.values()} == {"traffic"}


RAW = '''
@pytest.fixture(scope="module")
def sent(cluster):
    observations.record_sighting("client", "<1 answers>", of=["1"], raw=['{"id": "1", "status": 200}'])

def test_held(sent):
    """A held claim."""
    observations.record_sighting("access log", "a line", of=["1"], raw=['{"authorization": "Bearer abcdef123456"}'])
'''


def test_raw_material_of_a_held_claim_is_kept(mini):
    """As received, in the order of time, that of a shared experiment as well, without secrets."""
    mini.write(ingress__raw=RAW).run()
    kept = (mini.folder / "artifacts/ingress/test_held/observations.jsonl").read_text()

    client, log = map(json.loads, kept.splitlines())
    assert (client["who"], client["of"], json.loads(client["raw"][0])["status"]) == ("client", ["1"], 200)
    assert (log["who"], log["probe"]) == ("access log", False)
    assert "abcdef123456" not in kept


def test_material_is_bounded_and_says_what_is_left_out():
    """Whole observations, up to the limit."""
    many = [Sighting("log", "x" * 90, n) for n in range(10)]

    *kept, last = map(json.loads, raw_material(many, limit=600).splitlines())

    assert last == {"cut": 10 - len(kept)}
    assert 0 < len(kept) < 10
