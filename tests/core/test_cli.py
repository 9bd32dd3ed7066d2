"""The command line: exit codes, and one sentence for each failure."""

import time
from pathlib import Path

import pytest

from harness import cli, state, versions
from harness.settings import Settings
from harness.state import Record
from tests.fakes.programs import Programs

ROW = versions.load().pick()


@pytest.fixture(autouse=True)
def asked(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """State in the test's own folder, by the variable."""
    monkeypatch.setenv("E2E_STATE", str(settings.state))
    return settings


def test_images_are_listed_with_the_node_image(capsys: pytest.CaptureFixture[str]) -> None:
    """Every image of the set, one a line and whole, the node image first."""
    assert cli.main(["images"]) == 0
    assert capsys.readouterr().out.splitlines() == [ROW.node, *ROW.images.values()]


def test_images_of_another_set(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The set and the node image are those of the settings."""
    monkeypatch.setenv("E2E_VERSIONS", "istio-1.30-eg-1.8")
    monkeypatch.setenv("E2E_NODE_IMAGE", "mine:1")

    assert cli.main(["images"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "mine:1"
    assert "registry.istio.io/release/pilot:1.30.3-distroless" in said


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [("CLUSTER", "minikube", "cluster='minikube'"), ("VERSIONS", "none", "no version set is named 'none'")],
)
def test_asked_wrong_is_2(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    """A wrong setting is one sentence on standard error, with its remedy, and status 2."""
    monkeypatch.setenv(f"E2E_{variable}", value)

    assert cli.main(["images"]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("mesh-e2e images: ")
    assert said in told.err
    assert "remedy: " in told.err
    assert "Traceback" not in told.err


@pytest.mark.parametrize("arguments", [[], ["unknown"], ["faults", "--third", "4"]])
def test_unknown_command_is_2(arguments: list[str]) -> None:
    """argparse tells what there is."""
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)

    assert caught.value.code == 2


def test_doctor_finds_what_is_missing(capsys: pytest.CaptureFixture[str], programs: Programs) -> None:
    """Something missing is status 1, in a table with its remedy."""
    assert cli.main(["doctor"]) == 1
    assert "kind" in capsys.readouterr().out


def test_doctor_is_content(
    capsys: pytest.CaptureFixture[str], programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Warnings alone are status 0."""
    monkeypatch.setenv("E2E_CLUSTER", "existing")
    monkeypatch.setattr("shutil.disk_usage", lambda _: (0, 0, 2**50), raising=True)
    monkeypatch.setattr("harness.doctor.disk", lambda _: __import__("harness.doctor").doctor.Finding("disk", "ok", "x"))
    programs.have("kubectl")

    assert cli.main(["doctor"]) == 0


def test_clean_tells_of_each(capsys: pytest.CaptureFixture[str], programs: Programs, asked: Settings) -> None:
    """Each record's fate is a line; nothing left is said too; a failure is status 1."""
    programs.have("kind")
    assert cli.main(["clean"]) == 0
    assert "nothing of ours was left" in capsys.readouterr().out

    state.write(asked.state, Record("kind", "left", 2**22 + 1, time.time()))
    assert cli.main(["clean"]) == 0
    assert capsys.readouterr().out == "kind cluster left: gone\n"

    programs.answer("kind", "delete", code=1, err="no")
    state.write(asked.state, Record("kind", "left", 2**22 + 1, time.time()))
    assert cli.main(["clean"]) == 1
    assert "not taken away" in capsys.readouterr().out


def test_index_of_a_folder_with_nothing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A folder without archives is bad input."""
    assert cli.main(["bundle", str(tmp_path), "--index"]) == 2
    assert "has 0 charts and 0 images" in capsys.readouterr().err


def test_interrupt_is_130(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C ends it as a shell expects."""

    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(versions, "load", interrupted)

    assert cli.main(["images"]) == 130
