"""Tables of the measured cost of the mesh, as Markdown and JSON. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from harness.evidence.confidence_intervals import difference, mean_interval, ratio

Series = Mapping[str, Sequence[float]]  # of each path, a value for each round


def path_table(values: Series, baseline: str, unit: str, digits: int = 2) -> str:
    """Of each path the mean, and against the baseline's the difference and the ratio, each with its 95% interval;
    `digits` are those of the unit."""
    rows = [f"| path | {unit} | difference to {baseline} | ratio |", "|---|---|---|---|"]
    for path, found in values.items():
        cells = [path, mean_interval(found).text(digits)]
        against = values[baseline]
        cells += (
            ["", ""] if path == baseline else [difference(found, against).text(digits), ratio(found, against).text()]
        )
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


class Used(Protocol):
    """What a component used."""

    @property
    def cores(self) -> float: ...
    @property
    def memory_bytes(self) -> int: ...


def use_table(idle: Mapping[str, Used], loaded: Mapping[str, Used]) -> str:
    """Of each component cores and mebibytes, idle and under load."""
    rows = ["| component | cores, idle | cores, load | MiB, idle | MiB, load |", "|---|---|---|---|---|"]
    for name, one in idle.items():
        more = loaded[name]
        memory = f"{one.memory_bytes / 2**20:.0f} | {more.memory_bytes / 2**20:.0f}"
        rows.append(f"| {name} | {one.cores:.3f} | {more.cores:.3f} | {memory} |")
    return "\n".join(rows)
