"""The table, in its three forms."""

from __future__ import annotations

import io
import json
from dataclasses import replace

from rich.console import Console

from harness.observations import Figure
from harness.report import summary
from harness.report.results import ClaimResult, RunResult

RUN = RunResult(
    cluster="emulated",
    cluster_name="mesh-e2e",
    set_name="istio-1.29-eg-1.7",
    versions={"kubernetes": "1.34.4", "istio": "1.29.1"},
    facts={},
    started="2026-11-21T08:00:00+00:00",
    verdicts=[
        ClaimResult("a", "ingress", "One [bold]claim[/bold] | two.", "held", 1.25, ("client", "access log")),
        ClaimResult(
            "b", "ingress", "Another.", "broken", 10.0, ("client",), (Figure("enforced", 15.0),), "assert 1 == 2\nx"
        ),
        ClaimResult("c", "waypoint", "Third.", "skipped", reason="emulated: no kernel"),
        ClaimResult("d", "waypoint", "Fourth.", "inconclusive", reason="no line"),
    ],
    exit=1,
)


def test_plain_text_reads_without_a_terminal():
    """Cluster, totals and what does not hold first; then a table for each area, times, counts, reasons."""
    lines = summary.summary_as_text(RUN).splitlines()

    assert lines[0].startswith("cluster: emulated (EMULATED: not conformance)")
    assert lines[1:4] == [
        "held 1   broken 1   errors 0   inconclusive 1   skipped 1",
        "  broken: ingress: Another.: assert 1 == 2",
        "  inconclusive: waypoint: Fourth.: no line",
    ]
    assert "  One [bold]claim[/bold] | two.  held          client, access log      1.2" in lines
    assert "    assert 1 == 2" in lines
    assert "  enforced: 15.00 / 15.00 / 15.00 of 1" in lines
    assert "held 1   broken 1   errors 0   inconclusive 1   skipped 1" in lines
    assert "  skipped 1: emulated: no kernel" in lines
    assert lines.index("ingress") < lines.index("waypoint")


def test_a_terminal_gets_the_same_words():
    """Text in square brackets is text, not markup."""
    screen = io.StringIO()
    summary.show(RUN, Console(file=screen, width=120, force_terminal=False))

    shown = screen.getvalue()
    assert shown.startswith("cluster: emulated (EMULATED: not conformance)")
    assert "One [bold]claim[/bold] | two." in shown
    assert "held 1   broken 1   errors 0   inconclusive 1   skipped 1" in shown


def test_markdown_cells_stay_cells():
    """Totals and what does not hold come first; a pipe in a claim does not make a column."""
    rows = summary.summary_as_markdown(RUN).splitlines()

    assert rows[0] == f"### {RUN.headline}"
    assert rows[2:5] == [
        "**held 1   broken 1   errors 0   inconclusive 1   skipped 1**",
        "- broken: ingress: Another.: assert 1 == 2",
        "- inconclusive: waypoint: Fourth.: no line",
    ]
    assert "| One [bold]claim[/bold] \\| two. | held | client, access log | 1.2 |" in rows
    assert "| Another.<br>assert 1 == 2 | broken | client | 10.0 |" in rows


def test_json_has_every_verdict():
    """With its reason in full."""
    found = json.loads(summary.summary_as_json(RUN))

    assert found["schema"] == "mesh-e2e/results/v1"
    assert [test["outcome"] for test in found["tests"]] == ["held", "broken", "skipped", "inconclusive"]
    assert found["tests"][1]["reason"] == "assert 1 == 2\nx"


def test_tables_of_tests_are_shown():
    """A row that lacks a column keeps its place, and the machine reads the same."""
    rows = [{"event": "ztunnel killed", "outage ms": "1765"}, {"event": "istiod away"}]
    run = replace(RUN, tables={"outage windows": rows})

    lines = summary.summary_as_text(run).splitlines()

    at = lines.index("outage windows")
    assert lines[at + 1 : at + 5] == [
        "  event           outage ms",
        "  --------------  ---------",
        "  ztunnel killed  1765",
        "  istiod away     -",
    ]
    assert json.loads(summary.summary_as_json(run))["tables"] == {"outage windows": rows}


def test_one_error_of_many_tests_is_reported_once():
    """A fixture that fails takes all its tests along; another area says it again."""
    places = (("a", "ingress"), ("b", "ingress"), ("c", "waypoint"))
    failed = [ClaimResult(id_, area, id_, "error", reason="SetupFailed: no ready pod") for id_, area in places]
    run = replace(RUN, verdicts=failed)

    lines = [line.strip() for line in summary.summary_as_text(run).splitlines()]

    assert lines.count("SetupFailed: no ready pod") == 2
    assert lines.count("as above") == 1
    assert [line for line in lines if line.startswith("error: ") and not line.endswith("as above")] == [
        "error: ingress: a: SetupFailed: no ready pod"
    ]
    assert summary.summary_as_markdown(run).count("<br>as above") == 1
