"""What a machine lacks: found before anything is made, in the words of the run that would refuse it."""

import json
import resource
import shutil
import socket
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from harness import container_engine_checks, doctor, kernel_modules, offline_bundle, version_sets
from harness.cluster.choose import choose_cluster
from harness.errors import BadInput
from harness.settings import Settings
from tests.fakes.programs import Programs

ROW = version_sets.load().pick()
Usage = namedtuple("Usage", "total used free")


def info(memory_gb: int = 16, version: str = "28.0.1", driver: str = "overlay2") -> str:
    """What `docker info --format {{json .}}` prints."""
    return json.dumps(
        {"ServerVersion": version, "MemTotal": memory_gb * 2**30, "DriverStatus": [["driver-type", driver]]}
    )


@pytest.fixture(autouse=True)
def tools(programs: Programs) -> Programs:
    """A machine with everything."""
    programs.have("docker", "kind", "kubectl", "helm")
    programs.answer("docker", "info", out=info())
    return programs


def found(settings: Settings, **changes: object) -> dict[str, doctor.CheckResult]:
    """The findings by what was looked at."""
    return {one.what: one for one in doctor.run_checks(settings.model_copy(update=changes), ROW)}


def refused(settings: Settings) -> BadInput:
    """What a run with these settings is refused with, in the order in which a run comes to it."""

    def run() -> None:
        if settings.bundle:
            offline_bundle.open_bundle(settings.bundle, ROW)
        choose_cluster(settings, ROW).create()

    with pytest.raises(BadInput) as caught:
        run()
    return caught.value


def test_machine_with_everything(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is missing; every program is named with its version and where it is."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, 100 * 2**30))

    seen = found(settings)

    assert [f for f in seen.values() if f.grade == "missing"] == []
    assert seen["kind"].seen.startswith("0.31.0, ")
    assert seen["kind"].seen.endswith("/kind")
    assert (seen["docker"].seen, seen["docker memory"].seen) == ("Docker 28.0.1", "16.0 GB")
    assert seen["node image"].seen == f"{ROW.node} is here"
    assert seen["cluster mesh-e2e"].seen == "will be made"


def test_proxy_is_named_with_what_uses_it(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that nodes cannot reach, that does not answer, or that is no URL is a warning with its remedy."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{port}")
        seen = found(settings)["proxy https_proxy, HTTPS_PROXY"]
        assert (seen.grade, "kind's nodes cannot reach" in seen.seen) == ("warning", True)
        monkeypatch.setattr("harness.no_proxy.is_loopback", lambda _: False)
        assert found(settings)["proxy https_proxy, HTTPS_PROXY"].grade == "ok"

    seen = found(settings)["proxy https_proxy, HTTPS_PROXY"]
    assert (seen.grade, "accepts no connections" in seen.seen) == ("warning", True)
    monkeypatch.setenv("ALL_PROXY", "http://[")
    assert found(settings)["proxy ALL_PROXY"].seen == "not a URL"


Breaks = Callable[[Programs, pytest.MonkeyPatch, Path], dict[str, object]]
NO_SOCKET = "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock"
NO_HOST = "no such host"
BROKEN: dict[str, tuple[Breaks, str]] = {
    "no docker": (lambda p, m, t: p.lose("docker") or {}, "`docker` is not on PATH"),
    "only podman": (
        lambda p, m, t: p.lose("docker") or p.have("podman") or {},
        "Podman is not supported: docker is not",
    ),
    "podman-docker": (
        lambda p, m, t: p.answer("docker", "--version", out="podman version 5.2.2") or {},
        "Podman is not supported: docker on PATH",
    ),
    "podman socket": (
        lambda p, m, t: p.answer("docker", "version", out='{"Components": [{"Name": "Podman Engine"}]}') or {},
        "Podman is not supported: the engine behind docker",
    ),
    "kind on podman": (
        lambda p, m, t: m.setenv("KIND_EXPERIMENTAL_PROVIDER", "podman") or {},
        "Podman is not supported: KIND_EXPERIMENTAL_PROVIDER=podman",
    ),
    "kind on nerdctl": (
        lambda p, m, t: m.setenv("KIND_EXPERIMENTAL_PROVIDER", "nerdctl") or {},
        "KIND_EXPERIMENTAL_PROVIDER=nerdctl: kind runs on Docker only",
    ),
    "not allowed": (
        lambda p, m, t: p.answer("docker", "version", code=1, err=NO_SOCKET) or {},
        "Docker rejects this user",
    ),
    "not running": (
        lambda p, m, t: p.answer("docker", "version", code=1, err="Cannot connect to the Docker daemon") or {},
        "Docker does not answer: Cannot connect",
    ),
    "no kind": (lambda p, m, t: p.lose("kind") or {}, "kind v0.31.0 cannot be fetched"),
    "no helm": (lambda p, m, t: p.lose("helm") or {}, "helm v4.1.3 cannot be fetched"),
    "no kubectl": (lambda p, m, t: p.lose("kubectl") or {}, "kubectl v1.35.3 cannot be fetched"),
    "old kind": (
        lambda p, m, t: p.answer("kind", "version", out="kind v0.17.0") or {"node_image": "kindest/node:v1.37.0"},
        "kind 0.31.0 is too old for the node image, which needs kind 0.33.0",
    ),
    "old kind by name": (
        lambda p, m, t: p.answer("kind", "version", out="kind v0.17.0") or {"kind_bin": str(p.home / "kind")},
        "kind 0.17.0 is too old for the node image, which needs kind 0.31.0",
    ),
    "no node image": (
        lambda p, m, t: (
            p.answer("docker", "image", code=1) or p.answer("docker", "pull", code=1, err="no such host") or {}
        ),
        "node image",
    ),
    "somebody's cluster": (
        lambda p, m, t: setattr(p, "clusters", ["mesh-e2e"]) or {},
        "a kind cluster named mesh-e2e exists, but this harness did not create it",
    ),
    "no bundle": (lambda p, m, t: {"bundle": t / "none"}, "is not a bundle"),
    "no context": (lambda p, m, t: {"cluster": "existing"}, "selected by the exact name of its context"),
    "no kubeconfig": (
        lambda p, m, t: {"cluster": "existing", "context": "x", "kubeconfig": t / "none"},
        "does not exist",
    ),
    "dead cluster": (
        lambda p, m, t: {"cluster": "existing", "context": "x", "kubeconfig": dead(t)},
        "context x: ",
    ),
    "unknown context": (
        lambda p, m, t: {"cluster": "existing", "context": "y", "kubeconfig": dead(t)},
        "",
    ),
    "few open files": (
        lambda p, m, t: m.setattr(resource, "getrlimit", lambda _: (64, 64)) or {"cluster": "emulated"},
        "this user may have 64 open files",
    ),
}


def dead(folder: Path) -> Path:
    """A kubeconfig with the one context x, of a server that is gone."""
    file = folder / "dead"
    named = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "x", "cluster": {"server": "http://127.0.0.1:9"}}],
        "users": [{"name": "x", "user": {}}],
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
    }
    file.write_text(json.dumps(named))
    return file


@pytest.mark.parametrize("case", BROKEN)
def test_what_a_run_refuses_the_doctor_refuses_in_the_same_words(
    case: str, settings: Settings, tools: Programs, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Same sentence, same remedy, and the run's status is 2; nothing was made for either."""
    breaks, words = BROKEN[case]
    tools.answer("docker", "manifest", code=1, err=NO_HOST)  # the network is gone as well
    asked = settings.model_copy(update=breaks(tools, monkeypatch, tmp_path))

    missing = [one for one in doctor.run_checks(asked, ROW) if one.grade == "missing"]
    error = refused(asked)

    sentence, _, _ = str(error).partition("\n  remedy: ")
    assert (" ".join(sentence.split()), error.remedy) in [(one.seen, one.remedy) for one in missing]
    assert words in sentence
    assert error.remedy
    assert error.exit_code == 2
    assert not tools.calls("kind", "create")


def test_remedy_for_a_forbidden_socket(settings: Settings, tools: Programs) -> None:
    """Not "start Docker": it runs."""
    tools.answer("docker", "version", code=1, err=NO_SOCKET)

    one = found(settings)["docker"]

    assert "usermod -aG docker" in one.remedy
    assert "rootless" in one.remedy
    assert "start Docker" not in one.remedy


def test_engine_that_hangs(settings: Settings, tools: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that never answers is a finding, not a traceback."""
    real = container_engine_checks.run
    monkeypatch.setattr(container_engine_checks, "run", lambda argv, check=True: real(argv, within=1, check=check))
    tools.answer("docker", "version", hang=60)

    assert found(settings)["docker"].seen.startswith("Docker does not answer")


@pytest.mark.parametrize("answer", ["", "nonsense", "[]", '{"MemTotal": "much"}'])
def test_engine_that_answers_nonsense(settings: Settings, tools: Programs, answer: str) -> None:
    """It is a warning."""
    tools.answer("docker", "info", out=answer)

    assert found(settings)["docker memory"].grade == "warning"


@pytest.mark.parametrize(
    ("version", "driver", "grade"),
    [
        ("27.1.0", container_engine_checks.CONTAINERD_STORE, "warning"),
        ("29.1.3", container_engine_checks.CONTAINERD_STORE, "ok"),
        ("27.1.0", "overlay2", "ok"),
    ],
)
def test_images_that_kind_load_would_refuse(
    settings: Settings, tools: Programs, version: str, driver: str, grade: str
) -> None:
    """The containerd image store without `docker save --platform` is reported before a bundle is made."""
    tools.answer("docker", "info", out=info(version=version, driver=driver))

    assert found(settings)["docker save"].grade == grade


def test_remedies_are_whole(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each on a line of its own, uncut."""
    monkeypatch.setattr(doctor, "INOTIFY", {"max_user_watches": 2**60})

    text = doctor.results_as_lines(doctor.run_checks(settings, ROW))

    assert any(line.endswith(f"remedy: sudo sysctl fs.inotify.max_user_watches={2**60}") for line in text)


@pytest.mark.parametrize(
    ("kind", "looked_at", "not_looked_at"),
    [
        (
            "kind",
            {"docker", "kind", "helm", "node image", "inotify max_user_watches", "kernel modules"},
            {"this machine"},
        ),
        ("emulated", {"this machine"}, {"docker", "kind", "kubectl", "helm", "kernel modules"}),
    ],
)
def test_only_what_the_cluster_takes_is_looked_at(
    settings: Settings, kind: str, looked_at: set[str], not_looked_at: set[str]
) -> None:
    """Each kind of cluster has its own needs; cores, memory and disk are everyone's."""
    seen = set(found(settings, cluster=kind))

    assert looked_at | {"cores", "memory", "disk"} <= seen
    assert not_looked_at.isdisjoint(seen)


def test_what_may_still_work_is_a_warning(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Little memory, one core, a small disk, a kernel without what istio-cni needs."""
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=2**30))
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0}, raising=False)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, 3 * 2**30))
    monkeypatch.setattr(kernel_modules, "missing_modules", lambda: ["xt_connmark"])

    seen = found(settings)

    names = ("memory", "cores", "disk", "kernel modules")
    assert {name: seen[name].grade for name in names} == dict.fromkeys(names, "warning")
    assert all(seen[name].remedy for name in names)
    assert "xt_connmark" in seen["kernel modules"].seen
