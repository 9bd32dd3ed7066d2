"""The catalogue from its control to its exit code, with runs of pytest that are only played."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

from harness import timeouts, version_sets
from harness.command import Output
from harness.errors import BadInput, CommandFailed, SetupFailed
from harness.faults import catalogue, running
from harness.settings import Settings

TEST = "suites/a/test_b.py::test_c"
SUITE = "def test_c(x):\n    assert x\n    assert not x\n"
Played = dict[str, Any]  # of one run: outcome, found, planted, undone, trouble, line


class Cluster:
    """What the catalogue does with its cluster, in order."""

    def __init__(self, events: list[str]) -> None:
        self.events, self.unwilling = events, False

    def mark(self) -> None:
        self.events.append("mark")

    def reset(self) -> None:
        self.events.append("reset")
        if self.unwilling:
            raise SetupFailed("emulated cluster x: POST /emulated/reset: 500 it will not\nbecause")

    def delete(self) -> None:
        self.events.append("delete")


class World:
    """A repository of one suite in a folder; `faults` and what each run is to come to are the test's to say."""

    def __init__(self, root: Path) -> None:
        self.root, self.events, self.runs = root, list[str](), dict[str, Played]()
        self.cluster = Cluster(self.events)
        self.environments: dict[str, Mapping[str, str]] = {}
        self.asked: dict[str, list[str]] = {}  # by run, the ids that pytest was asked for
        self.text, self.within = StringIO(), 0.0
        (root / "suites" / "a").mkdir(parents=True)
        (root / "suites" / "a" / "test_b.py").write_text(SUITE)
        (root / "faults").mkdir()

    def fault(self, name: str, **more: Any) -> None:
        least = {
            "broken": "Something is broken.",
            "field": "Somebody broke it.",
            "caught_by": [TEST],
            "says": "TCP",
            "plant": [{"delete": {"object": "Service/default/ratings"}}],
        }
        (self.root / "faults" / f"{name}.yaml").write_text(yaml.safe_dump(least | more))

    def play(self, env: Mapping[str, str], folder: Path, arguments: Sequence[str]) -> None:
        """Writes what a run would leave."""
        name = Path(env["E2E_FAULT"]).stem or "control"
        suites = f"{self.root}/suites"
        self.asked[name] = [one.removeprefix(f"{self.root}/") for one in arguments if one.startswith(suites)]
        self.events.append(f"run {name}")
        self.environments[name] = env
        usual = {"outcome": "held"} if name == "control" else {"outcome": "broken", "found": "it is TCP"}
        run = usual | self.runs.get(name, {})
        if run["outcome"] == "dies":
            return
        latest = folder / "latest"
        latest.mkdir(parents=True)
        tests = [{"id": TEST, "outcome": run["outcome"], "reason": run.get("found", "")}, *run.get("more", ())]
        (latest / "results.json").write_text(json.dumps({"tests": tests, "why": ""}))
        struck = [{"id": TEST, "file": TEST.partition("::")[0], "line": run.get("line", 2)}]
        values = {"planted": 1, "undone": True, "trouble": "", "struck": struck if name != "control" else []}
        (latest / "fault.json").write_text(json.dumps(values | {k: v for k, v in run.items() if k in values}))

    def go(self, *names: str, cluster: str = "emulated", third: int | None = None, **more: Any) -> int:
        settings = Settings(cluster=cluster, cluster_name="x", state=self.root, runs=Path("runs"), **more)  # type: ignore[arg-type]  # a word of the literal
        out = Console(file=self.text, width=200, color_system=None)
        return running.Catalogue(settings, version_sets.load().pick(), out).run(names, third)

    @property
    def output(self) -> str:
        return self.text.getvalue()

    @property
    def kept(self) -> dict[str, Any]:
        (file,) = self.root.glob("runs/*/faults.json")
        found: dict[str, Any] = json.loads(file.read_text())
        return found


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(tmp_path)

    def run_program(argv: Sequence[str], *, within: float, env: Mapping[str, str], check: bool, grace: float) -> Output:
        assert grace >= timeouts.GATHER + timeouts.CLUSTER_DELETE
        made.play(env, Path(env["E2E_RUNS"]), argv)
        if made.runs.get(Path(env["E2E_FAULT"]).stem, {}).get("interrupted"):
            raise KeyboardInterrupt
        if made.runs.get(Path(env["E2E_FAULT"]).stem or "control", {}).get("outcome") == "dies":
            raise CommandFailed(list(argv), None, "Segmentation fault")
        return Output(1, "1 failed", "")

    class Forks:
        def run_pytest(self, arguments: Sequence[str], *, env: Mapping[str, str], folder: Path, within: float) -> str:
            made.within = within
            made.play(env, folder, arguments)
            return "1 failed"

    monkeypatch.setattr(running, "ROOT", tmp_path)
    monkeypatch.setattr(running, "run_program", run_program)
    monkeypatch.setattr(running, "Forks", Forks)
    monkeypatch.setattr(running, "choose_cluster", lambda *_: made.cluster)
    load: Callable[[Path], list[catalogue.Fault]] = catalogue.load_all
    monkeypatch.setattr(catalogue, "load_all", lambda: load(tmp_path / "faults"))
    return made


def test_each_is_planted_on_a_cluster_put_back(world: World) -> None:
    """Control, mark, then run and reset in turn; the cluster is a fresh one, and goes at the end."""
    world.fault("one")
    world.fault("two")

    assert world.go() == 0

    assert world.events == ["delete", "run control", "mark", "run one", "reset", "run two", "reset", "delete"]
    assert "2 of 2 faults caught" in world.output
    assert [one["caught"] for one in world.kept["faults"]] == [True, True]


def test_kept_cluster_is_kept(world: World) -> None:
    """For somebody who wants to look around."""
    world.fault("one")

    world.go(keep="always")

    assert world.events[-1] == "reset"


def test_missed_fault_fails_the_command(world: World) -> None:
    """The others are planted all the same."""
    world.fault("one")
    world.fault("two")
    world.runs["one"] = {"outcome": "held"}

    assert world.go() == 1

    assert f"MISSED: {TEST} held" in world.output
    assert "1 of 2 faults caught" in world.output


def test_control_that_fails_ends_it(world: World) -> None:
    """What fails without any fault proves nothing with one."""
    world.fault("one")
    world.runs["control"] = {"outcome": "inconclusive", "found": "no line"}

    assert world.go() == 1

    assert "run one" not in world.events
    assert "1 tests fail without any fault" in world.output


def test_control_that_does_not_run_is_an_error(world: World) -> None:
    """Its last words are reported."""
    world.fault("one")
    world.runs["control"] = {"outcome": "dies"}

    with pytest.raises(SetupFailed, match="Segmentation fault"):
        world.go()


def test_test_that_no_fault_names_fails_the_command(world: World) -> None:
    """Every test of the areas must be shown to fail; one that is skipped there, or that the control did not reach, need
    not."""
    world.fault("one")
    more = [
        {"id": f"{TEST}_too", "outcome": "held", "reason": ""},
        {"id": f"{TEST}_elsewhere", "outcome": "skipped", "reason": ""},
        {"id": f"{TEST}_late", "outcome": "not run", "reason": ""},
    ]
    world.runs["control"] = {"outcome": "held", "more": more}

    assert world.go() == 1

    assert world.kept["unnamed"] == [f"{TEST}_too"]


@pytest.mark.parametrize(
    ("names", "code", "run"), [((), 0, ["run control", "run one"]), (("two",), 5, ["run control"])]
)
def test_fault_that_nothing_there_can_judge_is_not_planted(
    world: World, names: tuple[str, ...], code: int, run: list[str]
) -> None:
    """Its tests are skipped without it, too: that is reported. Where no other is left nothing was judged."""
    world.fault("one")
    world.fault("two", caught_by=[f"{TEST}_elsewhere"])
    skipped = {"id": f"{TEST}_elsewhere", "outcome": "skipped", "reason": "unproven here: no image"}
    world.runs["control"] = {"outcome": "held", "more": [skipped]}

    assert world.go(*names) == code

    assert [one for one in world.events if one.startswith("run")] == run
    assert "not judged here: two: unproven here: no image\n" in world.output


def test_assertions_that_nothing_reached_are_listed(world: World) -> None:
    """Of the whole catalogue; a part of it says nothing of what others reach. They fail nothing."""
    world.fault("one")

    assert world.go() == 0
    assert world.kept["unreached"] == ["suites/a/test_b.py:3: not x"]


def test_assertions_of_what_cannot_be_judged_there_are_not_listed(world: World) -> None:
    """A test that the cluster skips reaches none of its own."""
    (world.root / "suites" / "a" / "test_b.py").write_text(SUITE + "\n\ndef test_skipped(x):\n    assert x\n")
    world.fault("one")
    skipped = {"id": "suites/a/test_b.py::test_skipped[x]", "outcome": "skipped", "reason": ""}
    world.runs["control"] = {"outcome": "held", "more": [skipped]}

    assert world.go() == 0
    assert world.kept["unreached"] == ["suites/a/test_b.py:3: not x"]


def test_assertions_of_fixtures_that_nobody_asks_there_are_not_listed(world: World) -> None:
    """Nor does a file whose tests the cluster skips, one and all, reach those of its fixtures."""
    fixture = "def limited():\n    assert 1\n\n\ndef test_skipped(limited):\n    assert limited\n"
    (world.root / "suites" / "a" / "test_skipped.py").write_text(fixture)
    world.fault("one")
    skipped = {"id": "suites/a/test_skipped.py::test_skipped", "outcome": "skipped", "reason": ""}
    world.runs["control"] = {"outcome": "held", "more": [skipped]}

    assert world.go() == 0
    assert world.kept["unreached"] == ["suites/a/test_b.py:3: not x"]


def test_part_says_nothing_of_assertions(world: World) -> None:
    """By name or by third."""
    world.fault("one")
    world.fault("two")

    assert world.go("two") == 0

    assert [one for one in world.events if one.startswith("run")] == ["run control", "run two"]
    assert world.kept["unreached"] == []


def test_cluster_that_cannot_be_reset_is_created_again(world: World) -> None:
    """It is reported in one line, and the next run makes a new one."""
    world.fault("one")
    world.cluster.unwilling = True

    assert world.go() == 0

    assert world.events[-3:] == ["reset", "delete", "delete"]
    assert "created again: emulated cluster x: POST /emulated/reset: 500 it will not\n" in world.output


def test_runs_are_reported_what_they_need(world: World) -> None:
    """Their own cluster, kept; little patience; no oracles unasked; the fault's file, or none for the control."""
    world.fault("one")

    world.go()

    env, control = world.environments["one"], world.environments["control"]
    assert env["E2E_FAULT"].endswith("faults/one.yaml")
    assert control["E2E_FAULT"] == ""
    for one in (env, control):
        assert (one["E2E_CLUSTER_NAME"], one["E2E_KEEP"], one["E2E_ORACLES"]) == ("x-faults", "always", "off")
        assert float(one["E2E_PATIENCE"]) < 1


def test_oracles_judge_where_a_fault_is_theirs(world: World) -> None:
    """In its run and in the control, which shows one that is red already; elsewhere they are off."""
    world.fault("one", caught_by=["suites/a::oracles"], beside=[TEST], oracles=True)
    world.fault("two")
    oracle = {"id": "suites/a::oracles", "outcome": "broken", "reason": "a panic: it is TCP"}
    world.runs["control"] = {"outcome": "held", "more": [oracle | {"outcome": "held"}]}
    world.runs["one"] = {"outcome": "held", "more": [oracle]}

    assert world.go() == 0

    assert {name: env["E2E_ORACLES"] for name, env in world.environments.items()} == {
        "control": "on",
        "one": "on",
        "two": "off",
    }
    assert world.asked == {"control": ["suites/a"], "one": [TEST], "two": [TEST]}
    assert world.kept["unnamed"] == []


def test_oracle_that_is_red_already_ends_it(world: World) -> None:
    """Like any test that fails without a fault; asked for by name, the control runs the fault's tests alone."""
    world.fault("one", caught_by=["suites/a::oracles"], beside=[TEST], oracles=True)
    world.fault("two")
    red = {"id": "suites/a::oracles", "outcome": "broken", "reason": "a panic"}
    world.runs["control"] = {"outcome": "held", "more": [red]}

    assert world.go("one") == 1

    assert world.asked == {"control": [TEST]}
    assert "broken suites/a::oracles: a panic" in world.output


def test_no_oracle_judges_unasked(world: World) -> None:
    """Of the faults that were chosen none is an oracle's."""
    world.fault("one", caught_by=["suites/a::oracles"], beside=[TEST], oracles=True)
    world.fault("two")

    assert world.go("two") == 0

    assert {env["E2E_ORACLES"] for env in world.environments.values()} == {"off"}


def test_patience_asked_for_is_kept(world: World) -> None:
    """On a slow machine."""
    world.fault("one")

    world.go(patience=3)

    assert float(world.environments["one"]["E2E_PATIENCE"]) == 3


@pytest.mark.parametrize(
    ("left", "patience", "more"),
    [(3000.0, 1, 0.0), (260.0, 1, 0.0), (250.0, 1, 12.0), (5.0, 1, 5.0), (3000.0, 2, 0.0), (300.0, 2, 240.0)],
)
def test_turn_of_the_hour_is_waited_for(
    world: World, monkeypatch: pytest.MonkeyPatch, left: float, patience: float, more: float
) -> None:
    """Tests of limits begin after it when it is near: a run is given what they wait at most, by the run's patience."""
    monkeypatch.setattr(running, "seconds_left", lambda *_: left)
    world.fault("one")

    world.go(patience=patience)

    assert world.within == running._WITHIN["emulated"] + more


def test_kind_cluster_is_neither_made_nor_reset(world: World) -> None:
    """Each run takes its fault back itself."""
    world.fault("one", on=["emulated", "kind"])
    world.fault("two")

    assert world.go(cluster="kind") == 0

    assert world.events == ["run control", "run one"]
    assert world.environments["one"]["E2E_CLUSTER_NAME"] == "x"
    assert float(world.environments["one"]["E2E_PATIENCE"]) == 1


def test_fault_that_stays_in_a_kind_cluster_ends_it(world: World) -> None:
    """The next one would be planted in a broken cluster."""
    for name in ("one", "two"):
        world.fault(name, on=["emulated", "kind"])
    world.runs["one"] = {"outcome": "broken", "found": "TCP", "undone": False, "trouble": "not undone: it hangs"}

    with pytest.raises(SetupFailed, match="fault one was not undone: not undone: it hangs"):
        world.go(cluster="kind")

    assert "run two" not in world.events


def test_run_that_dies_is_missed(world: World) -> None:
    """With its last words."""
    world.fault("one", on=["emulated", "kind"])
    world.runs["one"] = {"outcome": "dies"}

    with pytest.raises(SetupFailed, match=r"not undone: .*Segmentation fault"):
        world.go(cluster="kind")

    assert "MISSED: no test ran" in world.output


def test_existing_cluster_is_left_alone(world: World) -> None:
    """Faults break things."""
    with pytest.raises(BadInput, match="faults are not planted in an existing cluster"):
        world.go(cluster="existing", context="x")


@pytest.mark.parametrize(
    ("left", "warned"),
    [({"undone": False}, True), ({"outcome": "dies"}, True), ({"undone": True}, False)],
    ids=["not taken back", "nothing is known", "taken back"],
)
def test_interruption_on_kind_says_what_may_still_be_planted(world: World, left: Played, warned: bool) -> None:
    """The cluster stays, and whoever uses it next must know."""
    world.fault("one", on=["emulated", "kind"])
    world.runs["one"] = {"interrupted": True, **left}

    with pytest.raises(KeyboardInterrupt):
        world.go(cluster="kind")

    assert ("interrupted under fault one, which may still be planted" in world.output) == warned
    assert ("make clean" in world.output) == warned
