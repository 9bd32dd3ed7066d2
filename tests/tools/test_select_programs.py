"""kind, helm and kubectl: PATH's when they fit, else fetched once, whole and by SHA-256, or one refusal."""

import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness.command import which
from harness.errors import BadInput
from harness.tools import select_programs as tools
from harness.tools.select_programs import Name, choose_program
from tests.fakes.programs import Programs
from tests.tools.conftest import Releases

NAMES: list[Name] = ["kind", "helm", "kubectl"]


@pytest.mark.parametrize("name", NAMES)
def test_program_of_path_that_fits_is_used(releases: Releases, programs: Programs, name: Name) -> None:
    """Nothing is fetched for it."""
    programs.have(name)

    chosen = choose_program(name, releases.settings, kind_least="0.31.0")

    assert (chosen.path, chosen.fetched, releases.asked) == (str(programs.home / name), False, [])


@pytest.mark.parametrize("name", NAMES)
def test_absent_program_is_fetched_once(releases: Releases, programs: Programs, name: Name) -> None:
    """It is executable, it is what this process runs by that name, and it stays for the next time."""
    chosen = choose_program(name, releases.settings)
    again = choose_program(name, releases.settings)

    output = subprocess.run([which(name)], capture_output=True, text=True, check=True).stdout
    assert output.startswith(f"{name} v")
    assert chosen == again
    assert chosen.fetched
    assert len(releases.asked) == 1
    assert sorted(path.suffix for path in releases.settings.tools.iterdir() if "partial" in path.name) == []


@pytest.mark.parametrize(
    ("name", "answer", "why"),
    [
        ("kind", {"out": "kind v0.17.0 go1.19 linux/amd64"}, "kind 0.17.0 is too old for the node image"),
        ("helm", {"out": "v2.17.0"}, "helm 2.17.0 is not supported"),
        ("helm", {"out": ""}, "helm (version unknown) is not supported"),
        ("kubectl", {"code": 126, "err": "cannot execute"}, "does not run"),
    ],
)
def test_program_that_does_not_fit_is_passed_over(
    releases: Releases,
    programs: Programs,
    notes: list[tuple[str, str]],
    name: Name,
    answer: dict[str, object],
    why: str,
) -> None:
    """The reason is a note, and the fetched one is used in its place."""
    programs.have(name)
    programs.answer(name, "version", **answer)  # type: ignore[arg-type]  # as parametrized

    assert choose_program(name, releases.settings, kind_least="0.31.0").fetched
    assert any(why in text for _, text in notes)


def test_program_that_was_asked_for_is_not_replaced(releases: Releases, programs: Programs) -> None:
    """KIND_BIN that does not fit is refused; nothing is fetched in its place."""
    programs.have("mine")
    programs.answer("mine", "version", out="kind v0.17.0")
    asked = releases.settings.model_copy(update={"kind_bin": str(programs.home / "mine")})

    with pytest.raises(BadInput, match=r"kind 0\.17\.0 is too old .* needs kind 0\.31\.0 or newer") as caught:
        choose_program("kind", asked, kind_least="0.31.0")

    assert "KIND_BIN" in caught.value.remedy
    assert releases.asked == []


def test_node_image_that_is_too_new_for_any(releases: Releases, programs: Programs) -> None:
    """Where the one that would be fetched is too old as well, it is not fetched."""
    with pytest.raises(BadInput, match=r"too old for the node image, which needs kind 0\.33\.0"):
        choose_program("kind", releases.settings, kind_least="0.33.0")

    assert releases.asked == []


def test_other_bytes_are_refused_and_deleted(releases: Releases, programs: Programs) -> None:
    """A proxy's page, or another file: one sentence with both sums, and nothing stays."""
    (path,) = [path for path in releases.files if path.endswith("kubectl")]
    releases.files[path] = b"<html>sign in</html>"

    with pytest.raises(BadInput, match=r"is not the kubectl v1\.35\.3 that tools\.yaml names \(SHA-256 .*\): deleted"):
        choose_program("kubectl", releases.settings)

    assert [one.name for one in releases.settings.tools.iterdir() if not one.name.endswith(".lock")] == []


def test_archive_without_the_program(releases: Releases, programs: Programs) -> None:
    """An archive that matches its sum and holds something else is one refusal too."""
    file = releases.settings.tools_file
    file.write_text(file.read_text().replace("{os}-{arch}/helm", "elsewhere"))

    with pytest.raises(BadInput, match="should hold elsewhere cannot be read"):
        choose_program("helm", releases.settings)


@pytest.mark.parametrize(("first", "asked"), [([503, 429], 3), ([404], 1), ([403], 1), ([500, 500, 500], 3)])
def test_passing_failures_are_tried_again(releases: Releases, programs: Programs, first: list[int], asked: int) -> None:
    """Three times in all; what is final is not asked for again, and its status is in the refusal."""
    releases.first = list(first)
    final = first[-1]

    if asked == 3 and len(first) == 2:
        assert choose_program("kind", releases.settings).fetched
    else:
        with pytest.raises(BadInput, match=rf"cannot be fetched from http.*{final}") as caught:
            choose_program("kind", releases.settings)
        assert "TOOLS_MIRROR" in caught.value.remedy

    assert len(releases.asked) == asked


def test_no_network_is_one_sentence(releases: Releases, programs: Programs) -> None:
    """The URL, the reason and both remedies."""
    nowhere = releases.settings.model_copy(update={"tools_mirror": "http://127.0.0.1:9"})

    with pytest.raises(BadInput, match=r"kind v0\.31\.0 cannot be fetched from http://127\.0\.0\.1:9/") as caught:
        choose_program("kind", nowhere)

    assert "install kind on PATH" in caught.value.remedy


@pytest.mark.parametrize("proxy", ["http://127.0.0.1:9", "socks5://127.0.0.1:9", "nonsense://x"])
def test_proxy_of_the_environment_is_used_but_not_for_loopback(
    releases: Releases, programs: Programs, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    """A mirror on this machine is reached past it; every other host is not, and a dead or odd proxy is a refusal."""
    monkeypatch.setenv("HTTP_PROXY", proxy)
    elsewhere = releases.settings.model_copy(update={"tools_mirror": "http://mirror.invalid"})

    with pytest.raises(BadInput, match=r"cannot be fetched from http://mirror\.invalid"):
        choose_program("kind", elsewhere)
    assert choose_program("kind", releases.settings).fetched


def test_two_at_once_fetch_once(releases: Releases, programs: Programs) -> None:
    """The second waits, and finds what the first has fetched."""
    with ThreadPoolExecutor(4) as pool:
        chosen = list(pool.map(lambda _: choose_program("kubectl", releases.settings), range(4)))

    assert {one.path for one in chosen} == {chosen[0].path}
    assert len(releases.asked) == 1


def test_what_a_killed_run_left_is_cleared(releases: Releases, programs: Programs) -> None:
    """A partial file is never taken for the program."""
    releases.settings.tools.mkdir()
    left = releases.settings.tools / "kind-0.30.0-linux-amd64.archive.partial"
    left.write_text("half")

    assert choose_program("kind", releases.settings).fetched
    assert not left.exists()


def test_folder_that_cannot_be_written(releases: Releases, programs: Programs, tmp_path: Path) -> None:
    """A file in the folder's place is one sentence."""
    (tmp_path / "fetched").write_text("")

    with pytest.raises(BadInput, match="cannot be written to"):
        choose_program("kind", releases.settings)


def test_platform_without_a_release(releases: Releases, programs: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Named, with the way out."""
    monkeypatch.setattr(tools.published, "this_platform", lambda: "freebsd-riscv64")

    with pytest.raises(BadInput, match="no kind is published here for freebsd-riscv64"):
        choose_program("kind", releases.settings)
