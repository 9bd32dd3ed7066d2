"""Differences between versions: the file is whole, its claims have sources, and everybody who uses one is named."""

from __future__ import annotations

import ast
from itertools import pairwise
from pathlib import Path

import pytest

from harness import version_differences, version_ranges
from harness.errors import BadInput
from harness.version_differences import load, outside, value
from tests.sources import nodes, tree

ROOT = Path(__file__).resolve().parents[1]
# Patches of the minors that sets can name, and of minors around them.
VERSIONS = {"istio": ("1.28.3", "1.29.1", "1.30.3", "1.31.0"), "envoy-gateway": ("1.6.0", "1.7.5", "1.8.3", "1.9.0")}


@pytest.mark.parametrize(
    ("range", "inside", "out"),
    [(">=1.8,<=1.9", ("1.8.0", "1.9.7", "1.8.0-rc.1"), ("1.7.9", "1.10.0", "2.0.0")), ("<1.8", ("1.7.5",), ("1.8.0",)),
     ("==1.29.1", ("1.29.1",), ("1.29.2",)), (">1.29", ("1.30.0",), ("1.29.6",)), ("!=1.8", ("1.9.0",), ("1.8.3",))],
)  # fmt: skip
def test_range_compares_as_far_as_it_is_written(range: str, inside: tuple[str, ...], out: tuple[str, ...]) -> None:
    assert [version for version in (*inside, *out) if version_ranges.contains(range, version)] == list(inside)


def test_a_range_of_another_form_is_refused() -> None:
    for text in ("1.8", ">=1.8 <1.9", "", ">=x"):
        with pytest.raises(ValueError, match="not a comparison"):
            version_ranges.parse(text)


def test_each_version_has_one_row_at_the_most() -> None:
    """Rows of one difference do not overlap, and neighbours differ."""
    wrong = []
    for name, difference in load().differences.items():
        for version in VERSIONS[difference.product]:
            rows = [row for row in difference.rows if version_ranges.contains(row.versions, version)]
            wrong += [f"{name} {version}: {len(rows)} rows"] if len(rows) > 1 else []
        wrong += [
            f"{name}: {one.value!r} twice" for one, other in pairwise(difference.rows) if one.value == other.value
        ]

    assert wrong == []


def test_versions_that_were_compared_have_rows() -> None:
    """What `compared` names is in some row of each difference of that product."""
    compared = load().compared
    missing = [
        f"{name} {version}"
        for name, difference in load().differences.items()
        for version in VERSIONS[difference.product]
        if version_ranges.contains(compared[difference.product], version)
        and not any(version_ranges.contains(row.versions, version) for row in difference.rows)
    ]

    assert missing == []


def test_recordings_and_users_exist_and_name_the_difference() -> None:
    """A Python module that uses a difference has its name, so that a search finds both ends."""
    wrong = []
    for name, difference in load().differences.items():
        wrong += [row.recording for row in difference.rows if row.recording and not (ROOT / row.recording).is_file()]
        for user in difference.used_by:
            text = (ROOT / user).read_text() if (ROOT / user).is_file() else ""
            if not text or (not user.startswith("suites/") and name not in text and user != _HELM_VALUES):
                wrong.append(f"{name}: {user}")
    for same in load().unchanged:
        named = (*same.used_by, *([same.recording] if same.recording else []))
        wrong += [f"{same.what}: {file}" for file in named if not (ROOT / file).is_file()]

    assert wrong == []


_HELM_VALUES = "harness/install/releases.py"  # gives the value to every chart


def test_marks_of_suites_agree() -> None:
    """since= and before= of a mark `feature` are the limits of the difference that names this feature."""
    wrong = [
        f"{file.relative_to(ROOT)}:{line}: {feature} {word}={limit!r}"
        for file, line, feature, word, limit in _marks()
        if limit not in _limits(feature)
    ]

    assert wrong == []
    assert {feature for _, _, feature, _, _ in _marks()} == {d.feature for d in load().differences.values()} - {""}


def _limits(feature: str) -> set[str]:
    """Where the rows of a feature's difference meet: "1.8" of "<1.8"."""
    rows = [row for one in load().differences.values() if one.feature == feature for row in one.rows]
    return {limit for row in rows for operator, limit in version_ranges.parse(row.versions) if operator == "<"}


def _marks() -> list[tuple[Path, int, str, str, str]]:
    """Marks `feature` of the suites that name a version: file, line, feature, since or before, the version. A feature
    may be named by a constant of the file."""
    found = []
    for file in sorted((ROOT / "suites").rglob("test_*.py")):
        constants = {
            target.id: node.value.value
            for node in tree(file).body
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in nodes(file):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "feature":
                first = node.args[0]
                feature = constants[first.id] if isinstance(first, ast.Name) else ast.literal_eval(first)
                for word in node.keywords:
                    if word.arg in ("since", "before"):
                        found.append((file, node.lineno, str(feature), word.arg, ast.literal_eval(word.value)))
    return found


def test_versions_outside_take_the_nearest_row_with_a_warning() -> None:
    """An unknown newer version counts as the newest, an older one as the oldest; one that was not read, too."""
    assert value("policy_routing_type", "1.11.2") == value("policy_routing_type", "1.9.0") == "enforced"
    assert value("policy_routing_type", "1.2.0") == "accepted and ignored"
    assert value("rejection_counter", "1.8.3") == ""
    assert value("rejection_counter", "unknown") == "xds_nack_total"

    assert outside({"istio": "1.29.6", "envoy-gateway": "1.8.0"}) == []
    assert outside({"istio": "unknown"}) == []
    text = outside({"istio": "1.31.0", "envoy-gateway": "1.10.1"})
    assert [one.partition(" is outside")[0] for one in text] == ["Istio 1.31.0", "Envoy Gateway 1.10.1"]
    assert all("taken from the nearest" in one for one in text)


def test_a_row_that_is_wrong_is_named(tmp_path: Path) -> None:
    file = tmp_path / "d.yaml"
    file.write_text(
        "compared: {istio: '>=1.29', envoy-gateway: '>=1.7'}\nunchanged: []\ndifferences:\n"
        "  one: {product: istio, about: x, used_by: [], rows: [{versions: '1.8', value: a, source: somewhere else}, "
        "{versions: '>=1.8', value: b, source: somewhere else}]}\n"
    )

    with pytest.raises(BadInput, match=r"versions.*'1\.8' is not a comparison"):
        version_differences.load(file)


def test_first_release_of_a_minor_has_its_own_row() -> None:
    """1.9.0 is the limit of "<1.9", and not in it."""
    assert (value("lua", "1.8.3"), value("lua", "1.9.0")) == ("runs", "is not Accepted")
    assert (value("rejection_counter", "1.8.3"), value("rejection_counter", "1.9.0")) == ("", "xds_nack_total")
