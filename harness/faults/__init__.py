"""Planted faults: defects that the suites must detect, each for the right reason.

`catalogue` reads faults/*.yaml, `planting` does and undoes what they say inside a run, `running` starts the runs,
`assertion_coverage` finds the assertions that no fault has made fail, `report` shows what came of it all.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from harness.settings import Settings
from harness.version_sets import VersionSet


def run_catalogue(
    settings: Settings, versions: VersionSet, names: Sequence[str], third: int | None, out: Console
) -> int:
    """Plants the faults (only these names, or a fixed third) one after the other; 0 if all were caught, else 1.

    Raises:
        BadInput: a file of the catalogue is wrong, or there is no fault of that name here.
        SetupFailed: the runs themselves do not work.
    """
    from harness.faults.running import Catalogue  # not when a run imports `planting`

    return Catalogue(settings, versions, out).run(names, third)
