"""Differences between versions of Istio and Envoy Gateway, read from version_differences.yaml.

Everything that the harness takes otherwise for another version is asked for here, by the difference's name.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from harness import strict_yaml, version_ranges
from harness.pydantic_message import validate_file

FILE = Path(__file__).with_name("version_differences.yaml")
NAMES = {"istio": "Istio", "envoy-gateway": "Envoy Gateway"}  # products, as the versions of a run name them
Product = Literal["istio", "envoy-gateway"]


def _checked(text: str) -> str:
    version_ranges.parse(text)
    return text


Range = Annotated[str, AfterValidator(_checked)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Row(_Strict):
    """What holds for a range of versions, where that was looked up, and a recording of it ("" for none)."""

    versions: Range
    value: str
    source: str = Field(min_length=10)
    recording: str = ""


class Difference(_Strict):
    """`feature` is the name of the cell of the support table that the difference decides, "" for none."""

    product: Product
    about: str
    used_by: tuple[str, ...]
    feature: str = ""
    rows: tuple[Row, ...] = Field(min_length=2)

    def row(self, version: str) -> Row:
        """The row of a version ("1.7.5"); the nearest one where no range has it."""
        # A version may lie at the very limit of a range that does not hold it: 1.9.0 of "<1.9".
        return min(
            self.rows,
            key=lambda row: (
                not version_ranges.contains(row.versions, version),
                version_ranges.distance(row.versions, version),
            ),
        )


class Unchanged(_Strict):
    """What was compared and is the same in all of the compared versions."""

    what: str
    product: Product
    used_by: tuple[str, ...]
    source: str = Field(min_length=10)
    recording: str = ""


class Differences(_Strict):
    """The whole file."""

    compared: Mapping[Product, Range]
    differences: Mapping[str, Difference]
    unchanged: tuple[Unchanged, ...]


@cache
def load(file: Path = FILE) -> Differences:
    """Reads and checks the file.

    Raises:
        BadInput: it cannot be read, is not YAML, or a field is wrong; the message names it.
    """
    return validate_file(Differences, strict_yaml.read_yaml(file), file)


def value(name: str, version: str) -> str:
    """What holds for a version ("1.7.5"), by the difference's name; for one that was not read, what holds for the
    newest.

    Raises:
        KeyError: there is no such difference.
    """
    difference = load().differences[name]
    try:
        return difference.row(version).value
    except ValueError:
        return difference.rows[-1].value


def outside(versions: Mapping[str, str]) -> list[str]:
    """One sentence for each product whose version is outside of what was compared. `versions` are those that run, by
    component; a version that was not read ("unknown") is left out."""
    found = []
    for product, range in load().compared.items():
        version = versions.get(product, "")
        try:
            known = version_ranges.contains(range, version)
        except ValueError:
            continue
        if not known:
            found.append(
                f"{NAMES[product]} {version} is outside of the versions that the harness knows ({range}): what differs "
                "by version is taken from the nearest (harness/version_differences.yaml)"
            )
    return found
