"""Quarantine and --enforce decide how a run ends; digests name the tests that ran."""

from datetime import UTC, datetime, timedelta

import pytest

from harness.history import quarantine
from harness.history.quarantine import Entry, Quarantine

BROKEN = '''
def test_broken(cluster):
    """A false claim."""
    assert 0

def test_held(cluster):
    """A true claim."""

def test_skipped(cluster):
    """A claim out of reach."""
    pytest.skip("no kernel")
'''
ID = "suites/ingress/test_all.py::test_broken"
TODAY = datetime.now(UTC).date()


def put_into_quarantine(monkeypatch: pytest.MonkeyPatch, *, over: bool) -> None:
    since = TODAY - timedelta(days=40 if over else 2)
    entry = Entry(reason="fails once in fifty runs", since=since, until=since + timedelta(days=30))
    monkeypatch.setattr(quarantine, "load", lambda: Quarantine(tests={ID: entry}))


def test_quarantined_test_does_not_fail_the_run(mini, monkeypatch):
    """Its verdict stays broken, the run ends with 0, and the reason is in the report."""
    put_into_quarantine(monkeypatch, over=False)

    result = mini.write(ingress__all=BROKEN).run()

    assert result.ret == pytest.ExitCode.OK
    assert mini.outcomes["test_broken"] == "broken"
    assert any("fails once in fifty runs" in note for note in mini.results["notes"])
    assert "fails once in fifty runs" in result.stdout.str()


def test_quarantine_that_is_over_fails_the_run(mini, monkeypatch):
    """After its date the verdict counts, and the report says so."""
    put_into_quarantine(monkeypatch, over=True)

    result = mini.write(ingress__all=BROKEN).run()

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert any("over since" in note for note in mini.results["notes"])


@pytest.mark.parametrize(("enforce", "status"), [("1", pytest.ExitCode.TESTS_FAILED), ("", pytest.ExitCode.OK)])
def test_enforce_fails_a_run_with_skips(mini, monkeypatch, enforce, status):
    """With ENFORCE=1 a run that skipped a claim fails and says how many."""
    monkeypatch.setenv("E2E_ENFORCE", enforce)
    put_into_quarantine(monkeypatch, over=False)

    result = mini.write(ingress__all=BROKEN).run()

    assert result.ret == status
    assert ("ENFORCE=1: 1 claims were skipped" in mini.results["why"]) == bool(enforce)


def test_results_name_the_source_of_each_test(mini):
    """The digest changes with the file and with its manifest."""
    mini.write(ingress__all=BROKEN).run()
    first = mini.results["sources"]
    (mini.root / "manifests/ingress").mkdir(parents=True)
    (mini.root / "manifests/ingress/all.yaml").write_text("a: 1\n")
    mini.run()

    assert list(first) == ["suites/ingress/test_all.py"]
    assert mini.results["sources"] != first
