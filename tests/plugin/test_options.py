"""The command line: what overrules what, what is refused and how, and what is no run."""

from __future__ import annotations

import re

import pytest

SHOW = """
def test_a(pytestconfig):
    from harness.plugin.options import settings_of
    found = settings_of(pytestconfig)
    for name in ("cluster", "cluster_name", "keep", "versions", "workers", "install", "waypoint", "node_image"):
        print(f"{name}={getattr(found, name)!r}")
    print(f"kubeconfig={found.kubeconfig} bundle={found.bundle} same={found is settings_of(pytestconfig)}")
"""


def test_options_overrule_the_environment(mini, monkeypatch):
    """Each option sets its setting; what it leaves alone comes from the environment."""
    monkeypatch.setenv("E2E_KEEP", "always")
    monkeypatch.setenv("E2E_WORKERS", "3")
    result = mini.write(ingress__show=SHOW).run(
        "suites", "-s", "--version-set=istio-1.29-eg-1.9", "--workers=2", "--install", "--waypoint-form=patch"
    )

    result.stdout.fnmatch_lines(
        [
            "*cluster='emulated'",
            "cluster_name='mesh-e2e'",
            "keep='always'",
            "versions='istio-1.29-eg-1.9'",
            "workers=2",
            "install=True",
            "waypoint='patch'",
            "*same=True",
        ]
    )


def test_the_options_of_pytest_kind_mean_what_they_mean_there(mini):
    """Its names are honoured, relative paths are the caller's, and its default cluster name is nobody's wish."""
    result = mini.write(ingress__show=SHOW).run(
        *("suites", "-s", "--cluster-name=mine", "--keep-cluster", "--kubeconfig=here/config", "--kind-image=node:1"),
        cluster="existing",
    )

    result.stdout.fnmatch_lines(
        ["cluster_name='mine'", "keep='always'", "node_image='node:1'", f"kubeconfig={mini.root}/here/config *"]
    )


def test_the_kind_cluster_fixture_is_ours(mini):
    """Whichever plugin was loaded first."""
    mini.write(ingress__kind="def test_a(kind_cluster):\n    assert kind_cluster == 'ours'\n").run()

    assert mini.outcomes == {"test_a": "held"}


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (("--e2e-cluster=kindd",), "cluster='kindd'"),
        (("--keep=sometimes",), "keep='sometimes'"),
        (("--workers=many",), "workers='many'"),
        (("--version-set=nope",), "no version set is named 'nope'"),
        (("--keep=never", "--keep-cluster"), "--keep never and --keep-cluster contradict each other"),
        (("--conformance",), "no conformance report can come from an emulated cluster"),
        (("--runs=suites/conftest.py",), "cannot write .*/suites/conftest.py"),
    ],
)
def test_bad_input_is_refused_before_anything_is_collected(mini, args, expected):
    """With the remedy, and exit status 2."""
    refused = mini.refused(*args)

    assert refused.returncode == 2
    assert re.search(expected, str(refused.msg))
    assert "\n  remedy: " in str(refused.msg)


def test_a_refusal_is_all_that_is_printed(mini):
    """No traceback, no table."""
    result = mini.pytester.runpytest_subprocess("suites", "--keep=never", "--keep-cluster")

    assert result.ret == 2
    assert result.stderr.lines == [
        "UsageError: --keep never and --keep-cluster contradict each other",
        "  remedy: give one of them",
    ]
    assert result.stdout.lines == []


def test_bad_input_found_by_a_session_fixture_ends_the_run(mini):
    """Once, with status 2; the other tests are not tried, and the record says why."""
    text = '''
@pytest.fixture(scope="session")
def wrong(cluster):
    raise BadInput("context 'x' does not exist", remedy="use one of: a, b")

def test_a(wrong):
    """A."""

def test_b(wrong):
    """B."""
'''
    result = mini.write(ingress__bad=text).run()

    assert result.ret == 2
    assert result.stdout.str().count("context 'x' does not exist") == 1
    result.stdout.fnmatch_lines(["bad input: context 'x' does not exist", "  remedy: use one of: a, b"])
    assert "not run" not in result.stdout.str()  # no table of claims around the one message
    assert "Traceback" not in result.stdout.str()
    assert mini.outcomes == {"test_a": "not run", "test_b": "not run"}
    assert mini.results["exit"] == 2
    assert mini.order == ["cluster undone, failed=True"]


@pytest.mark.parametrize("args", [("tests",), ("suites", "--collect-only", "-q"), ("suites", "--fixtures")])
def test_what_is_no_run_leaves_nothing(mini, args):
    """The harness's own tests, and listings, pass as if the plugin were not there."""
    mini.write(ingress__one="def test_a(cluster):\n    pass\n")
    (mini.root / "tests").mkdir()
    (mini.root / "tests" / "test_own.py").write_text("def test_own():\n    pass\n")
    result = mini.run(*args, cluster="nonsense")

    assert result.ret == 0
    assert not (mini.root / "runs").exists()
    assert "claims" not in result.stdout.str()


def test_other_folders_of_suites_can_be_named(mini):
    """The ini option e2e_suites says where suites are."""
    mini.pytester.makeini("[pytest]\ne2e_suites = mesh")
    (mini.root / "suites").rename(mini.root / "mesh")
    (mini.root / "mesh" / "test_own.py").write_text("def test_own(cluster):\n    pass\n")
    result = mini.run("mesh/test_own.py::test_own")

    assert result.ret == 0
    assert mini.results["tests"][0]["area"] == "own"
