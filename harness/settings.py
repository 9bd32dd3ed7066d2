"""The one place that reads the environment. `make` passes its variables here; pytest options override them."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Literal, NamedTuple

import pydantic
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from harness.errors import BadInput
from harness.registry import private
from harness.registry.private import Private

ROOT = Path(__file__).resolve().parent.parent
KIND_PROVIDER = "KIND_EXPERIMENTAL_PROVIDER"
ClusterKind = Literal["kind", "existing", "emulated"]
Keep = Literal["never", "on-failure", "always"]
WaypointForm = Literal["binding", "patch", "listener"]


class Settings(BaseSettings):
    """What a run was asked to do. Each field is read from E2E_<NAME>."""

    model_config = SettingsConfigDict(env_prefix="E2E_", extra="ignore", frozen=True, env_ignore_empty=True)

    cluster: ClusterKind = Field("kind", description="which cluster: kind, existing or emulated")
    cluster_name: str = Field("mesh-e2e", pattern=r"^[a-z0-9]([a-z0-9-]{0,40}[a-z0-9])?$")
    keep: Keep = Field("never", description="keep what was made: never, on-failure, always")
    versions: str = Field("", description="a version set's name; empty is the default one")
    waypoint: WaypointForm = Field("binding", description="form of the waypoint manifest")
    kind_bin: str = Field("kind", description="the kind program")
    kubectl_bin: str = Field("kubectl", description="the kubectl program")
    helm_bin: str = Field("helm", description="the helm program")
    tools: Path = Field(ROOT / ".tools", description="where kind, helm and kubectl are fetched to")
    tools_file: Path = Field(ROOT / "tools.yaml", description="which releases of them, and their SHA-256")
    tools_mirror: str = Field("", pattern=r"^(https?://\S+)?$", description="base URL to fetch them from instead")
    workers: int = Field(1, ge=0, le=9, description="kind worker nodes beside the control plane")
    node_image: str = Field("", description="kind node image; empty is the version set's")
    bundle: Path | None = Field(None, description="folder of charts and images made by `make bundle`")
    cache: bool = Field(False, description="kind: pull through caches of the registries, kept for the next run")
    registry: str = Field("", description="one registry for all charts and images: host[:port][/prefix]")
    registry_ca: Path | None = Field(None, description="PEM file of the authority of that registry's certificate")
    registry_plain_http: bool = Field(False, description="speak plain HTTP to that registry, as REGISTRY=http://… does")
    registry_secret: str = Field(
        "", description="name of a pull secret, made of `docker login`, that our pods refer to"
    )
    kubeconfig: Path | None = Field(None, description="existing: the kubeconfig file")
    context: str = Field("", description="existing: the context, by its exact name")
    install: bool = Field(False, description="existing: install the stack (else test what is there)")
    disruptive: bool = Field(False, description="existing: allow tests that touch what is not ours")
    runs: Path = Field(Path("runs"), description="where each run's folder is made")
    state: Path = Field(
        Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "mesh-e2e",
        description="records of what was made, for `make clean`",
    )
    delay_factor: float = Field(30.0, ge=1, description="emulated: measured propagation delays are divided by this")
    patience: float = Field(1.0, gt=0, le=10, description="what is awaited by looking has this many times its bound")
    gather: bool = Field(True, description="gather diagnostics when something fails")
    fault: Path | None = Field(None, description="a file of faults/ to be planted in this run")
    oracles: Literal["auto", "on", "off"] = Field("auto", description="after each area; auto: off under a fault")

    @property
    def private(self) -> Private | None:
        """The private registry that was asked for.

        Raises:
            BadInput: it is not host[:port][/prefix], or its authority's file is not there.
        """
        if not self.registry.strip():
            return None
        if self.registry_ca is not None and not self.registry_ca.is_file():
            raise BadInput(f"REGISTRY_CA={self.registry_ca} is not a file", remedy="the authority's certificate as PEM")
        return private.read(
            self.registry, plain_http=self.registry_plain_http, ca=self.registry_ca, secret=self.registry_secret
        )


# The make variables that decide what a run tests, by field; `make help` and the Makefile know the same.
MAKE = {
    "cluster": "CLUSTER",
    "cluster_name": "CLUSTER_NAME",
    "versions": "VERSIONS",
    "waypoint": "WAYPOINT",
    "workers": "WORKERS",
    "node_image": "NODE_IMAGE",
    "bundle": "BUNDLE",
    "registry": "REGISTRY",
    "registry_ca": "REGISTRY_CA",
    "registry_plain_http": "REGISTRY_PLAIN_HTTP",
    "registry_secret": "REGISTRY_SECRET",
    "kubeconfig": "KUBECONFIG_FILE",
    "context": "CONTEXT",
    "install": "INSTALL",
    "disruptive": "DISRUPTIVE",
}


def as_make_variables(settings: Settings) -> list[str]:
    """What `make e2e` must be given for a run like this one: CLUSTER, and each variable that has not its default,
    as NAME=value, quoted for a shell."""
    found = []
    for field, variable in MAKE.items():
        value = getattr(settings, field)
        if field == "cluster" or value != Settings.model_fields[field].default:
            found.append(f"{variable}={shlex.quote('1' if value is True else str(value))}")
    return found


def read(**overrides: object) -> Settings:
    """The settings of this process, with overrides (pytest options) applied.

    Raises:
        BadInput: a value is not allowed; the message names its variable and what is.
    """
    try:
        return Settings(**{k: v for k, v in overrides.items() if v is not None})  # type: ignore[arg-type]  # checked by pydantic itself
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise BadInput(
            f"{name}={first['input']!r}: {first['msg']}",
            remedy=f"set E2E_{name.upper()} (or the make variable)",
        ) from None


def kind_provider() -> str:
    """What kind's own variable says it is to run nodes on: "podman", "nerdctl"; empty for Docker."""
    return os.environ.get(KIND_PROVIDER, "")


def docker_is_elsewhere() -> bool:
    """Whether DOCKER_HOST names an engine on another machine."""
    return os.environ.get("DOCKER_HOST", "unix:").partition(":")[0] not in ("unix", "fd")


def is_ci() -> bool:
    """Whether a CI system runs us."""
    return os.environ.get("CI", "") not in ("", "false", "0")


def github_summary() -> Path | None:
    """The file whose Markdown GitHub Actions shows on a run's page; None elsewhere."""
    path = os.environ.get("GITHUB_STEP_SUMMARY", "")
    return Path(path) if path else None


class CiBuild(NamedTuple):
    """The CI build that runs us: `name` and `number` as people know it, `url` to click."""

    system: str
    name: str
    number: int
    url: str


def ci_build() -> CiBuild | None:
    """The build, as GitHub Actions names it; None elsewhere."""
    env = os.environ
    run = env.get("GITHUB_RUN_ID", "")
    if not run:
        return None
    number = env.get("GITHUB_RUN_NUMBER", "")
    return CiBuild(
        "GitHub Actions",
        f"{env.get('GITHUB_WORKFLOW', '')} #{number}".strip(),
        int(number) if number.isdigit() else 0,
        f"{env.get('GITHUB_SERVER_URL', '')}/{env.get('GITHUB_REPOSITORY', '')}/actions/runs/{run}",
    )
