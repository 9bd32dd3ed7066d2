"""How many files the emulated cluster may open: asked for, or refused in one sentence."""

import resource

import pytest

from harness.cluster.emulated import open_files
from harness.errors import BadInput


@pytest.fixture
def limit(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The process's limit, (soft, hard), as one that can be set without consequences."""
    now = [(1024, 20_000)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: now[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, wanted: now.append(wanted))
    return now


@pytest.mark.parametrize("hard", [20_000, open_files.NEEDED, resource.RLIM_INFINITY])
def test_usual_limit_is_raised(limit: list[tuple[int, int]], hard: int) -> None:
    """1,024 become as many as are needed; the hard limit stays."""
    limit.append((1024, hard))

    open_files.allowed()
    open_files.take()

    assert limit[-1] == (open_files.NEEDED, hard)


@pytest.mark.parametrize("soft", [open_files.NEEDED, 65_536, resource.RLIM_INFINITY])
def test_higher_limit_is_left_alone(limit: list[tuple[int, int]], soft: int) -> None:
    """What is enough is not touched."""
    limit.append((soft, resource.RLIM_INFINITY))

    open_files.take()

    assert limit[-1] == (soft, resource.RLIM_INFINITY)


def test_too_low_a_hard_limit_is_reported(limit: list[tuple[int, int]]) -> None:
    """Who may not have them is reported how many, and where to get them."""
    limit.append((1024, 2048))

    with pytest.raises(BadInput, match=r"may have 2048 open files, .* needs 4096") as refused:
        open_files.allowed()
    assert "limits.conf" in str(refused.value.remedy)
