"""Known signs excuse what they name, nothing else, and expire."""

from datetime import date
from pathlib import Path

import pytest

from harness.errors import BadInput
from harness.oracles import known_signs
from harness.oracles.signs import Sign

ROOT = Path(__file__).parents[2]
RECORDINGS = ROOT / "tests" / "recordings"
TODAY = date(2026, 11, 21)
FILE = "suites/waypoint/test_form_listener.py"
FAKE = Sign("rejection", "Envoy default/w-1", "refused default/w/fake-hbone: cannot bind '0.0.0.0:15008': in use")
OTHER = Sign("rejection", "Envoy default/w-1", "refused default/w/http: cannot bind '0.0.0.0:9080': in use")


def listed(tmp_path: Path, entry: str) -> tuple[known_signs.KnownSign, ...]:
    """One entry, read."""
    file = tmp_path / "known.yaml"
    file.write_text(f"known:\n  - {{{entry}}}\n")
    return known_signs.read_known_signs(file)


def test_the_list_can_be_read() -> None:
    """Every entry has its reason and link, and ends; the files that it names are there."""
    entries = known_signs.read_known_signs()

    assert entries
    assert [f for entry in entries for f in (*entry.seen_by, *entry.may_be_seen_by) if not (ROOT / f).is_file()] == []


def test_known_sign_is_excused_and_no_other() -> None:
    """Only the one it names, and only where its files ran."""
    found = known_signs.sort_signs([FAKE, OTHER], known_signs.read_known_signs(), files={FILE}, today=TODAY)

    assert found.new == (OTHER,)
    assert [sign for _, sign in found.excused] == [FAKE]
    assert found.expired == ()
    assert known_signs.sort_signs(
        [FAKE], known_signs.read_known_signs(), files={"suites/ingress/test_gateway.py"}, today=TODAY
    ).new == (FAKE,)


RESILIENCE = ("killed", "limiter", "control_planes_away", "node_drained", "refused", "upgraded")


@pytest.mark.parametrize(
    ("area", "files"),
    [
        ("1.7.5/oracles/resilience", {f"suites/resilience/test_{stem}.py" for stem in RESILIENCE}),
        ("1.9.0/oracles/resilience", {f"suites/resilience/test_{stem}.py" for stem in RESILIENCE}),
        ("1.9.0/oracles/journey", {"suites/journey/test_port_15008.py"}),
        (
            "1.9.0/oracles/isolation",
            {f"suites/isolation/test_{stem}.py" for stem in ("bypass", "deleted", "port_80", "routing_service")},
        ),
    ],
)
def test_signs_of_real_runs_are_known(area: str, files: set[str]) -> None:
    """As recorded on kind: 1.9 counts refused configuration by proxy, under another name than 1.7."""
    recorded = (RECORDINGS / f"eg-{area}.txt").read_text().splitlines()
    signs = [Sign(*line.split(": ", 2)) for line in recorded if not line.startswith(" ")]

    assert len(signs) > 5
    assert known_signs.sort_signs(signs, known_signs.read_known_signs(), files=files, today=TODAY).new == ()


def test_entry_that_is_no_longer_seen_expires() -> None:
    """Its file ran, the sign did not come: it must go. Where its file did not run nothing is reported."""
    assert (
        "fake-hbone" in known_signs.sort_signs([], known_signs.read_known_signs(), files={FILE}, today=TODAY).expired[0]
    )
    assert known_signs.sort_signs([], known_signs.read_known_signs(), files=set(), today=TODAY).expired == ()


def test_entry_whose_day_has_come_is_due(tmp_path: Path) -> None:
    """Whether seen or not, in every area; it fails none, and excuses all the same: it is reported once, by the run."""
    entries = listed(tmp_path, "id: x, match: fake, may_be_seen_by: [f], until: 2026-11-20, reason: r, link: l")

    assert known_signs.sort_signs([FAKE], entries, files={"f"}, today=date(2026, 11, 20)).due == ()
    for files in ({"f"}, set()):
        found = known_signs.sort_signs([], entries, files=files, today=TODAY)
        assert found.due == ("known sign x was to be looked at again by 2026-11-20: l",)
        assert found.expired == ()
    assert known_signs.sort_signs([FAKE], entries, files={"f"}, today=TODAY).new == ()


def test_entry_that_comes_and_goes_excuses_where_its_files_ran(tmp_path: Path) -> None:
    """Nobody misses it there; elsewhere it is a sign like any other."""
    entries = listed(tmp_path, "id: x, match: fake, may_be_seen_by: [f, g], until: 2026-11-22, reason: r, link: l")

    assert known_signs.sort_signs([FAKE], entries, files={"g", "h"}, today=TODAY).new == ()
    assert known_signs.sort_signs([FAKE], entries, files={"h"}, today=TODAY).new == (FAKE,)
    assert known_signs.sort_signs([], entries, files={"f", "g"}, today=TODAY).expired == ()


def test_entry_may_be_seen_elsewhere_too(tmp_path: Path) -> None:
    """Where it must be seen it expires, and where it may it does not."""
    entries = listed(tmp_path, "id: x, match: fake, seen_by: [f], may_be_seen_by: [g], reason: r, link: l")

    assert known_signs.sort_signs([FAKE], entries, files={"g"}, today=TODAY).new == ()
    assert known_signs.sort_signs([], entries, files={"g"}, today=TODAY).expired == ()
    assert known_signs.sort_signs([], entries, files={"f", "g"}, today=TODAY).expired


@pytest.mark.parametrize(
    "entry",
    [
        "id: x, match: a, seen_by: [f], link: l",
        "id: x, match: a, seen_by: [f], reason: r",
        "id: x, match: a, reason: r, link: l",
        "id: x, match: a, until: 2026-11-20, reason: r, link: l",
        "id: x, match: a, may_be_seen_by: [f], reason: r, link: l",
        "id: x, match: '(', seen_by: [f], reason: r, link: l",
    ],
)
def test_bad_entry_is_refused(tmp_path: Path, entry: str) -> None:
    """No reason, no link, no files, no end, no pattern."""
    with pytest.raises(BadInput, match="x"):
        listed(tmp_path, entry)
