"""Programs run in pods over a websocket, as the API server speaks it."""

import itertools
import threading
from types import SimpleNamespace

import pytest

import harness.kube.exec
from harness.errors import Inconclusive
from harness.kube import ApiUnavailable, Kube
from tests.fakes.api import Exec, FakeApi
from tests.patience import SOON


@pytest.fixture
def time_flies(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound of a program is reached at its third look at the clock, and counts from the end of the handshake."""
    clock = SimpleNamespace(monotonic=itertools.count(step=SOON / 2).__next__)
    monkeypatch.setattr(harness.kube.exec, "time", clock)


def test_output_and_status_come_apart(kube: Kube, api: FakeApi) -> None:
    """Both streams and the status are the program's own; its words reach it unchanged."""
    output_parts: list[list[str]] = []

    def execute(argv: list[str]) -> Exec:
        output_parts.append(argv)
        return Exec("out\n", "err\n", 0)

    api.execute = execute
    ended = kube.exec_in_pod("default", "client", "curl", ["curl", "--header", "a: b c", "$HOME"], within=SOON)

    assert (ended.code, ended.stdout, ended.stderr) == (0, "out\n", "err\n")
    assert output_parts == [["curl", "--header", "a: b c", "$HOME"]]
    (seen,) = api.asked("GET", "/exec")
    assert seen.path == "/api/v1/namespaces/default/pods/client/exec"
    assert seen.query["container"] == "curl"


def test_status_of_a_program_that_failed_is_an_answer(kube: Kube, api: FakeApi) -> None:
    """A status other than 0 is no error of ours."""
    api.execute = lambda _: Exec("", "curl: (7) refused", 7)

    ended = kube.exec_in_pod("default", "client", "curl", ["curl"], within=SOON)

    assert (ended.code, ended.stderr) == (7, "curl: (7) refused")


def test_much_output_is_whole(kube: Kube, api: FakeApi) -> None:
    """Output of many frames, cut in the middle of characters, is put together."""
    text = "".join(f"{n} é\n" for n in range(20_000))
    api.execute = lambda _: Exec(text)

    assert kube.exec_in_pod("default", "client", "curl", ["curl"], within=SOON).stdout == text


def test_stream_that_breaks_is_unjudged(kube: Kube, api: FakeApi) -> None:
    """Without a word on the program's end nothing is known of what it did."""
    api.execute = lambda _: Exec("half an ans", code=None)

    with pytest.raises(Inconclusive, match="curl in default/client/curl: the stream broke before its end"):
        kube.exec_in_pod("default", "client", "curl", ["curl"], within=SOON)


def test_program_that_does_not_end_is_unjudged(kube: Kube, api: FakeApi, time_flies: None) -> None:
    """Out of time, nothing is known of what it did either."""
    api.execute = lambda _: Exec("begun", hang=True)

    with pytest.raises(Inconclusive, match=rf"did not end within {SOON:g}s"):
        kube.exec_in_pod("default", "client", "curl", ["curl"], within=SOON)


def test_pod_that_is_not_there(kube: Kube, api: FakeApi) -> None:
    """A handshake that is refused is reported, with the server's status."""
    api.refuse("GET", "/exec", 404, "pods not found")

    with pytest.raises(ApiUnavailable, match=r"exec in default/client/curl: .*404"):
        kube.exec_in_pod("default", "client", "curl", ["curl"], within=SOON)


def test_interrupt_during_the_handshake_is_an_interrupt(kube: Kube, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client library turns Ctrl-C into an ordinary failure, which a wait would take for "not yet": we do not."""

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("kubernetes.stream.ws_client.create_websocket", interrupted)

    with pytest.raises(KeyboardInterrupt):
        kube.exec_in_pod("default", "client", "curl", ["curl"], within=SOON)


def test_exec_does_not_spoil_other_calls(kube: Kube, api: FakeApi) -> None:
    """After a stream the same Kube still asks in the ordinary way."""
    api.execute = lambda _: Exec("x")

    kube.exec_in_pod("default", "client", "curl", ["curl"], within=SOON)

    assert kube.list_objects("Pod") == []
    assert harness.kube.exec.ExecResult(0, "", "").code == 0


def test_program_is_interrupted_through_its_terminal(kube: Kube, api: FakeApi) -> None:
    """It goes on until told to stop; what the terminal shows of that is not its output."""
    api.execute = lambda _: Exec('{"sent": 1}\r\n^C{"sent": 2}\r\n', until_stopped=True)
    stop = threading.Event()

    ended = kube.exec_in_pod("default", "client", "fortio", ["fortio"], within=SOON, on_output=stop.set, stop=stop)

    assert (ended.code, ended.stdout) == (0, '{"sent": 1}\r\n{"sent": 2}\r\n')
    assert {"tty": "true", "stdin": "true"}.items() <= api.asked("GET", "exec")[0].query.items()


def test_program_that_is_not_told_to_stop_goes_on(kube: Kube, api: FakeApi, time_flies: None) -> None:
    """Planted: nobody sets the event."""
    api.execute = lambda _: Exec("out", until_stopped=True)

    with pytest.raises(Inconclusive, match="did not end within"):
        kube.exec_in_pod("default", "client", "fortio", ["fortio"], within=SOON, stop=threading.Event())


def test_program_without_a_stop_has_no_terminal(kube: Kube, api: FakeApi) -> None:
    """A terminal changes what is written."""
    api.execute = lambda _: Exec("a ^C b")

    assert kube.exec_in_pod("default", "client", "curl", ["curl"], within=SOON).stdout == "a ^C b"
    assert api.asked("GET", "exec")[0].query["tty"] == "false"
