"""Port-forwards through kubectl."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import harness.port_forward
from harness import timeouts
from harness.errors import BadInput, NotReady, SetupFailed
from harness.port_forward import port_forward
from harness.wait import until
from tests.fakes.programs import Programs, alive
from tests.patience import SOON

SAID = "Forwarding from 127.0.0.1:40123 -> 19000\n"


@pytest.fixture(autouse=True)
def tools(programs: Programs) -> Programs:
    """kubectl."""
    programs.have("kubectl")
    return programs


def test_port_is_kubectls_own_choice(tools: Programs, tmp_path: Path) -> None:
    """kubectl picks the local port and says which; it ends with the block."""
    tools.answer("kubectl", "port-forward", out=SAID, hang=2 * SOON)

    with port_forward(tmp_path / "kubeconfig", "kind-foo", "default", "pod/x", 19000) as url:
        assert url == "http://127.0.0.1:40123"
        made = tools.call("kubectl")
        assert alive(made.pid)

    until(lambda: alive(made.pid), lambda still: not still, what="kubectl ended", within=SOON, every=0.01)
    assert made.argv == [
        "--kubeconfig", str(tmp_path / "kubeconfig"), "--context", "kind-foo", "port-forward",
        "--namespace", "default", "--address", "127.0.0.1", "pod/x", ":19000",
    ]  # fmt: skip


def test_kubectl_that_ends_is_quoted(tools: Programs, tmp_path: Path) -> None:
    """A pod that does not exist is reported in kubectl's words, at once."""
    tools.answer("kubectl", "port-forward", err='Error from server (NotFound): pods "x" not found\n', code=1)

    with (
        pytest.raises(SetupFailed, match=r'kubectl port-forward ended: .*pods "x" not found'),
        port_forward(tmp_path, "", "default", "pod/x", 80),
    ):
        pass


def once_called(tools: Programs) -> Callable[..., Any]:
    """A wait whose bound counts from when kubectl has begun, however long it takes to start."""

    def wait(*args: Any, **kwargs: Any) -> Any:
        until(lambda: tools.calls("kubectl"), bool, what="kubectl has begun", within=SOON, every=0.01)
        return until(*args, **kwargs)

    return wait


def test_kubectl_that_says_nothing(tools: Programs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a word from kubectl the wait is bounded, and kubectl does not outlive it."""
    monkeypatch.setattr(timeouts, "PORT_FORWARD", 0.3)
    monkeypatch.setattr(harness.port_forward, "until", once_called(tools))
    tools.answer("kubectl", "port-forward", hang=2 * SOON)

    with (
        pytest.raises(NotReady, match="port-forward to default/pod/x:80"),
        port_forward(tmp_path, "", "default", "pod/x", 80),
    ):
        pass

    gone = tools.call("kubectl").pid
    until(lambda: alive(gone), lambda still: not still, what="kubectl ended", within=SOON, every=0.01)


def test_other_lines_are_not_taken_for_a_port(tools: Programs, tmp_path: Path) -> None:
    """Only the line of 127.0.0.1 counts."""
    tools.answer("kubectl", "port-forward", out=f"Forwarding from [::1]:1 -> 80\nwarning\n{SAID}", hang=2 * SOON)

    with port_forward(tmp_path, "", "default", "pod/x", 80) as url:
        assert url.endswith(":40123")


def test_another_kubectl(tools: Programs, tmp_path: Path) -> None:
    """The program may be named."""
    tools.have("oc")
    tools.answer("oc", "port-forward", out=SAID, hang=2 * SOON)

    with port_forward(tmp_path, "", "default", "pod/x", 80, kubectl="oc"):
        assert tools.calls("oc")


def test_missing_kubectl(tools: Programs, tmp_path: Path) -> None:
    """No kubectl is bad input."""
    tools.lose("kubectl")

    with pytest.raises(BadInput, match="kubectl"), port_forward(tmp_path, "", "default", "pod/x", 80):
        pass
