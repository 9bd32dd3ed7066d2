"""What is enforced differently at another time is named."""

from dataclasses import replace

import pytest

from harness.experiments.policy_snapshot import KeptPolicies

BEFORE = KeptPolicies([200, 429], ["-", "RL"], [418, 200], [0, 1], [0, 0, 0], {"script": True})


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({}, []),
        ({"accepted": {"script": False}}, []),  # a condition is not what is enforced
        ({"quota": [200, 200]}, ["quota"]),
        ({"flags": ["-", "UO"]}, ["quota"]),
        ({"script": [500, 500]}, ["script"]),
        ({"reached": [1, 1]}, ["script"]),
        ({"traversed": [1, 1, 1], "script": [200, 200]}, ["script", "routing type"]),
    ],
)
def test_what_differs_is_named(change: dict[str, object], named: list[str]) -> None:
    assert replace(BEFORE, **change).differs_from(BEFORE) == named  # type: ignore[arg-type]  # fields by name
