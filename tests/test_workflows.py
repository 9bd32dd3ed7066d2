"""The workflows have no findings of actionlint and zizmor, and keep the rules that neither of them checks."""

import os
import re
import shlex
import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness import cli
from tests.patience import SOON

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / ".github/workflows"
FILES = sorted(FOLDER.glob("*.yaml"))
WORKFLOWS: dict[str, dict[Any, Any]] = {file.name: yaml.load(file.read_text(), yaml.CSafeLoader) for file in FILES}
JOBS = {f"{file}: {name}": job for file, workflow in WORKFLOWS.items() for name, job in workflow["jobs"].items()}
VARIABLES = {"--$CELLS": "--pairwise", "$SHARD": "1/4"}  # what a command line is parsed with
STEPS = [(name, step) for name, job in JOBS.items() for step in job.get("steps", [])]
ACTIONLINT = shutil.which("actionlint")
REQUIRED = "ACTIONLINT_VERSION" in os.environ  # set by the job of checks.yaml that installs it


def run(*command: str) -> tuple[int, str]:
    """The exit code and all output of a command in the tree's root."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=SOON, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.skipif(not ACTIONLINT and not REQUIRED, reason="no actionlint on PATH: docs/ci.md")
def test_actionlint_has_no_findings() -> None:
    """Syntax, expressions, contexts, inputs of actions and of called workflows are right."""
    assert run(ACTIONLINT or "actionlint", *map(str, FILES)) == (0, "")


def test_zizmor_has_no_findings() -> None:
    """No unpinned action, persisted credential, template injection or excessive permission."""
    zizmor = str(Path(sysconfig.get_path("scripts")) / "zizmor")
    code, output = run(zizmor, "--offline", "--quiet", "--strict-collection", "--no-progress", str(FOLDER))

    assert "No findings to report" in output
    assert code == 0


def test_every_job_has_permissions_and_a_timeout() -> None:
    """A workflow grants nothing, each job names what it needs, and each job that has steps is bounded."""
    assert [name for name, workflow in WORKFLOWS.items() if workflow["permissions"] != {}] == []
    assert [name for name, job in JOBS.items() if "permissions" not in job] == []
    assert [name for name, job in JOBS.items() if "steps" in job and "timeout-minutes" not in job] == []


def test_checkouts_keep_no_credentials() -> None:
    """No checkout leaves the job's token in the work tree (zizmor accepts an explicit `true`)."""
    checkouts = [(name, step) for name, step in STEPS if "actions/checkout" in step.get("uses", "")]

    assert [name for name, step in checkouts if step["with"]["persist-credentials"] is not False] == []
    assert len(checkouts) >= 9


def test_only_jobs_that_run_no_code_of_the_tree_can_write() -> None:
    """A job with a permission to write checks nothing out."""
    writing = {name for name, job in JOBS.items() if "write" in job["permissions"].values()}
    checking_out = {name for name, step in STEPS if "actions/checkout" in step.get("uses", "")}

    assert writing == {"nightly.yaml: issues", "nightly.yaml: pages", "pull-request.yaml: comment"}
    assert writing & checking_out == set()


def test_gates_need_all_jobs_and_always_run() -> None:
    """The gate of a workflow needs every other job, runs whatever became of them, and fails on failed or cancelled."""
    gated = {name: workflow["jobs"] for name, workflow in WORKFLOWS.items() if "workflow_call" not in workflow[True]}
    gates = {name: jobs["gate"] for name, jobs in gated.items()}
    verdicts = {name: gate["steps"][0]["env"]["ALL_SUCCEEDED"] for name, gate in gates.items()}

    assert set(gates) == {"checks.yaml", "nightly.yaml", "pull-request.yaml"}
    assert {name: {"gate", *gate["needs"]} for name, gate in gates.items()} == {n: set(j) for n, j in gated.items()}
    assert {gate["if"] for gate in gates.values()} == {"always()"}
    assert [name for name, text in verdicts.items() if "!contains(needs.*.result, 'failure')" not in text] == []
    assert [name for name, text in verdicts.items() if "!contains(needs.*.result, 'cancelled')" not in text] == []
    assert [name for name, g in gates.items() if 'test "$ALL_SUCCEEDED" = true' not in g["steps"][0]["run"]] == []


def test_evidence_is_always_kept() -> None:
    """Every artifact is uploaded whatever became of the steps before, and each job that runs suites uploads one."""
    uploads = [(name, step) for name, step in STEPS if "actions/upload-artifact" in step.get("uses", "")]
    running = {
        name
        for name, step in STEPS
        if step.get("run", "").strip().startswith(("make e2e", "make matrix", "make conformance", ".github/"))
    }
    running |= {name for name, step in STEPS if "make faults" in step.get("run", "")}

    assert [name for name, step in uploads if step.get("if") != "always()"] == []
    assert [name for name, step in uploads if step["with"]["path"] == "runs"] == []  # `latest` would be there twice
    assert running <= {name for name, _ in uploads}
    assert len(running) >= 5


def test_what_steps_call_exists() -> None:
    """Each target of make is in the Makefile, and each command line of mesh-e2e is one that it takes."""
    lines = [(name, line) for name, step in STEPS for line in step.get("run", "").splitlines()]
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)) | {".venv/bin/.installed"}
    made = [(name, found[1]) for name, line in lines if (found := re.search(r"\bmake (\S+)", line))]
    given = [(name, found[1]) for name, line in lines if (found := re.search(r"mesh-e2e ([^>)]+)", line))]
    given += [
        (n, f"matrix run {found[1]}") for n, line in lines if (found := re.search(r'make matrix ARGS="(.*)"', line))
    ]
    given += [
        (n, f"conformance {f[1]}") for n, line in lines if (f := re.search(r'make conformance ARGS="(.*)"', line))
    ]

    assert [one for one in made if one[1] not in targets] == []
    assert [one for one in given if not parses(one[1])] == []
    assert len(made) >= 15
    assert len(given) >= 7


def parses(line: str) -> bool:
    """Whether mesh-e2e takes this command line."""
    words = [VARIABLES.get(word, word) for word in shlex.split(line)]
    try:
        cli._parser().parse_args([*words, *(["folder"] if words[:2] == ["matrix", "merge"] else [])])  # xargs adds it
    except SystemExit:
        return False
    return True


def test_other_repositories_can_name_versions_and_builds() -> None:
    """The reusable workflow takes VERSIONS and every setting of a build, and runs the harness that it comes with."""
    inputs = WORKFLOWS["e2e.yaml"][True]["workflow_call"]["inputs"]
    job = WORKFLOWS["e2e.yaml"]["jobs"]["kind"]
    settings = ("versions", "eg_chart", "eg_image", "istio_hub", "istio_tag", "istio_charts", "envoy_image")

    assert set(settings) <= set(inputs)
    assert {name: job["env"][f"E2E_{name.upper()}"] for name in settings} == {
        n: f"${{{{ inputs.{n} }}}}" for n in settings
    }
    assert job["steps"][0]["with"]["repository"] == "${{ job.workflow_repository }}"
    assert job["steps"][0]["with"]["ref"] == "${{ job.workflow_sha }}"
