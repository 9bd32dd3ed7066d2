"""Plans a matrix: its cells, their cost, refused ones with reason, and balanced shards. Pure."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from statistics import median

from harness.errors import BadInput
from harness.matrix.cells import Cell, Condition
from harness.version_ranges import numbers
from harness.version_sets import Versions
from harness.version_sets_from_names import Product, Releases, label, resolve

UNKNOWN_COST = 600.0  # seconds of a cell of which nothing like it was ever run
AXES: tuple[Product, ...] = ("istio", "eg", "k8s")


@dataclass(frozen=True, slots=True)
class Planned:
    """A cell that can run: `seconds` it will take, and whether these were `measured` on that very cell."""

    cell: Cell
    seconds: float
    measured: bool
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """A cell that is not run, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be run, in its order, and what is not."""

    cells: tuple[Planned, ...]
    refused: tuple[Refused, ...] = ()

    @property
    def seconds(self) -> float:
        return sum(one.seconds for one in self.cells)


def candidates(
    versions: Versions, releases: Releases, selection: str, axes: Mapping[Product, Sequence[str]]
) -> list[Cell]:
    """The cells that a selection asks for, possible or not.

    `axes` names versions of some products (patches or minors); of those it does not name: with "all", "pairwise" and
    "supported" each known minor's newest patch, also with "newest", of which the plan keeps one cell, and with "sets"
    those of the default set. Without axes "sets" are the sets of versions.yaml.

    Raises:
        BadInput: an axis names a minor that is not known.
    """
    if selection == "sets" and not axes:
        return list(dict.fromkeys(Cell(r.istio, r.envoy_gateway, r.kubernetes) for r in versions.sets.values()))
    default = versions.sets[versions.default]
    own: dict[Product, str] = {"istio": default.istio, "eg": default.envoy_gateway, "k8s": default.kubernetes}
    found: dict[Product, list[str]] = {}
    for product in AXES:
        if product in axes:
            found[product] = [v if v.count(".") == 2 else releases.newest(product, v) for v in axes[product]]
        elif selection == "sets":
            found[product] = [own[product]]
        else:
            found[product] = [releases.newest(product, one) for one in minors(releases, product)]
    cells = [Cell(i, e, k) for i in found["istio"] for e in found["eg"] for k in found["k8s"]]
    return list(dict.fromkeys(cells))


def minors(releases: Releases, product: Product) -> list[str]:
    """The known minors of a product, newest first."""
    known: Iterable[str] = {
        "istio": releases.istio,
        "eg": releases.envoy_gateway,
        "k8s": dict.fromkeys(label(v) for v in releases.kubernetes.node_images),
    }[product]
    return sorted(known, key=numbers, reverse=True)


def plan(
    cells: Iterable[Cell],
    versions: Versions,
    releases: Releases,
    durations: Mapping[str, Sequence[float]],
    *,
    selection: str = "sets",
    only: Sequence[Condition] = (),
    known: Iterable[str] = (),
    today: date = date.max,
) -> Plan:
    """The plan of cells, longest first. What is not chosen (`only`, `known`: cells judged already) is left out; what
    cannot work, or with "supported" is out of support on a day, is refused with the reason.

    `durations` are earlier seconds by cell name; a cell that never ran costs the median of all.
    """
    done, typical = set(known), _typical(durations)
    possible: list[Planned] = []
    refused: list[Refused] = []

    for cell in cells:
        if cell.name in done or not all(condition.holds(cell) for condition in only):
            continue
        try:
            rows = [resolve(one.versions, versions, releases) for one in dict.fromkeys((cell, cell.target))]
        except BadInput as error:
            refused.append(Refused(cell.name, _why(error)))
            continue
        ended = [why for row in rows for why in releases.supported(row, today)] if selection == "supported" else []
        if ended:
            refused.append(Refused(cell.name, "; ".join(ended)))
            continue
        earlier = durations.get(cell.name, ())
        remarks = tuple(dict.fromkeys(remark for row in rows for remark in row.remarks))
        possible.append(Planned(cell, median(earlier[-3:]) if earlier else typical, bool(earlier), remarks))
    if selection == "newest" and possible:
        possible = [_newest(possible)]
    if selection == "pairwise":
        possible = pairwise(possible)
    return Plan(tuple(sorted(possible, key=lambda one: (-one.seconds, one.cell.name))), tuple(refused))


def _newest(possible: Sequence[Planned]) -> Planned:
    """The cell of the newest Envoy Gateway, of those the newest Istio, of those the newest Kubernetes."""
    return max(
        possible, key=lambda one: tuple(numbers(one.cell.version(product)) for product in ("eg", "istio", "k8s"))
    )


def pairwise(possible: Sequence[Planned]) -> list[Planned]:
    """Few cells that hold every pair of versions of two products that some possible cell holds: each time the one with
    the most pairs that are still missing."""
    pairs = {one: _pairs(one.cell) for one in possible}
    missing = set().union(*pairs.values()) if pairs else set()
    chosen: list[Planned] = []
    while missing:
        best = max(pairs, key=lambda one: (len(pairs[one] & missing), one.cell))
        chosen.append(best)
        missing -= pairs.pop(best)
    return chosen


def _pairs(cell: Cell) -> frozenset[tuple[str, str]]:
    parts = [f"{product}-{cell.version(product)}" for product in AXES]
    return frozenset(itertools.combinations(parts, 2))


def upgrades(cells: Iterable[Cell]) -> list[Cell]:
    """Upgrades between cells: each pair that differs in one of Istio and Envoy Gateway alone, by one step among the
    versions that are there, from the older to the newer one. (The suite upgrades there and back.)"""
    there = sorted(set(cells))
    found = []
    for product in ("istio", "eg"):
        steps = sorted({cell.version(product) for cell in there}, key=numbers)
        for older, newer in itertools.pairwise(steps):
            for cell in there:
                other = Cell(newer, cell.eg, cell.k8s) if product == "istio" else Cell(cell.istio, newer, cell.k8s)
                if cell.version(product) == older and other in there:
                    found.append(Cell(cell.istio, cell.eg, cell.k8s, f"{product}-{newer}"))
    return found


def shards(cells: Sequence[Planned], count: int) -> list[list[Planned]]:
    """The cells over so many shards, the longest first and each to the shard with the least to do so far.

    Raises:
        BadInput: there is no such number of shards.
    """
    if count < 1:
        raise BadInput(f"{count} shards", remedy="--shards 1, or more")
    heap = [(0.0, number) for number in range(count)]
    found: list[list[Planned]] = [[] for _ in range(count)]
    for one in sorted(cells, key=lambda one: (-one.seconds, one.cell.name)):
        load, number = heapq.heappop(heap)
        found[number].append(one)
        heapq.heappush(heap, (load + one.seconds, number))
    return found


def _typical(durations: Mapping[str, Sequence[float]]) -> float:
    last = [seconds[-1] for seconds in durations.values() if seconds]
    return median(last) if last else UNKNOWN_COST


def _why(error: BadInput) -> str:
    """The reason without the name that was asked for."""
    text = str(error).partition("\n  remedy: ")[0]
    return text.partition(" cannot work: ")[2] or text
