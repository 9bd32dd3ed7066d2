"""Cells of the version matrix: a combination of versions, or an upgrade between two. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from harness import version_ranges
from harness.errors import BadInput
from harness.version_ranges import Operator
from harness.version_sets_from_names import PRODUCTS, Product, parts

_CONDITION = re.compile(
    r"\s*(?P<product>[a-z0-9]+)\s*(?P<operator>>=|<=|==|!=|>|<)\s*v?(?P<version>\d+(?:\.\d+){0,2})\s*"
)
FORM = "--only 'istio>=1.29,eg!=1.8'"


@dataclass(frozen=True, order=True, slots=True)
class Cell:
    """One cell: full versions. `upgrade` is empty, or what is upgraded to ("eg-1.9.0") in a run of suites/upgrades."""

    istio: str
    eg: str
    k8s: str
    upgrade: str = ""

    @property
    def versions(self) -> str:
        """What VERSIONS= is for it."""
        return f"istio-{self.istio}+eg-{self.eg}+k8s-{self.k8s}"

    @property
    def name(self) -> str:
        """Its versions, and what they are upgraded to."""
        return f"{self.versions}>{self.upgrade}" if self.upgrade else self.versions

    @property
    def slug(self) -> str:
        """Its name as a folder's."""
        return self.name.replace("+", "-").replace(">", "-to-")

    @property
    def target(self) -> Cell:
        """The cell after the upgrade; without one itself."""
        if not self.upgrade:
            return self
        product, _, version = self.upgrade.partition("-")
        return Cell(**{"istio": self.istio, "eg": self.eg, "k8s": self.k8s, product: version})

    def version(self, product: Product) -> str:
        return {"istio": self.istio, "eg": self.eg, "k8s": self.k8s}[product]


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of --only: a product, a comparison, a version of one to three numbers."""

    product: Product
    operator: Operator
    version: str

    def holds(self, cell: Cell) -> bool:
        """Compared as far as the condition's version goes: 1.29.6 is == 1.29 and <= 1.29, and not > 1.29."""
        return version_ranges.compare(cell.version(self.product), self.operator, self.version)


def cell_versions(versions: str) -> tuple[str, str, str]:
    """Istio, Envoy Gateway and Kubernetes of a cell's `versions`.

    Raises:
        BadInput: one is missing, or it is not such a name.
    """
    found = parts(versions)
    if set(found) != set(PRODUCTS):
        raise BadInput(f"{versions} does not name istio, eg and k8s", remedy="mesh-e2e matrix plan --format json")
    return found["istio"], found["eg"], found["k8s"]


def conditions(text: str) -> list[Condition]:
    """The conditions in a text, separated by commas.

    Raises:
        BadInput: one is not of that form.
    """
    found = []
    for part in text.split(","):
        match = _CONDITION.fullmatch(part)
        if not match or match["product"] not in PRODUCTS:
            raise BadInput(f"{part.strip()!r} is not a condition on istio, eg or k8s", remedy=FORM)
        found.append(Condition(match["product"], match["operator"], match["version"]))  # type: ignore[arg-type]  # as matched
    return found
