"""A fault's file is read strictly; the repository's own are whole."""

import ast
import inspect
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.cluster.emulated import EmulatedCluster
from harness.errors import BadInput
from harness.faults import call_hooks, catalogue, fault_results
from harness.objects.kind_namespace_name import parse_ref, ref_of
from harness.objects.manifests import MANIFESTS, read_manifest
from harness.oracles import signs
from tests.sources import nodes, tree

ROOT = Path(__file__).resolve().parents[2]
FAULTS = catalogue.load_all()
LEAST = {
    "broken": "Something is broken.",
    "field": "Somebody broke it.",
    "caught_by": ["suites/a/test_b.py::test_c"],
    "says": "TCP",
    "plant": [{"delete": {"object": "Service/default/ratings"}}],
}


def write(folder: Path, text: Any, name: str = "one") -> Path:
    file = folder / f"{name}.yaml"
    file.write_text(text if isinstance(text, str) else yaml.safe_dump(text))
    return file


def test_least_that_a_fault_says(tmp_path: Path) -> None:
    """Its name is the file's; it is planted after the stack, on the emulated cluster, unless it says otherwise."""
    found = catalogue.load(write(tmp_path, LEAST))

    assert (found.name, found.on, found.after, found.settle) == ("one", ("emulated",), "stack", 3.0)
    assert found.steps("emulated")[0].delete is not None


def test_on_is_no_truth_value(tmp_path: Path) -> None:
    """YAML 1.1 reads the bare key `on` as true; here it is where a fault or a step can be planted."""
    text = "\n".join(line for key in LEAST if key != "plant" for line in [yaml.safe_dump({key: LEAST[key]})])
    text += "on: [emulated, kind]\nplant:\n  - on: [kind]\n    delete: { object: Node/a }\n"
    text += "  - emulated: { switch: down }\n"

    found = catalogue.load(write(tmp_path, text))

    assert found.on == ("emulated", "kind")
    assert [step.delete is not None for step in found.steps("kind")] == [True]
    assert [step.emulated is not None for step in found.steps("emulated")] == [True]


def test_switch_takes_its_parameters(tmp_path: Path) -> None:
    """What stands beside the switch's name is passed on."""
    step = {"emulated": {"switch": "waypoint_not_bound", "service": "a", "reason": "b"}}

    (found,) = catalogue.load(write(tmp_path, LEAST | {"plant": [step]})).steps("emulated")

    assert found.emulated is not None
    assert (found.emulated.switch, found.emulated.parameters) == ("waypoint_not_bound", {"service": "a", "reason": "b"})


def test_oracles_judge_beside_tests(tmp_path: Path) -> None:
    """An oracle's id is caught by, and nothing that pytest could be asked to run: tests of its area are."""
    asked = {"caught_by": ["suites/a/test_b.py::test_c", "suites/a::oracles"], "beside": ["suites/a/test_d.py"]}

    found = catalogue.load(write(tmp_path, LEAST | asked | {"oracles": True}))

    assert found.tests == ("suites/a/test_b.py::test_c", "suites/a/test_d.py")
    assert fault_results.areas_of([found]) == ["suites/a"]
    assert catalogue.load(write(tmp_path, LEAST)).tests == tuple(LEAST["caught_by"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"broken": None}, "broken"),
        ({"says": ""}, "says"),
        ({"caught_by": []}, "caught_by"),
        ({"plant": []}, "plant"),
        ({"colour": "red"}, "colour"),
        ({"on": ["existing"]}, "on"),
        ({"plant": [{}]}, "exactly one verb"),
        ({"plant": [{"delete": {"object": "Node/a"}, "kill": {"namespace": "a", "labels": "b"}}]}, "exactly one verb"),
        ({"plant": [{"scale": {"object": "Deployment/a/b", "replicas": -1}}]}, "replicas"),
        ({"plant": [{"on": ["kind"], "emulated": {"switch": "a"}}]}, "emulated cluster alone"),
        ({"on": ["kind"], "plant": [{"emulated": {"switch": "a"}}]}, "nothing is planted on kind"),
        ({"plant": [{"manifest": {"file": "a.yaml", "object": "Node/a"}}]}, "with"),
        ({"oracles": True}, "oracles is true, and caught_by names none of them"),
        ({"caught_by": ["suites/a::oracles"], "beside": ["suites/a/test_b.py"]}, "oracles is false, and caught_by"),
        ({"caught_by": ["suites/a::oracles"], "oracles": True}, "no test of suites/a runs"),
        (
            {"caught_by": ["suites/a::oracles"], "oracles": True, "beside": ["suites/b/test_b.py"]},
            "no test of suites/a runs",
        ),
    ],
)
def test_wrong_file_is_named_with_the_reason(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    """The message names the file and what is wrong in it."""
    file = write(tmp_path, LEAST | change)

    with pytest.raises(BadInput, match=rf"one\.yaml.*{message}"):
        catalogue.load(file)


@pytest.mark.parametrize("text", ["[", "- a", ""])
def test_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    """Not YAML, not a mapping, or nothing at all."""
    file = write(tmp_path, text)

    with pytest.raises(BadInput, match=r"one\.yaml"):
        catalogue.load(file)


def test_empty_folder_is_no_catalogue(tmp_path: Path) -> None:
    """A catalogue without a fault would be fully caught."""
    with pytest.raises(BadInput, match="holds no fault"):
        catalogue.load_all(tmp_path)


def test_thirds_are_the_whole() -> None:
    """The three thirds share nothing and leave nothing out."""
    thirds = [catalogue.choose_faults(FAULTS, "emulated", (), number) for number in (1, 2, 3)]

    names = [fault.name for third in thirds for fault in third]
    assert sorted(names) == sorted(fault.name for fault in FAULTS if "emulated" in fault.on)


def test_only_the_named() -> None:
    """Names choose; an unknown one, or one that cannot be planted there, is refused."""
    here = next(fault.name for fault in FAULTS if fault.on == ("emulated",))

    assert [fault.name for fault in catalogue.choose_faults(FAULTS, "emulated", [here], None)] == [here]
    with pytest.raises(BadInput, match="no fault is named nobody"):
        catalogue.choose_faults(FAULTS, "emulated", ["nobody"], None)
    with pytest.raises(BadInput, match="cannot be planted on a kind cluster"):
        catalogue.choose_faults(FAULTS, "kind", [here], None)


# The repository's own catalogue


def test_faults_that_ci_and_pages_name_exist() -> None:
    """A fault that is gone would end the CI's run with status 2, after all its tests."""
    texts = [file.read_text() for file in (ROOT / ".ci" / "run", *(ROOT / "docs").glob("*.md"))]
    named = {name for text in texts for found in re.findall(r'FAULTS="([^"]*)"', text) for name in found.split()}

    assert len(named) > 10
    assert named <= {fault.name for fault in FAULTS}


def test_catalogue_is_large_enough() -> None:
    """At least thirty faults, and some of them on a real cluster."""
    assert len(FAULTS) >= 32
    assert len([fault for fault in FAULTS if "kind" in fault.on]) >= 15


@cache
def functions(file: str) -> set[str]:
    """The names of the functions in a file of suites/."""
    return {n.name for n in nodes(ROOT / file) if isinstance(n, ast.FunctionDef)}


def test_named_tests_exist() -> None:
    """Each listed id is of a file and a function of suites/, or of the oracle of an area."""
    for fault in FAULTS:
        for listed in filter(catalogue.is_oracle, fault.caught_by):
            assert list((ROOT / catalogue.area_of(listed)).glob("test_*.py")), f"{fault.name}: {listed}"
        for listed in fault.tests:
            file, _, rest = listed.partition("::")
            assert not rest or rest.partition("[")[0] in functions(file), f"{fault.name}: {listed}"


@cache
def fixtures(file: Path) -> set[str]:
    """The names of the pytest fixtures that a file defines."""
    defined = [node for node in nodes(file) if isinstance(node, ast.FunctionDef)]
    return {node.name for node in defined if any("fixture" in ast.unparse(mark) for mark in node.decorator_list)}


def exists(moment: str, tests: Sequence[str]) -> bool:
    """Whether a fault's `after` or `until` names a harness function, a manifest, or a fixture that a test can have."""
    if moment.startswith("harness."):
        try:
            call_hooks.hook_call(moment)()
        except (ValueError, ImportError, AttributeError):
            return False
        return True
    if moment.endswith(".yaml"):
        return (MANIFESTS / moment).is_file()
    files = [ROOT / test.partition("::")[0] for test in tests]
    homes = [*files, *(folder / "conftest.py" for file in files for folder in file.parents if ROOT in file.parents)]
    homes += (ROOT / "harness/plugin").glob("*.py")
    return moment == "test" or any(moment in fixtures(home) for home in homes if home.is_file())


def test_named_moments_exist() -> None:
    """`after` and `until` of each fault name something that exists: a rename that misses them plants nothing."""
    moments = [
        (fault, key, moment) for fault in FAULTS for key in ("after", "until") if (moment := getattr(fault, key))
    ]

    assert moments
    assert [f"{fault.name}: {key}: {at}" for fault, key, at in moments if not exists(at, fault.tests)] == []


@pytest.mark.parametrize(
    "moment", ["gone", "mesh/gone.yaml", "harness.gone.function", "harness.wait.gone", "harness.wait.until#0"]
)
def test_moment_that_does_not_exist(moment: str) -> None:
    """No fixture, manifest, module or function has that name, or the number is no number of a call."""
    assert not exists(moment, FAULTS[0].tests)


def test_objects_of_steps_can_be_named() -> None:
    """Kinds are known, and the file of a manifest step holds the step's object."""
    for fault in FAULTS:
        for step in fault.plant:
            for named in (step.patch, step.delete, step.scale, step.await_, step.manifest):
                assert named is None or parse_ref(named.object).kind, fault.name
            if step.manifest:
                held = {str(ref_of(document)) for document in read_manifest(MANIFESTS / step.manifest.file)}
                assert step.manifest.object in held, fault.name


def test_switches_exist() -> None:
    """Every switch is one of the emulator's, with parameters that it takes; none of the emulator's is never planted."""
    switches = pytest.importorskip("harness.cluster.emulated.faults").Faults
    planted = {f"fault_{step.emulated.switch}" for fault in FAULTS for step in fault.plant if step.emulated}

    assert planted >= {name for name in dir(switches) if name.startswith("fault_")}
    for fault in FAULTS:
        for step in fault.plant:
            if step.emulated:
                function = getattr(switches, f"fault_{step.emulated.switch}", None)
                assert function is not None, f"{fault.name}: {step.emulated.switch}"
                inspect.signature(function).bind(None, **step.emulated.parameters)


@pytest.mark.parametrize("oracle", signs.ORACLES)
def test_every_kind_of_sign_is_shown(oracle: str) -> None:
    """An oracle that cannot fail proves nothing: some fault makes it say a sign of this kind."""
    assert [fault.name for fault in FAULTS if fault.oracles and fault.says.startswith(f"{oracle}: ")]


def test_every_test_of_the_areas_is_named() -> None:
    """No test of an area that the catalogue is about is left out, but those that only a real cluster can judge."""
    cannot = EmulatedCluster.cannot_judge.fget(None)  # type: ignore[attr-defined]  # a property of no state
    listed = {one.partition("[")[0] for fault in FAULTS for one in fault.caught_by}
    ids = [
        f"{path.relative_to(ROOT).as_posix()}::{name}"
        for area in fault_results.areas_of(FAULTS)
        for path in sorted((ROOT / area).rglob("test_*.py"))
        for name in judged(path, cannot)
    ]

    left_out = [id for id in ids if not any(fault_results.is_listed(one, id) for one in listed)]

    assert ids
    assert left_out == []


def judged(path: Path, cannot: Mapping[str, str]) -> list[str]:
    """The tests of a file that need nothing of what the cluster cannot judge."""
    body = tree(path).body
    whole = [node for node in body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark"]
    if any(needs(node) & cannot.keys() for node in whole):
        return []
    tests = [node for node in body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]
    return [one.name for one in tests if not any(needs(mark) & cannot.keys() for mark in one.decorator_list)]


def needs(node: ast.AST) -> set[str]:
    """What the `needs` marks within a piece of source ask for."""
    calls = [
        one for one in ast.walk(node) if isinstance(one, ast.Call) and ast.unparse(one.func).endswith("mark.needs")
    ]
    return {ast.literal_eval(argument) for call in calls for argument in call.args}
