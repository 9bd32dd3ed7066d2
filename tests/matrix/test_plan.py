"""Planning: selections, refusals with reasons, costs, balanced shards; 1,000 cells are planned at once."""

import json
import time
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import version_sets, version_sets_from_names
from harness.errors import BadInput
from harness.matrix import output
from harness.matrix.cells import Cell, conditions
from harness.matrix.folder import read_plan
from harness.matrix.plan import UNKNOWN_COST, Plan, Planned, candidates, pairwise, plan, shards, upgrades

KNOWN, SETS = version_sets_from_names.load(), version_sets.load()
OLD, NEW = Cell("1.29.1", "1.7.5", "1.34.3"), Cell("1.29.1", "1.9.0", "1.34.3")


def planned(selection: str, axes: Any = None, **more: Any) -> Plan:
    return plan(candidates(SETS, KNOWN, selection, axes or {}), SETS, KNOWN, {}, selection=selection, **more)


def names(found: Plan) -> list[str]:
    return [one.cell.name for one in found.cells]


def test_sets_are_those_of_versions_yaml() -> None:
    """Without options the cells are the hand-written sets."""
    assert set(names(planned("sets"))) == {
        "istio-1.29.1+eg-1.7.5+k8s-1.34.3",
        "istio-1.29.1+eg-1.9.0+k8s-1.34.3",
        "istio-1.30.3+eg-1.8.3+k8s-1.34.3",
    }


def test_axes_are_combined() -> None:
    """Named versions are combined; a product that is not named is the default set's."""
    found = planned("sets", {"istio": ["1.29.1", "1.30.3"], "eg": ["1.7", "1.9.0"]})

    assert len(found.cells) == 4
    assert "istio-1.30.3+eg-1.7.5+k8s-1.34.3" in names(found)


def test_all_is_every_minor_and_says_why_not() -> None:
    """Each combination of minors is planned or refused with a reason, none is left out."""
    found = planned("all")
    every = len(KNOWN.istio) * len(KNOWN.envoy_gateway) * 8

    assert len(found.cells) + len(found.refused) == every
    assert len(found.cells) > 30
    assert all(" runs on Kubernetes " in one.reason for one in found.refused)
    assert not any(one.reason.startswith("VERSIONS=") for one in found.refused)


def test_newest_is_one_cell() -> None:
    """The newest Envoy Gateway, with the newest Istio and Kubernetes that go with it."""
    assert names(planned("newest")) == ["istio-1.30.4+eg-1.9.0+k8s-1.36.1"]


def test_supported_names_whose_support_has_ended() -> None:
    """What is out of support on that day is refused with the day."""
    found = planned("supported", today=date(2026, 11, 27))

    assert {one.cell.eg for one in found.cells} == {"1.9.0"}
    assert {one.cell.istio for one in found.cells} == {"1.30.4"}
    assert any("Envoy Gateway 1.8.3 had support until 2026-11-08" in one.reason for one in found.refused)


def test_pairwise_holds_every_pair_in_fewer_cells() -> None:
    """Each pair of versions that can run together is in a cell, and there are fewer cells than combinations."""
    every = planned("all").cells
    chosen = pairwise(every)

    def pairs(cells: Any) -> set[tuple[str, str]]:
        found = {((f"i{c.istio}", f"e{c.eg}"), (f"i{c.istio}", f"k{c.k8s}"), (f"e{c.eg}", f"k{c.k8s}")) for c in cells}
        return {pair for three in found for pair in three}

    assert pairs(one.cell for one in chosen) == pairs(one.cell for one in every)
    assert len(chosen) < len(every) / 2


@pytest.mark.parametrize(
    ("only", "expected"),
    [
        ("eg==1.9", {"1.9.0"}),
        ("eg>=1.8", {"1.8.3", "1.9.0"}),
        ("eg>1.8", {"1.9.0"}),
        ("eg!=1.8, istio>=1.29", {"1.7.5", "1.9.0"}),
        ("eg<1.8.3", {"1.7.5"}),
        ("istio<1.30,eg<=1.7", {"1.7.5"}),
    ],
)
def test_only(only: str, expected: set[str]) -> None:
    """Conditions compare as far as they are written: 1.8.3 is == 1.8, and not > 1.8."""
    assert {one.cell.eg for one in planned("sets", only=conditions(only)).cells} == expected


@pytest.mark.parametrize("only", ["istio", "isto>=1.29", "eg=>1.9", "eg==latest", ""])
def test_condition_that_is_none(only: str) -> None:
    """It is refused, with the form."""
    with pytest.raises(BadInput, match="is not a condition"):
        conditions(only)


def test_costs_are_the_last_durations() -> None:
    """The median of a cell's last three; for one that never ran, of what others took; for the first of all, a guess."""
    cells = [OLD, NEW]
    some = plan(cells, SETS, KNOWN, {OLD.name: [900, 300, 310, 320]})
    none = plan(cells, SETS, KNOWN, {})

    assert [(one.cell, one.seconds, one.measured) for one in some.cells] == [(NEW, 320, False), (OLD, 310, True)]
    assert {one.seconds for one in none.cells} == {UNKNOWN_COST}


def test_upgrades_are_steps_of_one_product() -> None:
    """From the older to the next newer version of one product; the other versions stay."""
    cells = [Cell(i, e, "1.34.3") for i in ("1.29.1", "1.30.3") for e in ("1.7.5", "1.8.3", "1.9.0")]

    found = [cell.name for cell in upgrades(cells)]

    assert len(found) == 3 + 4
    assert "istio-1.29.1+eg-1.7.5+k8s-1.34.3>eg-1.8.3" in found
    assert "istio-1.29.1+eg-1.7.5+k8s-1.34.3>eg-1.9.0" not in found
    assert "istio-1.29.1+eg-1.9.0+k8s-1.34.3>istio-1.30.3" in found


def test_upgrade_to_what_cannot_run_is_refused() -> None:
    """Both ends of an upgrade must be possible."""
    found = plan([Cell("1.29.1", "1.9.0", "1.33.7", "istio-1.31.0")], SETS, KNOWN, {})

    assert [one.reason for one in found.refused] == ["Istio 1.31 is not known (known: 1.30, 1.29, 1.28, 1.27)"]


def test_judged_cells_are_left_out() -> None:
    """--changed-since: what was judged is neither planned nor refused."""
    found = planned("sets", known=[OLD.name])

    assert OLD.name not in names(found)
    assert len(found.cells) == 2


COSTS = st.lists(st.floats(1, 5000), max_size=40)


@given(COSTS, st.integers(1, 9))
def test_shards_are_balanced(costs: list[float], count: int) -> None:
    """Each cell is in one shard, and no shard has more than a fair share and one longest cell."""
    cells = [Planned(Cell(f"1.0.{n}", "1.0.0", "1.0.0"), cost, True) for n, cost in enumerate(costs)]
    found = shards(cells, count)
    loads = [sum(one.seconds for one in shard) for shard in found]

    assert sorted(one.cell for shard in found for one in shard) == sorted(one.cell for one in cells)
    assert max(loads) <= sum(costs) / count + max(costs, default=0) + 1e-6


def test_github_matrix_has_a_job_for_each_shard() -> None:
    """One line of JSON; shards without cells make no job."""
    found = json.loads(output.as_github(planned("sets"), 4))

    assert [job["shard"] for job in found["include"]] == ["1/4", "2/4", "3/4"]
    assert all(job["cells"].startswith("istio-") for job in found["include"])


def test_plan_is_read_as_it_was_written(tmp_path: Path) -> None:
    """`run --plan` has the cells of `plan --format json`."""
    found = planned("all")
    (tmp_path / "plan.json").write_text(json.dumps(output.as_json(found, 3)))

    again = read_plan(tmp_path / "plan.json")

    assert [(one.cell, round(one.seconds, 1)) for one in again.cells] == [
        (one.cell, one.seconds) for one in found.cells
    ]
    assert again.refused == found.refused


def test_text_says_what_is_refused() -> None:
    """The table has cells, seconds and refusals with their reason."""
    text = output.as_text(planned("sets", {"istio": ["1.29.1"], "k8s": ["1.36", "1.34"]}), 2)

    assert "istio-1.29.1+eg-1.7.5+k8s-1.34.3  600      estimated" in text
    assert "Istio 1.29.1 runs on Kubernetes 1.30 to 1.35, not on 1.36.1" in text
    assert "2 shards: 600 s, 0 s" in text


def test_thousand_cells(capsys: pytest.CaptureFixture[str]) -> None:
    """Benchmark: 1,000 possible cells with their shards and the job matrix. It prints what it took (under 1 s)."""
    cells = [Cell(f"1.29.{i}", f"1.9.{e}", "1.34.3") for i in range(10) for e in range(100)]
    began, used = time.perf_counter(), time.process_time()
    found = plan(cells, SETS, KNOWN, {})
    job = output.as_github(found, 20)
    took, used = time.perf_counter() - began, time.process_time() - used

    with capsys.disabled():
        print(f"\n    1,000 cells planned in {took:.3f} s, of which {used:.3f} s of the processor")
    assert len(found.cells) == 1000
    assert len(json.loads(job)["include"]) == 20
