"""The settings of a run. The only module that reads environment variables.

Each setting has one name: the make variable NAME, the pytest option --name, the environment variable E2E_NAME. The few
that differ, and the old names that stay, are in OPTIONS, MAKE_NAMES and ALIASES; docs/settings.md is made of all this
(harness/settings_table.py).
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, get_args

import pydantic
from pydantic import AfterValidator, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from harness.errors import BadInput
from harness.pydantic_message import phrase
from harness.registry import private
from harness.registry.private import PrivateRegistry
from harness.suggest import did_you_mean, nearest_name

ROOT = Path(__file__).resolve().parent.parent
INSTALLED = "in the clone: `make e2e`, or `pip install -e '.[emulated]'`"
KIND_PROVIDER = "KIND_EXPERIMENTAL_PROVIDER"
ClusterKind = Literal["kind", "existing", "emulated"]
Keep = Literal["never", "on-failure", "always"]
WaypointForm = Literal["binding", "patch", "listener"]


Folder = Annotated[Path, AfterValidator(Path.expanduser)]  # `make RUNS=~/runs` is not expanded by every shell

# pytest-kind's options, which keep their names; where that plugin is not loaded they are not there.
OPTIONS = {
    "cluster_name": "--cluster-name",
    "kind_bin": "--kind-bin",
    "kubectl_bin": "--kind-kubectl-bin",
    "kubeconfig": "--kubeconfig",
}
MAKE_NAMES = {"kubeconfig": "KUBECONFIG_FILE"}  # KUBECONFIG is in many an environment, and make reads that
ALIASES = {
    "cluster": ("--e2e-cluster",),
    "versions": ("--version-set",),
    "waypoint": ("--waypoint-form",),
    "keep": ("--keep-cluster",),
    "node_image": ("--kind-image",),
    "kubeconfig": ("E2E_KUBECONFIG_FILE",),
}
MAKE_ONLY = {
    "T": "tests to run (`e2e`, `bench`): paths below suites/, `T=suites` for all; empty: the article's",
    "ARGS": "more of pytest's own arguments (`e2e`): `ARGS='-k page -x'`",
    "FAULTS": "names of faults to plant (`faults`); empty: all",
    "THIRD": "1, 2 or 3: only that third of the faults (`faults`)",
    "RUN": "a run's folder (`reproduce`, `record`)",
    "TEST": "the id of a test (`reproduce`)",
    "FOLDERS": "folders of runs or matrices (`report`)",
    "OUT": "the file of the page (`report`)",
    "FROM": "a registry that has the charts and images, host[:port][/prefix] (`mirror`)",
    "PYTHON": "the Python that the virtual environment is made with",
    "VENV": "where the virtual environment is",
}
STACK_NAMESPACES = ("istio-system", "envoy-gateway-system", "redis-system")
_INTERNAL = ("E2E_OWNER", "E2E_BENCH", "E2E_MAKE")  # what our own processes tell each other


class Settings(BaseSettings):
    """What a run was asked to do. Each field is read from E2E_<NAME>."""

    model_config = SettingsConfigDict(env_prefix="E2E_", extra="ignore", frozen=True, env_ignore_empty=True)

    cluster: ClusterKind = Field("kind", description="which cluster: kind, existing or emulated")
    cluster_name: str = Field(
        "mesh-e2e", pattern=r"^[a-z0-9]([a-z0-9-]{0,40}[a-z0-9])?$", description="the cluster's name (kind, emulated)"
    )
    keep: Keep = Field("never", description="keep what was made: never, on-failure, always")
    versions: str = Field(
        "",
        description="a version set's name, or any versions: istio-1.29.1+eg-1.9.0+k8s-1.34; empty is the default set",
    )
    upgrade_to: str = Field("", description="suites/upgrades: what is upgraded to, eg-1.9.0 or istio-1.30.3")
    eg_chart: str = Field("", description="a build of Envoy Gateway: its chart, a folder or an archive")
    eg_image: str = Field("", description="a build of Envoy Gateway: its image; what Docker holds is loaded")
    istio_hub: str = Field("", description="a build of Istio: where its images are, registry/path")
    istio_tag: str = Field("", description="a build of Istio: the tag of its images, as it is")
    istio_charts: str = Field(
        "", description="a build of Istio: a folder of its charts, such as istio/manifests/charts"
    )
    envoy_image: str = Field("", description="a build of Envoy, for the ingress and the waypoint")
    waypoint: WaypointForm = Field("binding", description="form of the waypoint manifest")
    kind_bin: str = Field("kind", description="the kind program")
    kubectl_bin: str = Field("kubectl", description="the kubectl program")
    helm_bin: str = Field("helm", description="the helm program")
    tools: Path = Field(ROOT / ".tools", description="where kind, helm and kubectl are fetched to")
    tools_file: Path = Field(ROOT / "tools.yaml", description="which releases of them, and their SHA-256")
    tools_mirror: str = Field("", pattern=r"^(https?://\S+)?$", description="base URL to fetch them from instead")
    workers: int = Field(1, ge=0, le=9, description="kind worker nodes beside the control plane")
    node_image: str = Field("", description="kind node image; empty is the version set's")
    bundle: Folder | None = Field(None, description="folder of charts and images made by `make bundle`")
    prepared: bool = Field(
        False, description="kind with a bundle: nodes start with its images unpacked, which the first run prepares"
    )
    lb: bool = Field(False, description="kind: with a load balancer (MetalLB); existing: the cluster has one")
    cache: bool = Field(False, description="kind: pull through caches of the registries, kept for the next run")
    registry: str = Field("", description="one registry for all charts and images: host[:port][/prefix]")
    registry_ca: Folder | None = Field(None, description="PEM file of the authority of that registry's certificate")
    registry_plain_http: bool = Field(False, description="speak plain HTTP to that registry, as REGISTRY=http://… does")
    registry_secret: str = Field(
        "", description="name of a pull secret, made of `docker login`, that our pods refer to"
    )
    kubeconfig: Folder | None = Field(None, description="existing: the kubeconfig file")
    context: str = Field("", description="existing: the context, by its exact name")
    conformance_images: bool = Field(
        False, description="`images`, `bundle`, `mirror`: also the images of the Gateway API's conformance suite"
    )
    conformance_binary: Folder | None = Field(
        None, description="`conformance`: the suite's test binary for the nodes; else it is built, which needs Go"
    )
    replicas: int = Field(
        1, ge=1, le=5, description="replicas of ingress, waypoint and rate limit service, if installed"
    )
    namespace: str = Field(
        "",
        pattern=r"^([a-z0-9]([a-z0-9-]{0,28}[a-z0-9])?)?$",
        description="namespace of the tests and of Bookinfo; empty: mesh-e2e on an existing cluster, else default",
    )
    install: bool = Field(
        False, description="existing: install Istio and Envoy Gateway (else test those that are there)"
    )
    disruptive: bool = Field(False, description="existing: allow tests that touch what is not ours")
    runs: Folder = Field(Path("runs"), description="where each run's folder is made")
    keep_runs: int = Field(50, ge=0, description="run folders that stay, the newest ones; 0: all")
    keep_days: int = Field(90, ge=0, description="days that run folders stay, but the newest stays anyway; 0: for ever")
    state: Folder = Field(
        Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "mesh-e2e",
        description="records of what was made, for `make clean`",
    )
    delay_factor: float = Field(
        30.0, ge=1, allow_inf_nan=False, description="emulated: measured propagation delays are divided by this"
    )
    patience: float = Field(
        1.0, gt=0, le=10, allow_inf_nan=False, description="what is awaited by looking has this many times its bound"
    )
    gather: bool = Field(True, description="gather diagnostics when something fails")
    record: Folder | None = Field(None, description="a folder for recordings of the cluster's logs and statuses")
    fault: Folder | None = Field(None, description="a file of faults/ to be planted in this run")
    enforce: bool = Field(False, description="a run with a skipped claim fails")
    oracles: Literal["auto", "on", "off"] = Field("auto", description="after each area; auto: off under a fault")

    @property
    def suite_namespace(self) -> str:
        """The namespace that this run uses."""
        return self.namespace or ("mesh-e2e" if self.cluster == "existing" else "default")

    @property
    def private(self) -> PrivateRegistry | None:
        """The private registry that was asked for.

        Raises:
            BadInput: it is not host[:port][/prefix], or its authority's file does not exist.
        """
        if not self.registry.strip():
            return None
        if self.registry_ca is not None and not self.registry_ca.is_file():
            raise BadInput(f"REGISTRY_CA={self.registry_ca} is not a file", remedy="the authority's certificate as PEM")
        return private.parse_registry(
            self.registry, plain_http=self.registry_plain_http, ca=self.registry_ca, secret=self.registry_secret
        )

    @property
    def installs_load_balancer(self) -> bool:
        """Whether the load balancer is ours to install: an existing cluster has its own."""
        return self.lb and self.cluster == "kind"


# The make variables that decide what a run tests, by field; `make help` and the Makefile know the same.
MAKE = {
    "cluster": "CLUSTER",
    "cluster_name": "CLUSTER_NAME",
    "versions": "VERSIONS",
    "upgrade_to": "UPGRADE_TO",
    "eg_chart": "EG_CHART",
    "eg_image": "EG_IMAGE",
    "istio_hub": "ISTIO_HUB",
    "istio_tag": "ISTIO_TAG",
    "istio_charts": "ISTIO_CHARTS",
    "envoy_image": "ENVOY_IMAGE",
    "waypoint": "WAYPOINT",
    "workers": "WORKERS",
    "replicas": "REPLICAS",
    "node_image": "NODE_IMAGE",
    "bundle": "BUNDLE",
    "registry": "REGISTRY",
    "registry_ca": "REGISTRY_CA",
    "registry_plain_http": "REGISTRY_PLAIN_HTTP",
    "registry_secret": "REGISTRY_SECRET",
    "kubeconfig": "KUBECONFIG_FILE",
    "context": "CONTEXT",
    "namespace": "NAMESPACE",
    "install": "INSTALL",
    "disruptive": "DISRUPTIVE",
    "lb": "LB",
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


def read_settings(**overrides: object) -> Settings:
    """The settings of this process, with overrides (pytest options) applied. What is empty was not given.

    Raises:
        BadInput: a value is not allowed, or would not be read; the message names its variable and what is allowed.
            Or the package was installed without the files beside it (manifests, suites, versions.yaml).
    """
    if not (ROOT / "manifests").is_dir():
        raise BadInput(f"mesh-e2e runs from a clone of its repository, and {ROOT} is not one", remedy=INSTALLED)
    _refuse_misspelt_make_variables()
    given = {name: value for name, value in overrides.items() if value not in (None, "")}
    other = os.environ.get("E2E_KUBECONFIG_FILE", "")
    if other and not os.environ.get("E2E_KUBECONFIG"):
        given = {"kubeconfig": other} | given
    try:
        found = Settings(**given)  # type: ignore[arg-type]  # checked by pydantic itself
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        raise _wrong(str(first["loc"][0]), first["input"], first["type"], first.get("ctx", {})) from None
    if found.cluster != "existing":
        for field in ("kubeconfig", "context"):
            if getattr(found, field):
                raise BadInput(
                    f"{setting_names(field)[0]} chooses an existing cluster, and CLUSTER is {found.cluster}",
                    remedy="CLUSTER=existing (--cluster existing) tests that cluster; otherwise leave it out",
                )
    _refuse_namespace(found)
    return found


def _refuse_namespace(asked: Settings) -> None:
    """
    Raises:
        BadInput: the namespace asked for belongs to the cluster or the stack, or a fault names objects of `default`.
    """
    name = asked.suite_namespace
    if name.startswith("kube-") or name in STACK_NAMESPACES or (name == "default" and asked.cluster == "existing"):
        raise BadInput(
            f"NAMESPACE={name} is not for tests: the run makes a namespace of its own, and removes it",
            remedy="choose another name, or leave NAMESPACE out",
        )
    if asked.fault and name != "default":
        raise BadInput(f"NAMESPACE={name}: faults are planted in namespace default", remedy="leave NAMESPACE out")


def setting_names(field: str) -> tuple[str, str, str]:
    """A setting's make variable, pytest option and environment variable."""
    return (
        MAKE_NAMES.get(field, field.upper()),
        OPTIONS.get(field, "--" + field.replace("_", "-")),
        f"E2E_{field.upper()}",
    )


def unused_variables() -> list[str]:
    """What is set in the environment and never read: one sentence each."""
    known = [*(setting_names(field)[2] for field in Settings.model_fields), "E2E_KUBECONFIG_FILE"]
    unread = [name for name in sorted(os.environ) if name.startswith("E2E_") and os.environ[name]]
    return [
        f"{name} is no setting{did_you_mean(name, known) or ': see docs/settings.md'}"
        for name in unread
        if name not in (*known, *_INTERNAL)
    ]


def _wrong(field: str, value: object, kind: str, context: Mapping[str, Any]) -> BadInput:
    """One sentence with the remedy, for what pydantic refused."""
    info, (make, option, variable) = Settings.model_fields[field], setting_names(field)
    how = f"set {variable} (make {make}=…, pytest {option})"
    if kind == "literal_error":
        allowed = [str(one) for one in get_args(info.annotation)]
        message = f"{field}={value!r} is not one of {', '.join(allowed)}{did_you_mean(str(value), allowed)}"
        return BadInput(message, remedy=how)
    if kind == "string_pattern_mismatch" and field == "cluster_name":
        what = "is not a valid cluster name: lower-case letters, digits and dashes, at most 42, no dash at either end"
        return BadInput(f"{field}={value!r} {what}", remedy=how)
    if kind == "string_pattern_mismatch" and field == "namespace":
        what = "is not a valid namespace name: lower-case letters, digits and dashes, at most 30, no dash at either end"
        return BadInput(f"{field}={value!r} {what}", remedy=how)
    return BadInput(f"{field}={value!r} {phrase(kind, context)}", remedy=f"{how}: {info.description}")


def _refuse_misspelt_make_variables() -> None:
    """`make e2e CLUSTR=kind` would test another cluster than was meant. What is like none of ours is not for us.

    Raises:
        BadInput: of a variable given to make.
    """
    known = [*(setting_names(field)[0] for field in Settings.model_fields), *MAKE_ONLY]
    for name in re.findall(r"(?:^| )([A-Z][A-Z0-9_]*)=", os.environ.get("E2E_MAKE", "")):
        near = nearest_name(name, known) if name not in known and not name.startswith("E2E_") else ""
        if near:
            raise BadInput(f"make has no variable {name}, did you mean {near}?", remedy="docs/settings.md lists all")


def owner_pid() -> int:
    """The process that a cluster of this run belongs to: this one, or the `mesh-e2e faults` that started it."""
    started_by = os.environ.get("E2E_OWNER", "")
    return int(started_by) if started_by.isdigit() else os.getpid()


def kind_provider() -> str:
    """What kind's own variable says it is to run nodes on: "podman", "nerdctl"; empty for Docker."""
    return os.environ.get(KIND_PROVIDER, "")


def is_docker_remote() -> bool:
    """Whether DOCKER_HOST names an engine on another machine."""
    return os.environ.get("DOCKER_HOST", "unix:").partition(":")[0] not in ("unix", "fd")


def without_settings() -> dict[str, str]:
    """This environment's variables that decide what a run does, emptied: for a run that has none of them."""
    return {name: "" for name in os.environ if name.startswith("E2E_") or name == "PYTEST_ADDOPTS"}


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
