"""Public download locations of all charts and images (references.yaml), and whether registries still have them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from harness import strict_yaml
from harness.errors import BadInput
from harness.pydantic_message import validate_file
from harness.registry.manifest_check import ReferenceCheck, Registries, State
from harness.registry.reference import Reference, parse_reference
from harness.threads import thread_pool
from harness.version_sets import VersionSet
from harness.wait import pause

FILE = Path(__file__).resolve().parent.parent / "references.yaml"
STATES: tuple[State, ...] = get_args(State)
STATE_TEXT = {"gone": "gone", "changed": "changed", "not asked": "could not be asked"}
BOUND, AT_ONCE = 40.0, 8  # seconds for all of them, and questions at a time


class ReferenceSource(BaseModel):
    """Some references, the public pages that name them, and why there is no digest where there is none."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    references: Annotated[tuple[str, ...], Field(min_length=1)]
    sources: Annotated[tuple[Annotated[str, Field(pattern="^https://")], ...], Field(min_length=1)]
    no_digest: str = ""


class Pulled(ReferenceSource):
    """Images or charts: each has a digest, or all of them the reason why not."""

    @model_validator(mode="after")
    def _digests_or_a_reason(self) -> Pulled:
        for text in self.references:
            try:
                reference = parse_reference(text)
            except BadInput as error:
                raise ValueError(str(error)) from None
            if not reference.tag or reference.tag == "latest":
                raise ValueError(f"{text} needs a tag other than latest")
            if bool(reference.digest) == bool(self.no_digest):
                raise ValueError(f"{text} needs either a digest or `no_digest` with the reason")
        return self


class Sources(BaseModel):
    """All of references.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    images: tuple[Pulled, ...]
    charts: tuple[Pulled, ...]
    tools: tuple[ReferenceSource, ...]
    actions: tuple[ReferenceSource, ...]

    def pulled(self) -> list[Reference]:
        """The images and charts, with their digests."""
        return [parse_reference(text) for one in (*self.images, *self.charts) for text in one.references]


def load(file: Path = FILE) -> Sources:
    """Reads and checks references.yaml.

    Raises:
        BadInput: it cannot be read, or a field is wrong; the message names it.
    """
    raw = strict_yaml.read_yaml(file, remedy="restore it: git checkout references.yaml")
    return validate_file(Sources, raw, file)


def pulled_by(rows: Iterable[VersionSet]) -> list[Reference]:
    """Every image and chart that the version sets name, those of the load balancer, of helpers and of the
    conformance suite too, each once: node images, images, charts."""
    named: dict[Reference, None] = {}
    for row in rows:
        charts = [f"{chart.reference}:{chart.version}" for chart in row.charts.values()]
        images = row.with_load_balancer().with_helpers().with_conformance().images.values()
        named |= dict.fromkeys(parse_reference(text) for text in (row.node, *images, *charts))
    return list(named)


def known_digests(known: Iterable[Reference]) -> Mapping[Reference, str]:
    """Digests by the reference without its digest."""
    return {replace(one, digest=""): one.digest for one in known if one.digest}


def make_registries() -> Registries:
    """What asks the registries in this process, within BOUND."""
    return Registries(BOUND, lambda seconds: pause(seconds, why="a registry asked to wait"))


def check_references(
    references: Iterable[Reference],
    expected: Mapping[Reference, str],
    *,
    registry: str = "",
    registries: Registries | None = None,
) -> list[ReferenceCheck]:
    """Asks the registries for each reference, several at a time. With `registry`, that one is asked for all of them.

    Raises:
        BadInput: `registry` is not a host, or host:port.
    """
    asked = registries or make_registries()

    def one(reference: Reference) -> ReferenceCheck:
        digest = reference.digest or expected.get(reference, "")
        return asked.check(reference.moved_to(registry) if registry else reference, digest)

    if registry and parse_reference(f"{registry}/a").registry != registry:
        raise BadInput(f"{registry!r} is not a registry", remedy="--registry localhost:5000")
    with thread_pool(AT_ONCE) as pool:
        return list(pool.map(one, references))


def group_by_reason(answers: Iterable[ReferenceCheck]) -> dict[tuple[State, str], list[str]]:
    """The references that were not found, by what became of them and why."""
    grouped: dict[tuple[State, str], list[str]] = {}
    for one in answers:
        if one.state != "found":
            grouped.setdefault((one.state, one.reason), []).append(str(one.reference))
    return grouped
