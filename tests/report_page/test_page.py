"""The report page: what it says of runs, and what it refuses."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

from harness import settings
from harness.errors import BadInput
from harness.report_page import command, model, run_folders

JOURNEY = """request rq-1
  o client         172.19.0.1                        172.19.0.1:56153
  | ingress        default/bookinfo-ingress-85c-gq   200  37 ms  10.244.1.19:10080  @worker
  |   ztunnel out  default/bookinfo-ingress-85c-gq   HBONE  ok  19 ms  @worker
  = held: ztunnel-out at default/bookinfo-ingress-85c-gq: HBONE
request rq-2
  o client         172.19.0.1                        172.19.0.1:56154
"""


def page(*folders: Path) -> dict[str, Any]:
    return model.page(*run_folders.read_runs(folders), "2026-11-27T22:00:00+00:00")


def outcomes(data: dict[str, Any]) -> dict[str, str]:
    (cell,) = data["cells"]
    return {data["claims"][claim]["id"].partition("::")[2]: one[0] for claim, one in cell["verdicts"].items()}


def test_newest_judging_verdict_counts(written, verdict):
    first = written(1, verdict("a"), verdict("b", "broken"), verdict("c"))
    second = written(2, verdict("a", "broken"), verdict("b"), verdict("c", "inconclusive"))

    data = page(second, first)

    assert outcomes(data) == {"a": "broken", "b": "held", "c": "held"}
    assert data["cells"][0]["outcome"] == "broken"
    assert [
        (data["claims"][one["claim"]]["id"][-1], one["before"], one["after"]) for one in data["cells"][0]["changed"]
    ] == [
        ("a", "held", "broken"),
        ("b", "broken", "held"),
    ]
    assert len(data["cells"][0]["unsteady"]) == 2


@pytest.mark.parametrize(
    ("found", "cell"),
    [
        (["held", "skipped"], "held"),
        (["held", "inconclusive"], "inconclusive"),
        (["held", "inconclusive", "error"], "error"),
        (["held", "broken", "error"], "broken"),
        (["skipped", "not run"], "not judged"),
    ],
)
def test_cell_is_as_its_worst_claim(written, verdict, found, cell):
    data = page(written(1, *(verdict(str(n), one) for n, one in enumerate(found))))

    assert data["cells"][0]["outcome"] == cell


def test_pairs_of_versions_are_cells(written, verdict):
    one, two = written(1, verdict("a"), eg="1.9.0"), written(2, verdict("a"), eg="1.10.0 (asked for)")

    cells = page(one, two)["cells"]

    assert [(cell["istio"], cell["envoy_gateway"], cell["kubernetes"]) for cell in cells] == [
        ("1.29.1", "1.9.0", "1.34"),
        ("1.29.1", "1.10.0", "1.34"),
    ]


def test_emulated_and_planted_runs_are_no_cells(written, verdict):
    emulated = written(1, verdict("a"), cluster={"kind": "emulated", "name": "", "conformance": False})
    planted = written(2, verdict("a", "broken"), facts={"planted fault": "limiter-down"})

    data = page(emulated, planted)

    assert data["cells"] == []
    assert [run["conformance"] for run in data["runs"]] == [False]
    assert data["planted"] == 1


def test_killed_run_has_its_verdicts(written, verdict):
    folder = written(3, verdict("a"), verdict("b", "broken"))
    (folder / "results.json").unlink()
    with (folder / "verdicts.jsonl").open("a") as file:
        file.write('{"id": "suites/half')

    data = page(folder)

    assert [(run["finished"], run["why"], len(run["verdicts"])) for run in data["runs"]] == [
        (False, "the run never ended", 2)
    ]
    assert data["runs"][0]["started"] == "2026-11-27T03:00:00+00:00"


def test_journey_is_drawn_by_its_hops(written, verdict):
    folder = written(1, verdict("a", evidence="artifacts/a/"))
    (folder / "artifacts/a").mkdir(parents=True)
    (folder / "artifacts/a/journey.txt").write_text(JOURNEY)
    (folder / "artifacts/a/witnesses.txt").write_text("not kept for a claim that holds")

    (file,) = page(folder)["runs"][0]["details"][0]["evidence"]

    assert [(hop["kind"], hop["pod"], hop["inner"]) for hop in file["hops"]] == [
        ("client", "172.19.0.1", False),
        ("ingress", "default/bookinfo-ingress-85c-gq", False),
        ("ztunnel out", "default/bookinfo-ingress-85c-gq", True),
    ]
    assert file["hops"][2]["text"] == "HBONE · ok · 19 ms · @worker"


def test_broken_claim_keeps_its_evidence(written, verdict):
    folder = written(1, verdict("a", "broken", evidence="artifacts/a/"))
    (folder / "artifacts/a").mkdir(parents=True)
    (folder / "artifacts/a/failure.txt").write_text("x" * (run_folders.TEXTS + 1))

    (file,) = page(folder)["runs"][0]["details"][0]["evidence"]

    assert (file["name"], len(file["text"])) == ("failure.txt", run_folders.TEXTS)


def test_what_runs_share_is_written_once(written, verdict):
    """The path of a claim's evidence and its witnesses: a page of 200 runs with 200 claims has 4 MB, and had 8."""
    one = written(1, verdict("test_a", evidence="artifacts/a/"), verdict("test_b", witnesses=[]))
    two = written(2, verdict("test_a", evidence="artifacts/a/"), verdict("test_b", evidence="artifacts/b/"))
    data = page(one, two)
    first, second = (run["details"] for run in data["runs"])

    assert [claim["path"] for claim in data["claims"]] == ["artifacts/a/", "artifacts/b/"]
    assert [first[0].get("path"), first[1].get("path"), second[0].get("path")] == [None, "", None]
    assert [data["witnesses"][detail[1]["witnesses"]] for detail in (first, second)] == [
        (),
        ("client", "waypoint access log"),
    ]


def test_timeline_counts_each_request_once():
    samples = [{"at": 100 + n / 10, "status": 503 if 40 <= n < 50 else 200} for n in range(100)]
    events = [{"what": "waypoint deleted", "began": 104.0, "ended": 104.5}]

    chart = model.timeline_chart({"client": "mesh", "samples": samples, "wanted": [200], "events": events})

    assert [sum(column) for column in zip(*chart["bins"], strict=True)] == [90, 10]
    assert len(chart["bins"]) == model.BINS
    assert chart["events"] == [{"what": "waypoint deleted", "began": 4.0, "ended": 4.5}]


@pytest.mark.parametrize(
    ("break_it", "sentence"),
    [
        (lambda folder: (folder / "results.json").write_text('{"schema": "mesh-e2e/results/v9"}'), "of format v9"),
        (lambda folder: (folder / "results.json").write_text('{"sche'), "half written"),
        (lambda folder: [file.unlink() for file in folder.iterdir()], "has no results.json"),
    ],
    ids=["newer", "half", "none"],
)
def test_folder_that_is_no_run_is_refused(written, verdict, break_it, sentence):
    folder = written(1, verdict("a"))
    break_it(folder)

    with pytest.raises(BadInput, match=sentence):
        run_folders.read_runs([folder])


def test_command_writes_one_file_that_loads_nothing(written, verdict, tmp_path):
    written(1, verdict("a"))
    chosen = settings.read_settings(runs=tmp_path)

    printed = command.run(Namespace(runs=[], out=str(tmp_path / "out/page.html")), chosen)

    text = (tmp_path / "out/page.html").read_text()
    assert "1 run, 1 cell, 1 claim" in printed
    assert text.count("</script>") == 2
    assert not [word for word in ("src=", "@import", "fetch(", "url(") if word in text]
    embedded = text.partition('id="data">')[2].partition("</script>")[0]
    assert json.loads(embedded)["schema"] == model.SCHEMA


def test_no_runs_is_bad_input(tmp_path):
    with pytest.raises(BadInput, match="has no run"):
        command.run(Namespace(runs=[], out=""), settings.read_settings(runs=tmp_path))


def test_upgrades_are_no_cells(written, verdict):
    """A run's claims on an upgrade are about two versions: they have a table of their own."""
    path = {"path": "Envoy Gateway 1.7.5 to 1.9.0", "order": "definitions first", "sent": "900", "lost": "1"}
    tests = [verdict("quota"), verdict("kept", area="upgrades"), verdict("lost", "broken", area="upgrades")]
    folder = written(1, *tests, eg="1.7.5", facts={"upgrade to": "eg-1.9.0"}, tables={"upgrade paths": [path]})

    data = page(folder)

    assert outcomes(data) == {"quota": "held"}
    assert data["upgrades"] == [
        {
            "istio": "1.29.1",
            "envoy_gateway": "1.7.5",
            "kubernetes": "1.34",
            "to": "eg-1.9.0",
            "outcome": "broken",
            "counts": {"held": 1, "broken": 1},
            "seconds": 3.0,
            "run": 0,
            "paths": [path],
        }
    ]
