"""A run of a small suite: verdicts, evidence, JUnit, Allure, and what is reported."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import yaml

EACH = '''
def test_held(cluster):
    """A held claim."""
    observations.record_sighting("client", "200")
    observations.record_sighting("access log", "RL")
    observations.record_seconds("Accepted to enforced", 1.5, of="policy")
    observations.attach("policy.yaml", "kind: Policy\\n")

def test_broken(cluster):
    """A broken claim."""
    observations.record_sighting("client", "200 instead")
    assert [200, 200] == [200, 429]

def test_waited(cluster):
    """A claim that never came true."""
    raise NotReady("Envoy enforces it", within=3, tries=4, last_seen="[200]")

def test_terminal(cluster):
    """A claim that cannot come true."""
    raise Terminal("it is Accepted", after=1, seen="Invalid")

def test_unjudged(cluster):
    """A claim without a witness."""
    raise Inconclusive("no ztunnel line for 127.0.0.1:1234")

def test_nobody_answered(cluster):
    """A claim that nobody could be asked about."""
    raise NotObserved("Envoy enforces it", within=3, tries=4, last_seen="503")

@pytest.fixture
def unobserved(cluster):
    raise NotObserved("the stack is ready", within=3, tries=4, last_seen="503")

def test_nobody_answered_in_setup(unobserved):
    """A claim whose set-up nobody answered."""

def test_limiter_down(cluster):
    """A claim about a limit."""
    raise SetupFailed("the rate limit service is down", remedy="scale it up")

def test_command(cluster):
    """A claim by a program."""
    raise CommandFailed(["kubectl", "get"], 1, "boom")

def test_bug(cluster):
    """A claim and a bug."""
    {}["gone"]

def test_skipped(cluster):
    """A claim out of reach."""
    pytest.skip("emulated: no kernel")

@pytest.mark.xfail(reason="istio#1", strict=True)
def test_expected(cluster):
    """A known fault."""
    assert 0

def test_gave_up(cluster):
    """A claim out of time."""
    pytest.fail("Timeout (>1.0s) from pytest-timeout.")
'''


def test_each_way_to_end_has_its_outcome(mini):
    """Only what was seen to hold is held; a broken cluster, a bug and a missing witness are no failed claim."""
    result = mini.write(ingress__all=EACH).run()

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert mini.outcomes == {
        "test_held": "held",
        "test_broken": "broken",
        "test_waited": "broken",
        "test_terminal": "broken",
        "test_unjudged": "inconclusive",
        "test_nobody_answered": "inconclusive",
        "test_nobody_answered_in_setup": "error",
        "test_limiter_down": "error",
        "test_command": "error",
        "test_bug": "error",
        "test_skipped": "skipped",
        "test_expected": "skipped",
        "test_gave_up": "inconclusive",
    }
    tests = {test["id"].partition("::")[2]: test for test in mini.results["tests"]}
    assert tests["test_held"]["claim"] == "A held claim."
    assert tests["test_held"]["area"] == "ingress"
    assert tests["test_held"]["witnesses"] == ["client", "access log"]
    assert tests["test_held"]["figures"] == [{"name": "Accepted to enforced", "seconds": 1.5, "of": "policy"}]
    assert tests["test_skipped"]["reason"] == "emulated: no kernel"
    assert tests["test_expected"]["reason"] == "expected to fail: istio#1"
    assert mini.results["counts"]["held"] == 1
    assert mini.results["exit"] == 1
    assert mini.results["cluster"] == {"kind": "emulated", "name": "mesh-e2e", "conformance": False}
    assert mini.results["versions"]["istio"] == "1.29.99"
    assert mini.results["stages"][0]["name"] == "cluster"
    out = result.stdout.str()
    assert "3 inconclusive" in out
    assert "cluster: emulated (EMULATED: not conformance)" in out
    assert (mini.folder / "summary.txt").read_text().startswith("cluster: emulated (EMULATED: not conformance)")


def test_the_setup_page_is_not_the_first_tests(mini):
    """What a session fixture sees and measures belongs to the session."""
    mini.write(
        ingress__one='def test_a(cluster):\n    """A."""\n    observations.record_sighting("client", "200")\n'
    ).run()

    assert mini.results["tests"][0]["witnesses"] == ["client"]
    assert mini.results["tests"][0]["figures"] == []
    assert mini.results["times"][0]["name"] == "cluster up"
    assert "nodes ready" in (mini.folder / "setup" / "witnesses.txt").read_text()
    assert "cluster" in (mini.folder / "setup" / "stages.txt").read_text()


def test_a_failure_reads_claim_first_and_ends_with_the_command_to_run_it_again(mini):
    """Claim, found, witnesses, versions, evidence, again: in this order, on the terminal and in the folder."""
    result = mini.write(ingress__all=EACH).run("suites/ingress/test_all.py::test_broken")

    result.stdout.fnmatch_lines(
        [
            "  A broken claim.",
            "  assert [[]200, 200[]] == [[]200, 429[]]",
            "    At index 1 diff: 200 != 429",
            "  at suites/ingress/test_all.py:15",
            "---- witnesses ----",
            "  *client  200 instead",
            "---- versions ----",
            "  cluster emulated (EMULATED: not conformance)*istio 1.29.99*",
            "---- evidence ----",
            "  runs/*-emulated-*/artifacts/ingress/test_broken/",
            "---- again ----",
            "  make e2e T=suites/ingress/test_all.py::test_broken CLUSTER=emulated KEEP=always",
        ],
        consecutive=True,
    )
    kept = (mini.folder / "artifacts" / "ingress" / "test_broken" / "failure.txt").read_text()
    assert kept.startswith("  A broken claim.\n")
    assert "Traceback" in kept


def test_a_bug_is_shown_with_its_traceback_and_a_known_error_without(mini):
    """A reader of KeyError needs the code; a reader of NotReady needs its sentence."""
    result = mini.write(ingress__all=EACH).run("suites", "-k", "bug or waited")

    assert result.stdout.str().count("---- traceback ----") == 1
    result.stdout.fnmatch_lines(["*ERROR at call of test_bug*", "*KeyError: 'gone'*"])


def test_diagnostics_are_gathered_before_any_undoing(mini):
    """The gatherer runs while the policy still stands, for a failed setup as well as for a failed call."""
    text = '''
@pytest.fixture
def half(policy):
    raise SetupFailed("half of it")

def test_a(policy):
    """A."""
    assert 0

def test_b(half):
    """B."""
'''
    mini.write(ingress__order=text).run()

    assert [line.partition(":")[0] for line in mini.order] == [
        "gathered artifacts/ingress/test_a/diagnostics",
        "policy undone",
        "gathered artifacts/ingress/test_b/diagnostics",
        "policy undone",
        "cluster undone, failed=True",
    ]
    assert "failed in call: assert 0" in mini.order[0]
    assert "failed in setup: half of it" in mini.order[2]
    assert (mini.folder / "artifacts/ingress/test_a/diagnostics/state.txt").exists()


def test_only_the_first_failures_are_gathered_in_full(mini):
    """Three full bundles; after them the failure itself says that there is none."""
    text = "@pytest.mark.parametrize('n', range(5))\ndef test_n(cluster, n):\n    assert 0\n"
    result = mini.write(ingress__many=text).run()

    assert sum(line.startswith("gathered") for line in mini.order) == 3
    assert "no diagnostics: 3 failures of this run have them" in result.stdout.str()


def test_a_broken_session_fixture_is_reported_and_gathered_once(mini):
    """Every test that needs it is an error; the later ones name the first instead of telling it again."""
    text = '''
@pytest.fixture(scope="session")
def stack(cluster):
    raise SetupFailed("istiod: ImagePullBackOff", remedy="check the tag")

def test_a(stack):
    """A."""

def test_b(stack):
    """B."""
'''
    result = mini.write(install__stack=text).run()

    assert set(mini.outcomes.values()) == {"error"}
    assert sum(line.startswith("gathered") for line in mini.order) == 1
    result.stdout.fnmatch_lines(["*the same error as suites/install/test_stack.py::test_a: *ImagePullBackOff*"])


def test_a_fixture_that_undoes_its_own_failure_gathers_first(mini):
    """`RUN.gather(error)` keeps diagnostics that makereport would come too late for; they are not gathered twice."""
    text = '''
from harness.plugin.run import RUN

@pytest.fixture(scope="session")
def stack(cluster, pytestconfig):
    try:
        raise SetupFailed("no room")
    except SetupFailed as error:
        pytestconfig.stash[RUN].gather(error)
        raise

def test_a(stack):
    """A."""
'''
    result = mini.write(install__stack=text).run()

    assert mini.order[0] == "gathered setup/diagnostics: setup failed: no room"
    assert sum(line.startswith("gathered") for line in mini.order) == 1
    result.stdout.fnmatch_lines(["  diagnostics: runs/*/setup/diagnostics/"])


def test_a_gatherer_that_fails_is_a_note(mini):
    """It hides neither the failure nor the other tests."""
    text = """
from harness.plugin.artifacts import GATHERER

def test_a(cluster, pytestconfig):
    def gather(into, why):
        raise OSError("the API is gone")
    pytestconfig.stash[GATHERER] = gather
    assert 0, "the claim"

def test_b(cluster):
    pass
"""
    result = mini.write(ingress__note=text).run()

    assert mini.outcomes == {"test_a": "broken", "test_b": "held"}
    assert mini.results["notes"] == ["gathering diagnostics failed: OSError: the API is gone"]
    result.stdout.fnmatch_lines(["note: gathering diagnostics failed: OSError: the API is gone"])


def test_a_teardown_that_fails_is_reported_apart_from_the_claim(mini):
    """The claim was judged before; the run is red all the same."""
    text = '''
@pytest.fixture
def undone(cluster):
    yield
    raise RuntimeError("cannot undo")

def test_a(undone):
    """A."""
'''
    result = mini.write(ingress__undo=text).run()

    assert result.ret == 1
    assert [(test["claim"], test["outcome"]) for test in mini.results["tests"]] == [
        ("A.", "held"),
        ("teardown after: A.", "error"),
    ]


def test_a_file_that_cannot_be_collected_is_an_error(mini):
    """It stands in the table, so that a typo never shrinks the suite silently."""
    mini.write(ingress__typo="import nothing_of_this_name\n", ingress__ok="def test_a():\n    pass\n")
    result = mini.run("suites", "--continue-on-collection-errors")

    assert result.ret == 1
    assert mini.results["counts"] | {"held": 1, "error": 1} == mini.results["counts"]


def test_junit_carries_claim_outcome_witnesses_and_versions(mini):
    """Per test and for the suite; an inconclusive claim is a failure there."""
    mini.write(ingress__all=EACH).run()
    suite = ET.parse(mini.folder / "junit.xml").getroot()[0]

    def properties(node: ET.Element) -> list[tuple[str, str]]:
        return [(p.attrib["name"], p.attrib["value"]) for p in node.findall("./properties/property")]

    whole = dict(properties(suite))
    assert whole["cluster"] == "emulated (EMULATED: not conformance)"
    assert whole["istio"] == "1.29.99"
    assert whole["fact runner"] == "two cores"
    cases = {case.attrib["name"]: case for case in suite.iter("testcase")}
    held = properties(cases["test_held"])
    assert ("claim", "A held claim.") in held
    assert ("outcome", "held") in held
    assert [value for name, value in held if name == "witness"] == ["client", "access log"]
    assert ("seconds: Accepted to enforced", "1.500") in held
    assert ("outcome", "inconclusive") in properties(cases["test_unjudged"])
    failure = cases["test_unjudged"].find("failure")
    assert failure is not None
    assert "A claim without a witness." in (failure.text or "")


def test_allure_shows_the_claim_the_area_the_versions_and_the_attachments(mini):
    """With environment, categories, and each stage of a test as a step."""
    text = (
        EACH
        + '''
def test_steps(cluster):
    """A claim in steps."""
    from harness import progress
    with progress.stage("the first step"):
        pass
'''
    )
    mini.write(ingress__all=text).run()
    where = mini.folder / "allure-results"
    found = [json.loads(file.read_text()) for file in where.glob("*-result.json")]
    results = {one["name"]: one for one in found}

    held = results["A held claim."]
    assert {"name": "suite", "value": "ingress"} in held["labels"]
    assert {"name": "istio", "value": "'1.29.99'"} in held["parameters"]
    assert [one["name"] for one in held["attachments"]] == ["policy.yaml", "witnesses.txt"]
    assert results["A broken claim."]["statusDetails"]["trace"].startswith("A broken claim.")
    assert [step["name"] for step in results["A claim in steps."]["steps"]] == ["the first step"]
    environment = (where / "environment.properties").read_text()
    assert "cluster=emulated (EMULATED: not conformance)\n" in environment
    assert "istio=1.29.99\n" in environment
    assert len(json.loads((where / "categories.json").read_text())) == 6


def test_allure_keeps_the_history_of_earlier_runs(mini):
    """The third run has the results of the first two, and their totals; another version set starts anew."""
    mini.write(ingress__one='def test_a(cluster):\n    """A claim."""\n')
    mini.run()
    mini.write(ingress__one='def test_a(cluster):\n    """A claim."""\n    assert [200] == [429]\n').run()
    mini.run()
    where = mini.folder / "allure-results"
    result = json.loads(next(where.glob("*-result.json")).read_text())
    tests = json.loads((where / "history/history.json").read_text())
    totals = json.loads((where / "history/history-trend.json").read_text())

    assert [one["status"] for one in tests[result["historyId"]]["items"]] == ["failed", "passed"]
    assert [(one["buildOrder"], one["data"]["passed"], one["data"]["failed"]) for one in totals] == [
        (2, 0, 1),
        (1, 1, 0),
    ]


OBSERVES = """
def test_a(cluster, pytestconfig):
    from harness.plugin.run import RUN
    pytestconfig.stash[RUN].observed.update({observed!r})
"""
ALL_SEEN = {"kubernetes": "1.33.1", "istio": "1.28.3", "envoy-gateway": "1.9.0", "gateway-api": "1.6.1 experimental"}


@pytest.mark.parametrize(("cluster", "expected"), [("kind", "1.20.3 (asked for)"), ("existing", "unknown")])
def test_versions_are_those_observed(mini, monkeypatch, cluster, expected):
    """Not those of the set: they are reported as what they are, and of somebody's cluster nothing."""
    if cluster == "existing":
        monkeypatch.setenv("E2E_CONTEXT", "theirs")
    mini.write(ingress__one=OBSERVES.format(observed=ALL_SEEN)).run("suites", cluster=cluster)

    assert mini.results["versions"] | ALL_SEEN | {"istio": "1.29.99"} == mini.results["versions"]
    assert mini.results["versions"]["bookinfo"] == expected


def test_a_version_that_the_harness_does_not_know_is_a_note(mini):
    """What differs by version is then that of the nearest one, and a reader of the report is to know."""
    known = {"istio": "1.29.1", "envoy-gateway": "1.9.0"}
    for versions, noted in ((known, []), (known | {"istio": "1.99.0"}, ["Istio 1.99.0"])):
        mini.write(ingress__one=OBSERVES.format(observed=versions)).run("suites", cluster="kind")
        assert [note.partition(" is outside")[0] for note in mini.results["notes"]] == noted


def test_conformance_speaks_of_what_was_observed(mini):
    """Whatever the set says."""
    mini.write(ingress__one=OBSERVES.format(observed=ALL_SEEN))
    result = mini.run("suites", "--conformance", cluster="kind")

    assert result.ret == 0
    found = yaml.safe_load((mini.folder / "conformance.yaml").read_text())
    assert found["versions"]["envoy-gateway"] == "1.9.0"
    assert found["gatewayAPIVersion"] == "v1.6.1"


def test_conformance_of_what_nobody_observed_is_not_written(mini):
    """That is reported, and the run does not end green: a file that was asked for does not exist."""
    mini.write(ingress__one=OBSERVES.format(observed=ALL_SEEN | {"envoy-gateway": "unknown"}))
    result = mini.run("suites", "--conformance", cluster="existing")

    assert result.ret != 0
    assert not (mini.folder / "conformance.yaml").exists()
    result.stdout.fnmatch_lines(["note: no conformance report: *version was not observed of: envoy-gateway unknown"])


def test_works_without_allure_and_without_pytest_kind(mini):
    """Both can be blocked; nothing else changes."""
    mini.write(ingress__one="def test_a(cluster):\n    pass\n")
    result = mini.run("suites", "-p", "no:allure_pytest", "-p", "no:pytest-kind")

    assert result.ret == 0
    assert not (mini.folder / "allure-results").exists()


def test_own_report_files_are_respected(mini):
    """--junitxml and --alluredir of the caller win over the run folder."""
    mini.write(ingress__one="def test_a(cluster):\n    pass\n")
    mini.run("suites", "--junitxml=mine.xml", "--alluredir=mine")

    assert (mini.root / "mine.xml").exists()
    assert (mini.root / "mine" / "environment.properties").exists()
    assert not (mini.folder / "junit.xml").exists()


@pytest.mark.parametrize(
    ("args", "why"),
    [
        (("suites", "-k", "nothing"), "nothing was proved: no test was collected (1 were deselected)"),
        (("suites",), "nothing was proved: all 1 collected tests were skipped"),
    ],
)
def test_an_empty_run_is_not_a_pass(mini, args, why):
    """Exit status 5 and a word why."""
    result = mini.write(ingress__none='def test_a():\n    pytest.skip("cannot be judged here")\n').run(*args)

    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    assert mini.results["exit"] == 5
    assert why in result.stdout.str()
    assert why in (mini.folder / "summary.txt").read_text()


def test_live_lines_tell_each_test_once(mini):
    """Claim, outcome, seconds; pytest's own dots are silent; what a test prints stays out of it."""
    result = mini.write(ingress__all='def test_a(cluster):\n    """Some [odd] claim."""\n    print("noise")\n').run()

    assert result.stdout.str().count("Some [odd] claim.  ") >= 1
    result.stdout.fnmatch_lines(["1/1 held    ingress: Some [[]odd[]] claim.  0.?s"])
    result.stdout.fnmatch_lines(["*cluster: done in*"])
    result.stdout.no_fnmatch_line("*[[]100%[]]*")
    result.stdout.no_fnmatch_line("*noise*")


def test_secrets_reach_neither_screen_nor_files(mini):
    """An attachment and an error that hold credentials are kept without them."""
    text = '''
def test_a(cluster):
    """A."""
    observations.attach("secret.yaml", "kind: Secret\\ndata:\\n  key: aHVudGVyMg==\\n")
    observations.record_sighting("client", "authorization: Bearer " + "hunter" + str(2))
    raise SetupFailed("login failed with token: " + "hunter" + str(2))
'''
    result = mini.write(ingress__secret=text).run()
    kept = [f for f in mini.folder.rglob("*") if f.is_file() and not f.name.endswith("-result.json")]
    leaking = [f.name for f in kept if "aHVudGVyMg" in f.read_text() or "hunter2" in f.read_text()]

    assert leaking == []
    assert "hunter2" not in result.stdout.str()


def test_the_ci_page_gets_the_table(mini, monkeypatch, tmp_path):
    """GITHUB_STEP_SUMMARY is appended to, and executor.json names the build."""
    page = tmp_path / "page.md"
    page.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(page))
    monkeypatch.setenv("GITHUB_RUN_ID", "77")
    monkeypatch.setenv("GITHUB_RUN_NUMBER", "12")
    mini.write(ingress__one='def test_a(cluster):\n    """A | claim."""\n').run()

    assert page.read_text().startswith("before\n### cluster: emulated (EMULATED: not conformance)")
    assert "| A \\| claim. | held | - |" in page.read_text()
    assert json.loads((mini.folder / "allure-results" / "executor.json").read_text())["buildOrder"] == 12


def test_what_cannot_be_written_at_the_end_is_reported(mini):
    """A summary that is lost does not end green."""
    text = """
def test_a(cluster, pytestconfig):
    from harness.plugin.run import RUN
    pytestconfig.stash[RUN].folder.results.mkdir()
"""
    result = mini.write(ingress__one=text).run()

    assert result.ret == 1
    result.stdout.fnmatch_lines(["note: cannot write *results.json: Is a directory"])


def test_a_file_that_cannot_be_read_ends_the_run_as_asked_wrong(mini):
    """Nothing was made for it."""
    result = mini.write(ingress__typo="import nothing_of_this_name\n").run()

    assert result.ret == 2
    assert mini.order == []


INTERRUPTED = """
from harness.plugin.run import RUN

@pytest.fixture(scope="session")
def stack(cluster, pytestconfig):
    try:
        raise {error}
    except BaseException as error:
        pytestconfig.stash[RUN].gather(error)
        raise

def test_a(stack):
    pass
"""


def test_an_interruption_in_a_session_fixture_is_gathered_once(mini):
    """Before that fixture undoes anything; pytest's own word of it, which comes later, adds nothing."""
    result = mini.write(install__stack=INTERRUPTED.format(error="KeyboardInterrupt")).run()

    assert result.ret == 130
    gathered = [line for line in mini.order if line.startswith("gathered")]
    assert gathered == ["gathered setup/diagnostics: setup failed: "]
    assert mini.results["why"] == "interrupted by Ctrl-C in suites/install/test_stack.py::test_a"


def test_a_second_interruption_ends_the_gathering_for_good(mini):
    """Whoever presses Ctrl-C while evidence is gathered does not want it gathered elsewhere."""
    text = """
from harness.plugin.artifacts import GATHERER

@pytest.fixture(scope="session", autouse=True)
def impatient(cluster, pytestconfig):
    def gather(into, why):
        open("order.txt", "a").write(f"gathered {into.name}\\n")
        raise KeyboardInterrupt
    pytestconfig.stash[GATHERER] = gather
"""
    mini.write(install__stack=text + INTERRUPTED.format(error="KeyboardInterrupt")).run()

    assert [line for line in mini.order if line.startswith("gathered")] == ["gathered diagnostics"]


def test_bad_input_gathers_nothing(mini):
    """Nothing was made yet: what is there, under that very name, is another run's."""
    error = 'BadInput("cluster is in use by process 7", remedy="wait")'
    result = mini.write(install__stack=INTERRUPTED.format(error=error)).run()

    assert result.ret == 2
    assert [line for line in mini.order if line.startswith("gathered")] == []
    assert not (mini.folder / "setup" / "diagnostics").exists()


def test_two_runs_have_two_folders_and_latest_is_the_newer(mini):
    """Even in the same second."""
    mini.write(ingress__one="def test_a(cluster):\n    pass\n").run()
    first = mini.folder.resolve()
    mini.run()

    assert mini.folder.resolve() != first
    assert (first / "results.json").exists()
    assert Path(mini.root / "runs" / "latest").is_symlink()


def test_verdicts_are_on_the_disk_as_they_are_reached(mini):
    """A line each, before the next test begins: what a killed run leaves."""
    text = (
        'def test_a():\n    """One."""\n'
        'def test_b(pytestconfig):\n    """Two."""\n    from harness.plugin.run import RUN\n'
        "    print('so far', pytestconfig.stash[RUN].folder.verdicts.read_text())\n    assert 1 == 2\n"
    )
    result = mini.write(ingress__one=text).run("suites", "-s")

    result.stdout.fnmatch_lines(['so far {"id": "suites/ingress/test_one.py::test_a"*"outcome": "held"*'])
    lines = [json.loads(line) for line in (mini.folder / "verdicts.jsonl").read_text().splitlines()]
    assert [(line["claim"], line["outcome"]) for line in lines] == [("One.", "held"), ("Two.", "broken")]


def test_reports_that_cannot_be_written_end_nothing(mini):
    """junit.xml, Allure's files, results and summary: noted, the table shown, fixtures undone; exit status 1."""
    mini.write(ingress__one='import errno, pathlib\ndef test_a(policy):\n    """One."""\n')
    conftest = mini.root / "suites" / "conftest.py"
    conftest.write_text(
        conftest.read_text()
        + """
@pytest.fixture(autouse=True)
def full(request, pytestconfig, monkeypatch):
    import io, errno, os
    folder = str(pytestconfig.stash[RUN].folder.path)
    real = io.open
    def full_disk(file, mode="r", *how, **kw):
        if isinstance(file, (str, os.PathLike)) and str(file).startswith(folder) and "r" not in mode:
            raise OSError(errno.ENOSPC, "No space left on device", str(file))
        return real(file, mode, *how, **kw)
    import builtins
    session = pytest.MonkeyPatch()
    session.setattr(builtins, "open", full_disk)
    session.setattr(io, "open", full_disk)
    pytestconfig.add_cleanup(session.undo)
"""
    )
    result = mini.run()

    assert result.ret == 1
    result.stdout.fnmatch_lines(["*held 1 *", "note: *No space left on device*"])
    assert "INTERNALERROR" not in result.stdout.str() + result.stderr.str()
    assert mini.order[-1].startswith("cluster undone")


CAUSES = '''
from harness.plugin.artifacts import CAUSES
from harness.errors import NotReady

@pytest.fixture
def policy(cluster, pytestconfig):
    standing = ["the policy"]
    pytestconfig.stash[CAUSES] = lambda message, seen: [f"{standing[0]} limits it ({len(seen)} seen: {message[:10]})"]
    yield
    standing.clear()

def test_a(policy):
    """A."""
    observations.record_sighting("client", "429")
    assert [429] == [200]

def test_b(policy):
    """B."""
    error = NotReady("it", within=1, tries=2, last_seen="no")
    error.causes = ("it says so itself",)
    raise error

def test_c(policy):
    """C."""
'''


def test_a_failure_is_reported_with_its_cause_read_before_any_undoing(mini):
    """In the text right after the claim, and in the results; what an error knows itself is not read again."""
    mini.write(ingress__causes=CAUSES).run()

    tests = {test["id"].rpartition("::")[2]: test for test in mini.results["tests"]}
    assert tests["test_a"]["reason"].splitlines()[1].strip() == "cause: the policy limits it (1 seen: assert [42)"
    assert tests["test_b"]["reason"].splitlines()[1].strip() == "cause: it says so itself"
    assert "cause" not in tests["test_c"]["reason"]
    shown = (mini.folder / "artifacts/ingress/test_a/failure.txt").read_text().splitlines()
    assert [line.strip() for line in shown[:2]] == ["A.", "cause: the policy limits it (1 seen: assert [42)"]


SLOW_CAUSES = '''
import pytest
from harness import timeouts
from harness.plugin.artifacts import CAUSES

@pytest.fixture(autouse=True)
def slow(cluster, pytestconfig, monkeypatch):
    monkeypatch.setattr(timeouts, "CAUSES", 0.0)
    if CAUSES not in pytestconfig.stash:
        pytestconfig.stash[CAUSES] = lambda message, seen: ["read late"]

@pytest.mark.parametrize("number", range(5))
def test_a(number):
    """A."""
    assert number < 0
'''


def test_causes_are_no_longer_read_after_three_late_reads(mini):
    """A cluster that answers slowly now and then still has causes named; one that always does costs three waits."""
    mini.write(ingress__slow=SLOW_CAUSES).run()

    assert ["read late" in test["reason"] for test in mini.results["tests"]] == [True] * 3 + [False] * 2
