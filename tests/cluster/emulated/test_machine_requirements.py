"""What the machine lacks for an emulated cluster is refused in one sentence: open files, curl."""

import resource

import pytest

from harness.cluster.emulated import machine_requirements
from harness.errors import BadInput
from tests.fakes.programs import Programs


@pytest.fixture
def limit(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The process's limit, (soft, hard), as one that can be set without consequences."""
    now = [(1024, 20_000)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: now[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, wanted: now.append(wanted))
    return now


@pytest.mark.parametrize("hard", [20_000, machine_requirements.NEEDED, resource.RLIM_INFINITY])
def test_usual_limit_is_raised(limit: list[tuple[int, int]], hard: int) -> None:
    """1,024 become as many as are needed; the hard limit stays."""
    limit.append((1024, hard))

    machine_requirements.check_open_files()
    machine_requirements.raise_open_files()

    assert limit[-1] == (machine_requirements.NEEDED, hard)


@pytest.mark.parametrize("soft", [machine_requirements.NEEDED, 65_536, resource.RLIM_INFINITY])
def test_higher_limit_is_left_alone(limit: list[tuple[int, int]], soft: int) -> None:
    """What is enough is not touched."""
    limit.append((soft, resource.RLIM_INFINITY))

    machine_requirements.raise_open_files()

    assert limit[-1] == (soft, resource.RLIM_INFINITY)


def test_too_low_a_hard_limit_is_reported(limit: list[tuple[int, int]]) -> None:
    """Who may not have them is reported how many, and where to get them."""
    limit.append((1024, 2048))

    with pytest.raises(BadInput, match=r"may have 2048 open files, .* needs 4096") as refused:
        machine_requirements.check_open_files()
    assert "limits.conf" in str(refused.value.remedy)


@pytest.mark.parametrize("version", ["curl 7.81.0 (x86_64-pc-linux-gnu)", "another program"])
def test_curl_that_writes_no_json_is_refused(programs: Programs, version: str) -> None:
    programs.have("curl")
    programs.answer("curl", "--version", out=version)

    with pytest.raises(BadInput, match="cannot use this curl") as refused:
        machine_requirements.check_curl()
    assert refused.value.remedy == "install curl 7.83 or newer, or use CLUSTER=kind"


def test_later_curl_is_enough(programs: Programs) -> None:
    programs.have("curl")
    programs.answer("curl", "--version", out="curl 8.5.0 (x86_64-pc-linux-gnu)")

    assert machine_requirements.check_curl() == "curl 8.5"
