"""The command line: exit codes, and one sentence for each failure."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness import cli, cluster_records, version_sets
from harness.cluster_records import Record
from harness.errors import SetupFailed
from harness.settings import Settings
from harness.standard_output import READER_GONE
from harness.wait import until
from tests.fakes.programs import Programs
from tests.patience import SOON

ROOT = str(Path(__file__).resolve().parents[2])
ROW = version_sets.load().pick()


@pytest.fixture(autouse=True)
def asked(settings: Settings, own_world: None, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """State in the test's own folder, by the variable."""
    monkeypatch.setenv("E2E_STATE", str(settings.state))
    return settings


def test_images_are_listed_with_the_node_image(capsys: pytest.CaptureFixture[str]) -> None:
    """Every image of the set, one a line and whole, the node image first."""
    assert cli.main(["images"]) == 0
    assert capsys.readouterr().out.splitlines() == [ROW.node, *ROW.with_helpers().images.values()]


def test_images_of_another_set(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The set and the node image are those of the settings."""
    monkeypatch.setenv("E2E_VERSIONS", "istio-1.30-eg-1.8")
    monkeypatch.setenv("E2E_NODE_IMAGE", "mine:1")

    assert cli.main(["images"]) == 0
    output = capsys.readouterr().out.splitlines()
    assert output[0] == "mine:1"
    assert "docker.io/istio/pilot:1.30.3-distroless" in output


def test_images_of_an_upgrade(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of both version sets, each once."""
    monkeypatch.setenv("E2E_UPGRADE_TO", "eg-1.9.0")

    assert cli.main(["images"]) == 0
    output = capsys.readouterr().out.splitlines()
    assert [line for line in output if "/envoy:" in line] == [
        "docker.io/envoyproxy/envoy:distroless-v1.37.5",
        "docker.io/envoyproxy/envoy:distroless-v1.39.0",
    ]
    assert (
        len(output) == len(set(output)) == 1 + len(ROW.with_helpers().images) + len(("gateway", "envoy", "ratelimit"))
    )


def test_images_of_a_private_registry(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The list is what is then pulled, the node image too."""
    monkeypatch.setenv("E2E_REGISTRY", "localhost:5001/m")

    assert cli.main(["images"]) == 0
    output = capsys.readouterr().out.splitlines()
    assert len(output) == 1 + len(ROW.with_helpers().images)
    assert all(line.startswith("localhost:5001/m/") for line in output)


@pytest.mark.parametrize(
    ("arguments", "variables", "message"),
    [
        (["bundle", ""], {}, "the bundle's folder has no name"),
        (["bundle", "/etc/passwd"], {}, "/etc/passwd is not a folder"),
        (["mirror"], {}, "no registry to fill is named"),
        (["mirror", "--from", "localhost:5002"], {"REGISTRY": "localhost:5001", "BUNDLE": "b"}, "two sources"),
        (["mirror"], {"REGISTRY": "localhost:1"}, "registry localhost:1 does not answer"),
        (["mirror"], {"REGISTRY": "localhost:5001", "BUNDLE": "/etc/passwd"}, "/etc/passwd is not a bundle"),
        (["images"], {"REGISTRY": "me:geheim@r.io"}, "REGISTRY= has a user"),
        (["images"], {"REGISTRY": "r.io", "REGISTRY_CA": "/nowhere"}, "REGISTRY_CA=/nowhere is not a file"),
    ],
)
def test_registries_asked_wrong(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    programs: Programs,
    tmp_path: Path,
    arguments: list[str],
    variables: dict[str, str],
    message: str,
) -> None:
    """Status 2, one sentence and its remedy, no password, and nothing made."""
    programs.have("helm", "docker")
    programs.answer("docker", "version", out="1.48 linux/amd64\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    before = sorted(tmp_path.iterdir())
    for name, value in variables.items():
        monkeypatch.setenv(f"E2E_{name}", value)

    assert cli.main(arguments) == 2
    output = capsys.readouterr().err
    assert message in output
    assert "remedy: " in output
    assert "geheim" not in output
    assert sorted(tmp_path.iterdir()) == before


def test_caches_that_may_be_left_are_not_nothing(
    capsys: pytest.CaptureFixture[str], programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where Docker does not answer, `clean` does not say that nothing was left."""

    def fail(_: Path) -> list[str]:
        raise SetupFailed("registry caches (CACHE=1) may be left")

    programs.have("docker", "kind")
    monkeypatch.setattr("harness.cluster.registry_caches.remove_caches", fail)

    assert cli.main(["clean"]) == 1
    captured = capsys.readouterr()
    assert "nothing of ours was left" not in captured.out
    assert "may be left" in captured.err


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [("CLUSTER", "minikube", "cluster='minikube'"), ("VERSIONS", "none", "no version set is named 'none'")],
)
def test_asked_wrong_is_2(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, variable: str, value: str, message: str
) -> None:
    """A wrong setting is one sentence on standard error, with its remedy, and status 2."""
    monkeypatch.setenv(f"E2E_{variable}", value)

    assert cli.main(["images"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("mesh-e2e images: ")
    assert message in captured.err
    assert "remedy: " in captured.err
    assert "Traceback" not in captured.err


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


def test_doctor_is_content(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Warnings alone are status 0."""
    monkeypatch.setenv("E2E_CLUSTER", "emulated")
    monkeypatch.setattr("shutil.disk_usage", lambda _: shutil._ntuple_diskusage(0, 0, 0))

    assert cli.main(["doctor"]) == 0
    assert "warning  disk" in capsys.readouterr().out


def test_bundle_without_its_programs_makes_nothing(
    capsys: pytest.CaptureFixture[str], programs: Programs, tmp_path: Path
) -> None:
    """Docker and helm are looked for before a folder is made."""
    programs.have("docker")
    assert cli.main(["bundle", str(tmp_path / "b")]) == 2
    assert "helm v4.1.3 cannot be fetched" in capsys.readouterr().err
    programs.lose("docker")
    assert cli.main(["bundle", str(tmp_path / "b")]) == 2
    assert "`docker` is not on PATH" in capsys.readouterr().err
    assert not (tmp_path / "b").exists()


def test_tools_are_named(capsys: pytest.CaptureFixture[str], programs: Programs) -> None:
    """Each program with its version and where it is."""
    programs.have("kind", "helm", "kubectl")

    assert cli.main(["tools"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{name} {version}, {programs.home / name}"
        for name, version in (("kind", "0.31.0"), ("helm", "4.1.3"), ("kubectl", "1.35.3"))
    ]


def test_clean_tells_of_each(capsys: pytest.CaptureFixture[str], programs: Programs, asked: Settings) -> None:
    """Each record's fate is a line; nothing left is reported too; a failure is status 1."""
    programs.have("kind")
    assert cli.main(["clean"]) == 0
    assert "nothing of ours was left" in capsys.readouterr().out

    cluster_records.write_record(asked.state, Record("kind", "left", 2**22 + 1, time.time()))
    assert cli.main(["clean"]) == 0
    assert capsys.readouterr().out == "kind cluster left: gone\n"

    programs.answer("kind", "delete", code=1, err="no")
    cluster_records.write_record(asked.state, Record("kind", "left", 2**22 + 1, time.time()))
    assert cli.main(["clean"]) == 1
    assert "not taken away" in capsys.readouterr().out


def test_index_of_a_folder_with_nothing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A folder without archives is bad input."""
    assert cli.main(["bundle", str(tmp_path), "--index"]) == 2
    assert "has 0 charts and 0 images" in capsys.readouterr().err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGQUIT, 131)])
def test_interrupt_ends_it_as_a_shell_expects(
    monkeypatch: pytest.MonkeyPatch, number: signal.Signals, code: int
) -> None:
    """Ctrl-C and SIGTERM; the handler from before is back afterwards."""
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(version_sets, "load", lambda: signal.raise_signal(number))

    assert cli.main(["images"]) == code
    assert signal.getsignal(signal.SIGTERM) is before


# A run that gathers for a while when it is reported to end, and says more than a pipe holds meanwhile.
GATHERS = """
import pathlib, signal, sys, time
import pytest

@pytest.fixture
def made(request):
    def told(*_):
        raise KeyboardInterrupt
    signal.signal(signal.SIGTERM, told)
    yield
    time.sleep(0.5)
    print("x" * 200_000)
    pathlib.Path({here!r}, "gathered").touch()

def test_a(made):
    pathlib.Path({here!r}, "begun").touch()
    time.sleep(60)
"""


def test_interrupted_bench_lets_its_run_gather_and_undo(tmp_path: Path) -> None:
    """The run inside is reported once, and awaited; the command says what the run printed last."""
    (tmp_path / "test_gathers.py").write_text(GATHERS.format(here=str(tmp_path)))
    call = [sys.executable, "-m", "harness.cli", "bench", str(tmp_path / "test_gathers.py")]
    with subprocess.Popen(call, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": ROOT}) as process:
        until((tmp_path / "begun").exists, bool, what="the run inside has begun", within=SOON, every=0.05)
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=SOON)

    assert process.returncode == 143
    assert (tmp_path / "gathered").exists()
    assert "KeyboardInterrupt" in out


@pytest.mark.parametrize("given", ["settings", "audit --rbac"])  # by rich and by print
def test_reader_that_leaves_is_no_traceback(given: str, settings: Settings) -> None:
    """`mesh-e2e … | head`: nothing is reported to a reader that is gone, and the code is that of SIGPIPE."""
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "harness.cli", *given.split()]
    env = os.environ | {"E2E_STATE": str(settings.state), "E2E_CLUSTER": "emulated", "PYTHONPATH": ROOT}

    ended = subprocess.run(
        command,
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        env=env,
    )
    os.close(write)

    assert "Traceback" not in ended.stderr
    assert "BrokenPipe" not in ended.stderr
    assert ended.returncode == READER_GONE
