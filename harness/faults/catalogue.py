"""Reads the fault catalogue, faults/*.yaml."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import pydantic
import yaml
from pydantic import BaseModel, ConfigDict, Field

from harness.errors import BadInput
from harness.objects.manifests import Document
from harness.pydantic_message import sentence
from harness.strict_yaml import parse_yaml
from harness.suggest import did_you_mean

FOLDER = Path(__file__).resolve().parents[2] / "faults"
Where = Literal["emulated", "kind"]
ORACLES = "::oracles"  # how the ids end of the items that harness/plugin/oracles.py adds, one after each area


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Patch(_Strict):
    """A JSON merge patch of a live object ("Kind/namespace/name"); undone by patching back what was."""

    object: str
    with_: dict[str, Any] = Field(alias="with")


class Named(_Strict):
    """A live object."""

    object: str


class Scale(_Strict):
    """Another number of replicas, awaited."""

    object: str
    replicas: int = Field(ge=0)


class ManifestChange(_Strict):
    """Another content of a manifest's document: a merge patch of it, or (null) no such document."""

    file: str
    object: str
    with_: dict[str, Any] | None = Field(alias="with")


class Kill(_Strict):
    """Pods by label, ended without grace."""

    namespace: str
    labels: str


class Await(_Strict):
    """Until the object has rolled out or, with a type, until its condition has that status."""

    object: str
    type: str = ""
    status: Literal["True", "False"] = "True"
    about: str | None = None


class Switch(BaseModel):
    """A switch of harness/cluster/emulated/faults.py, with its parameters."""

    model_config = ConfigDict(extra="allow", frozen=True)

    switch: str

    @property
    def parameters(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


class FaultStep(_Strict):
    """One deed: exactly one of the verbs. `on` narrows it to some clusters."""

    on: tuple[Where, ...] = get_args(Where)
    patch: Patch | None = None
    delete: Named | None = None
    scale: Scale | None = None
    apply: tuple[Document, ...] | None = None
    manifest: ManifestChange | None = None
    kill: Kill | None = None
    await_: Await | None = Field(None, alias="await")
    emulated: Switch | None = None

    @pydantic.model_validator(mode="after")
    def _one_verb(self) -> FaultStep:
        if len(self._verbs) != 1:
            raise ValueError(f"a step has exactly one verb, not {sorted(self._verbs) or 'none'}")
        if self.emulated and "on" in self.model_fields_set and self.on != ("emulated",):
            raise ValueError("a switch is of the emulated cluster alone")
        return self

    @property
    def _verbs(self) -> set[str]:
        return {n for n in type(self).model_fields if n != "on" and getattr(self, n) is not None}

    def applies_to(self, cluster: str) -> bool:
        return cluster in (("emulated",) if self.emulated else self.on)


class Fault(_Strict):
    """One planted fault.

    `after` is the fixture after whose set-up it is planted (and before whose teardown it is undone); or "test": right
    before each listed test's own code; or a manifest ("area/stem.yaml"): once that was applied; or a call of a function
    of the harness ("harness.waits.policy_propagation.wait_for_circuit_breaker", or with "#2" the second such call):
    once that has ended.
    `until` is a call before which it is undone already.
    `settle` is how many seconds a real cluster takes to have it everywhere.
    `oracles` has the oracles judge in its run, and is set where one of them ("suites/area::oracles") is to catch it.
    `beside` are tests that run as well, whatever becomes of them: an oracle judges only where some test ran.
    `says` must be in what at least one of the tests says: caught, and for that reason.
    `cause` are words that name what is broken: the first five lines of what one of the tests says must hold them. Empty
    where no rule of harness.causes can name it yet. It is measured, and does not decide whether the fault is caught.
    """

    name: str
    broken: str = Field(min_length=10)
    field: str = Field(min_length=10)
    caught_by: tuple[str, ...] = Field(min_length=1)
    says: str = Field(min_length=1)
    cause: str = ""
    on: tuple[Where, ...] = ("emulated",)
    after: str = "stack"
    until: str = ""
    settle: float = Field(3.0, ge=0, le=60)
    oracles: bool = False
    beside: tuple[str, ...] = ()
    plant: tuple[FaultStep, ...] = Field(min_length=1)

    @pydantic.model_validator(mode="after")
    def _something_to_do(self) -> Fault:
        for cluster in self.on:
            if not self.steps(cluster):
                raise ValueError(f"nothing is planted on {cluster}")
        return self

    @pydantic.model_validator(mode="after")
    def _oracles_that_judge(self) -> Fault:
        listed = [one for one in self.caught_by if is_oracle(one)]
        if bool(listed) != self.oracles:
            raise ValueError(f"oracles is {str(self.oracles).lower()}, and caught_by names {listed or 'none of them'}")
        for one in listed:
            if not any(area_of(test) == area_of(one) for test in self.tests):
                raise ValueError(f"no test of {area_of(one)} runs: its oracle would not judge")
        return self

    @property
    def tests(self) -> tuple[str, ...]:
        """The ids that pytest is asked to run; oracles come by themselves."""
        return (*(one for one in self.caught_by if not is_oracle(one)), *self.beside)

    def steps(self, cluster: str) -> list[FaultStep]:
        """What is to be done on this kind of cluster, in order."""
        return [step for step in self.plant if step.applies_to(cluster)]


def is_oracle(listed: str) -> bool:
    """Whether a listed id is of an area's oracle, not of a test."""
    return listed.endswith(ORACLES)


def area_of(listed: str) -> str:
    """The folder of a listed id: "suites/ingress"."""
    return "/".join(listed.partition("::")[0].split("/")[:2])


def load(file: Path) -> Fault:
    """One file of the catalogue.

    Raises:
        BadInput: it cannot be read or does not say what a fault must; the message names file and field.
    """
    try:
        found = parse_yaml(file.read_text())
        if not isinstance(found, dict):
            raise BadInput(f"{file}: not a mapping")
        if "name" in found:
            raise BadInput(f"{file}: name: a fault has the name of its file")
        # YAML 1.1 reads the key `on` as true.
        return Fault(name=file.stem, **_named(found))
    except OSError as error:
        raise BadInput(f"{file}: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise BadInput(f"{file}: {' '.join(str(error).split())}") from None
    except pydantic.ValidationError as error:
        raise BadInput(f"{file}: {sentence(error)}") from None


def _named(value: Any) -> Any:
    if isinstance(value, dict):
        return {"on" if k is True else k: _named(v) for k, v in value.items()}
    return [_named(one) for one in value] if isinstance(value, list) else value


def load_all(folder: Path = FOLDER) -> list[Fault]:
    """The whole catalogue by name.

    Raises:
        BadInput: as `load`; or it is empty.
    """
    found = [load(file) for file in sorted(folder.glob("*.yaml"))]
    if not found:
        raise BadInput(f"{folder} holds no fault")
    return found


def refuse_elsewhere(fault: Fault, cluster: str) -> None:
    """
    Raises:
        BadInput: the fault cannot be planted on this kind of cluster.
    """
    if cluster not in fault.on:
        raise BadInput(
            f"fault {fault.name} cannot be planted on {'an' if cluster[0] in 'aeiou' else 'a'} {cluster} cluster",
            remedy=f"use CLUSTER={' or CLUSTER='.join(fault.on)}",
        )


def choose_faults(faults: Sequence[Fault], cluster: str, names: Sequence[str], third: int | None) -> list[Fault]:
    """Those that can be planted on this kind of cluster: by name, or every third by name, or all.

    Raises:
        BadInput: a name is unknown, or cannot be planted here.
    """
    known = {fault.name: fault for fault in faults}
    for name in names:
        if name not in known:
            raise BadInput(
                f"no fault is named {name}{did_you_mean(name, known)}",
                remedy="a fault has the name of its file in faults/",
            )
        refuse_elsewhere(known[name], cluster)
    here = [fault for fault in faults if cluster in fault.on]
    chosen = [fault for fault in here if not names or fault.name in names]
    return chosen if third is None else chosen[third - 1 :: 3]
