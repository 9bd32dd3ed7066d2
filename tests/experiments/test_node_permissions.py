"""Nodes about which a claim says nothing are named as such."""

import pytest

from harness.errors import CannotJudge
from harness.experiments.node_permissions import check_memory_protection_keys, check_privileged_port


def test_cpu_without_keys_judges_nothing() -> None:
    """The flag is one of those that the kernel lists."""
    check_memory_protection_keys(lambda argv: "flags : fpu pku ospke avx")
    with pytest.raises(CannotJudge, match="ospke"):
        check_memory_protection_keys(lambda argv: "flags : fpu pku avx")


@pytest.mark.parametrize("first", ["0\n", "80\n"])
def test_port_that_every_process_may_bind_judges_nothing(first: str) -> None:
    """The kernel names the first port that needs no capability."""
    check_privileged_port(lambda argv: "81\n", 80)
    check_privileged_port(lambda argv: "1024\n", 80)
    with pytest.raises(CannotJudge, match=f"from {first.strip()} on"):
        check_privileged_port(lambda argv: first, 80)
