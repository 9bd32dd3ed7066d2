"""docs/bad-inputs.md: what a careless user gives, the exit code and the message, each seen by running it.

To write the page again after a message has changed: BAD_INPUTS=write pytest tests/core/test_bad_inputs.py
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from harness import cli, cluster_records, offline_bundle, settings, version_sets
from harness.cluster.choose import choose_cluster
from harness.errors import BadInput
from harness.faults import catalogue
from harness.plugin.options import UsageError
from harness.report import conformance_yaml
from harness.report.run_folder import RunFolder
from tests.fakes.programs import Programs

PAGE = Path(__file__).parents[2] / "docs" / "bad-inputs.md"
ROOT = Path(__file__).parents[2]
HEAD = """# Bad inputs

What is asked wrong ends with one sentence and its remedy, exit code 2, and nothing made. Each row was run by
`tests/core/test_bad_inputs.py`, which compares this page; `…/` stands for a folder of that test.

| input | exit | message |
|---|---:|---|
"""
SET = "istio-1.29-eg-1.7"
RAW = re.compile(r"pydantic|Traceback|harness\.errors|(Input|String) should|Field required|Extra inputs|Value error")


@dataclass(frozen=True)
class Row:
    """One input: `how` it is given, as the page shows it; what runs is chosen by its first word."""

    how: str
    env: Mapping[str, str] = field(default_factory=dict)
    argv: tuple[str, ...] = ()


def variables() -> Iterator[Row]:
    """Values of settings, from the environment; make's variables come by the same way."""
    wrong = {
        "CLUSTER": ("minikube", "kin", "Kind", "emulate", "exsting", "kind emulated", "k3d"),
        "CLUSTER_NAME": ("Has_Capitals", "-a", "a-", "a" * 60, "../up", "a b", "a/b", "ä", "."),
        "KEEP": ("sometimes", "alway", "yes", "1", "on_failure"),
        "WAYPOINT": ("sidecar", "patc", "Binding"),
        "WORKERS": ("many", "-1", "99", "1.5", "10"),
        "INSTALL": ("perhaps", "2"),
        "CACHE": ("maybe",),
        "GATHER": ("some",),
        "LB": ("metallb",),
        "DELAY_FACTOR": ("0.5", "fast", "inf", "nan", "-1", "0", "-inf"),
        "PATIENCE": ("0", "11", "nan", "inf", "much", "-1"),
        "KEEP_RUNS": ("-1", "few", "1.5"),
        "KEEP_DAYS": ("-1", "month"),
        "ORACLES": ("maybe", "On", "offf"),
        "VERSIONS": (
            "istio-9",
            "istio-1.29-eg-1.6",
            "default",
            "istio-1.29-eg-1.7 ",
            "../versions",
            "1.29",
            "latest",
            "istio-1.29.1+eg-1.9.0+k8s-1.36",
            "istio-1.99.0+eg-1.9",
            "isto-1.29.1+eg-1.9.0",
            "k8s-1.34.12",
        ),
        "EG_CHART": ("/nowhere/chart",),
        "UPGRADE_TO": ("1.9.0", "k8s-1.35", "eg-1.7.5", "eg-1.9.0+istio-1.30.3"),
        "ISTIO_CHARTS": ("/nowhere/charts",),
        "EG_IMAGE": ("gateway",),
        "CONTEXT": ("prod",),
        "KUBECONFIG": ("/etc/kubeconfig",),
        "KUBECONFIG_FILE": ("/etc/kubeconfig",),
    }
    for name, values in wrong.items():
        for value in values:
            yield Row(f"E2E_{name}={value!r}", {f"E2E_{name}": value})
    yield Row("E2E_CLUSTER=emulated E2E_CONTEXT='prod'", {"E2E_CLUSTER": "emulated", "E2E_CONTEXT": "prod"})


def make_variables() -> Iterator[Row]:
    """Misspelt names, by what make reports its command line."""
    for given in (
        "CLUSTR=kind", "CLUSTERNAME=a", "VERSION=istio-1.29-eg-1.7", "KEP=always", "WORKER=2", "BUNDEL=b", "FAULT_S=a",
        "NODEIMAGE=a", "KUBECONFIGFILE=a", "CONTEX=a", "INSTAL=1", "DELAYFACTOR=3", "PATIENC=2", "KEEPRUNS=1", "ARG=-x",
    ):  # fmt: skip
        yield Row(f"make e2e {given}", {"E2E_MAKE": given})


def options() -> Iterator[Row]:
    """pytest's command line."""
    for argv in (
        "--cluster minikube", "--cluster emulatd", "--e2e-cluster none", "--versions nope", "--version-set istio-1.99",
        "--keep never --keep-cluster", "--keep no", "--workers many", "--waypoint up", "--context prod",
        "--kubeconfig none", "--cluster emulated --conformance", "--runs conftest.py", "--delay-factor nan",
        "--patience -1", "--oracles never", "--fault nope.yaml", "--cluster-name A_B", "--keep-runs -2",
        "--node-image a --kind-image b", "--gather maybe",
    ):  # fmt: skip
        yield Row(f"pytest suites {argv}", argv=tuple(argv.split()))


def commands() -> Iterator[Row]:
    """`mesh-e2e` itself."""
    for argv in ("", "faluts", "clean all", "bundle", "faults --third 4", "faults --third one", "images extra"):
        yield Row(f"mesh-e2e {argv}".strip(), argv=tuple(argv.split()))
    yield Row("mesh-e2e bundle ''", argv=("bundle", ""))
    for argv in ("faults quota-of-for", "faults nothing-like-it", "faults quota-of-four proxies-di"):
        yield Row(f"mesh-e2e {argv}", {"E2E_CLUSTER": "emulated"}, tuple(argv.split()))
    yield Row("CLUSTER=existing mesh-e2e faults", {"E2E_CLUSTER": "existing", "E2E_CONTEXT": "a"}, ("faults",))


VERSIONS_FILES = {
    "": "empty",
    "[]": "a list",
    "sets: {": "not YAML",
    "default: a\nsets: {a: {}}\nlimits: {istio: {}, envoy_gateway: {}}": "a set without versions",
    "sets: {}\nlimits: {istio: {}, envoy_gateway: {}}": "no default",
    "default: 1.30\nsets: {}\nlimits: {istio: {}, envoy_gateway: {}}": "a number for a name",
    "\x00": "bytes that are no text",
}
FAULT_FILES = {
    "": "empty",
    "[]": "a list",
    "broken: {": "not YAML",
    "broken: x": "too short",
    "brokn: what is broken by it": "a misspelt key",
    "name: a": "a name of its own",
    "broken: what is broken by it\nfield: how it comes about\ncaught_by: []\nsays: x\nplant: []": "nothing planted",
    "broken: what is broken by it\nfield: how it comes about\ncaught_by: a\nsays: x\nplant: []": "text for a list",
}
BUNDLE_FILES = {
    "": "empty",
    "format: 1": "no set",
    "format: one\nset: a\ncharts: {}\nimages: {}": "a word for a number",
}


def run(row: Row, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """`mesh-e2e`, in this process: the exit code and what it says; of inputs that are settings, `mesh-e2e images`."""
    for name, value in row.env.items():
        monkeypatch.setenv(name, value)
    capsys.readouterr()
    try:
        code = cli.main(row.argv or (() if row.how == "mesh-e2e" else ("images",)))
    except SystemExit as ended:  # argparse
        code = int(str(ended.code))
    for name in row.env:
        monkeypatch.delenv(name)
    output = capsys.readouterr().err.strip()
    return code, output.splitlines()[-1] if output.startswith("usage") else output


def refused(act, *arguments) -> tuple[int, str]:
    with pytest.raises(BadInput) as caught:
        act(*arguments)
    return caught.value.exit_code, str(caught.value)


def text(code: int, how: str, message: str, *folders: Path) -> str:
    for folder in (*folders, ROOT):
        message = message.replace(str(folder), "…")
    message = re.sub(r"\(choose from '.*\)", "(choose from …)", message)
    message = re.sub(r"process \d+", "process N", " ".join(message.split())).replace("|", "\\|").replace("<", "&lt;")
    message = re.sub(r"[ (]*\([0-9a-f]{8}\)", "", message)  # digests of version sets change with their versions
    return f"| `{how.replace('|', '')}` | {code} | {message} |"


@pytest.fixture
def asked(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A folder with a suite and a conftest.py, where a pytest is configured in this process."""
    pytester.mkdir("suites")
    pytester.makeconftest("")
    for name in [n for n in os.environ if n.startswith(("E2E_", "GITHUB", "PYTEST_ADDOPTS"))]:
        monkeypatch.delenv(name)
    return pytester


def seen_by_running(asked, monkeypatch, capsys, programs, other_process, tmp_path) -> list[str]:
    """Every row of the page."""
    rows = []
    monkeypatch.setattr(cli, "ERR", type(cli.ERR)(stderr=True, highlight=False))
    monkeypatch.setenv("COLUMNS", "1000")
    for row in [*variables(), *make_variables(), *commands()]:
        rows.append(text(*_swap(run(row, monkeypatch, capsys), row.how), tmp_path))
    for row in options():
        rows.append(text(*configured(asked, row), asked.path))
    for content, what in VERSIONS_FILES.items():
        file = tmp_path / "versions.yaml"
        file.write_text(content)
        code, message = refused(version_sets.load, file)
        rows.append(text(code, f"versions.yaml: {what}", message, tmp_path))
    for content, what in FAULT_FILES.items():
        file = tmp_path / "fault.yaml"
        file.write_text(content)
        code, message = refused(catalogue.load, file)
        rows.append(text(code, f"faults/fault.yaml: {what}", message, tmp_path))
    for content, what in BUNDLE_FILES.items():
        (tmp_path / "bundle.yaml").write_text(content)
        code, message = refused(offline_bundle.open_bundle, tmp_path, version_sets.load().pick())
        rows.append(text(code, f"bundle.yaml: {what}", message, tmp_path))
    return [*rows, *in_use_or_kept(tmp_path, other_process, programs), *folders(tmp_path)]


def configured(asked: pytest.Pytester, row: Row) -> tuple[int, str, str]:
    """A pytest that is configured, up to the refusal."""
    try:
        asked.parseconfigure("-p", "no:hypothesispytest", "suites", *row.argv)
    except UsageError as refusal:
        return refusal.error.exit_code, row.how, str(refusal.error)
    except (BadInput, pytest.UsageError) as error:
        return getattr(error, "exit_code", 4), row.how, str(error)
    return 0, row.how, "accepted"


def _swap(seen: tuple[int, str], how: str) -> tuple[int, str, str]:
    return seen[0], how, seen[1]


def in_use_or_kept(tmp_path: Path, other: int, programs: Programs) -> Iterator[str]:
    """Clusters that another run uses, or that were kept from another set."""
    programs.have("curl")
    programs.answer("curl", "--version", out="curl 8.5.0 (x86_64-pc-linux-gnu)\n")
    state = tmp_path / "state"
    chosen = settings.Settings(cluster="emulated", cluster_name="mine", state=state)
    cluster = choose_cluster(chosen, version_sets.load().pick())
    cluster_records.write_record(state, cluster_records.Record("emulated", "mine", other, time.time()))
    code, message = refused(cluster.create)
    yield text(code, "make e2e CLUSTER=emulated, twice at once", message, tmp_path)
    dead = 2**22 + 1
    for name, value in {"set": "istio-1.29-eg-1.9", "DELAY_FACTOR": "3"}.items():
        record = cluster_records.Record("emulated", "mine", dead, time.time(), {name: value})
        cluster_records.write_record(state, record)
        asked = {"set": SET, "DELAY_FACTOR": "30"}
        found = cluster_records.find_record(state, "emulated", "mine")
        code, message = refused(cluster_records.refuse_kept, found, asked, "emulated cluster mine")
        yield text(code, f"KEEP=always with another {name}, then a default run", message, tmp_path)
    chosen = settings.Settings(cluster="emulated", lb=True, state=state)
    yield text(
        *_swap(refused(choose_cluster, chosen, version_sets.load().pick()), "make e2e CLUSTER=emulated LB=1"), tmp_path
    )
    chosen = settings.Settings(cluster="existing", state=state)
    yield text(
        *_swap(refused(choose_cluster, chosen, version_sets.load().pick()), "CLUSTER=existing without CONTEXT="),
        tmp_path,
    )
    chosen = settings.Settings(cluster="existing", context="a", kubeconfig=tmp_path / "none", state=state)
    yield text(
        *_swap(refused(choose_cluster, chosen, version_sets.load().pick()), "KUBECONFIG_FILE= of no file"), tmp_path
    )
    chosen = settings.Settings(cluster="kind", state=state)
    code, message = refused(choose_cluster(chosen, version_sets.load().pick()).create)
    yield text(code, "make e2e without Docker", message, tmp_path)


def folders(tmp_path: Path) -> Iterator[str]:
    """Where nothing can be kept."""
    at = conformance_time()
    (tmp_path / "file").touch()
    how = {"cluster": "kind", "set_name": SET, "now": at}
    yield text(*_swap(refused(lambda: RunFolder.create(tmp_path / "file", **how)), "RUNS= of a file"), tmp_path)
    (tmp_path / "runs" / "latest").mkdir(parents=True)
    found = refused(lambda: RunFolder.create(tmp_path / "runs", **how))
    yield text(*_swap(found, "runs/latest is a folder"), tmp_path)
    found = refused(cluster_records.record_folder, tmp_path / "file", "kind", "a")
    yield text(*_swap(found, "STATE= of a file"), tmp_path)
    yield text(
        *_swap(refused(conformance_yaml.refuse_emulated, "emulated"), "--conformance CLUSTER=emulated"), tmp_path
    )


def conformance_time():
    from datetime import UTC, datetime

    return datetime(2026, 1, 1, tzinfo=UTC)


def test_page_says_what_each_bad_input_gives(asked, monkeypatch, capsys, programs, other_process, tmp_path):
    """At least a hundred; none is a traceback, shows a URL of pydantic's, or a class of ours."""
    rows = seen_by_running(asked, monkeypatch, capsys, programs, other_process, tmp_path)
    page = HEAD + "\n".join(rows) + "\n"
    if os.environ.get("BAD_INPUTS") == "write":
        PAGE.write_text(page)

    assert len(rows) >= 100
    assert len(set(rows)) == len(rows)
    assert [row for row in rows if "| 2 |" not in row and "| 4 |" not in row] == []
    assert [row for row in rows if RAW.search(row)] == []
    assert PAGE.read_text() == page
