"""The version set that this run uses, with the unreleased builds that settings name."""

from __future__ import annotations

from pathlib import Path

from harness import version_sets, version_sets_from_names
from harness.command import run
from harness.errors import BadInput
from harness.offline_bundle import Bundle, open_bundle
from harness.registry.reference import parse_reference
from harness.settings import Settings
from harness.unreleased_builds import Builds
from harness.version_sets import VersionSet

# Where Istio's own tree has its charts (manifests/charts), beside a folder of charts by their names.
ISTIO_FOLDERS = {
    "base": ("base",),
    "cni": ("cni", "istio-cni"),
    "istiod": ("istiod", "istio-control/istio-discovery"),
    "ztunnel": ("ztunnel",),
}


def version_set(settings: Settings) -> VersionSet:
    """The set that VERSIONS= names, with the builds of EG_CHART=, EG_IMAGE=, ISTIO_HUB=, ISTIO_TAG=, ISTIO_CHARTS= and
    ENVOY_IMAGE= in place of releases.

    Raises:
        BadInput: there is no such set, its versions cannot work together, or a build does not exist.
    """
    row = named(settings.versions).taken_from(settings.private)
    if settings.upgrade_to:
        upgraded(row, settings.upgrade_to)  # what cannot be is refused before anything is made
    row = row.with_load_balancer(settings.installs_load_balancer).with_conformance(settings.conformance_images)
    return with_builds(row, settings)


def named(name: str) -> VersionSet:
    """The set of a name: of versions.yaml, or composed ("istio-1.29.1+eg-1.9.0+k8s-1.34").

    Raises:
        BadInput: there is no such set, or its versions cannot work together.
    """
    known = version_sets.load()
    if name not in known.sets and version_sets_from_names.is_composed(name):
        return version_sets_from_names.resolve(name, known, version_sets_from_names.load())
    return known.pick(name)


def upgraded(row: VersionSet, to: str) -> VersionSet:
    """The set after the upgrade that UPGRADE_TO= describes ("eg-1.9.0"): other versions of one product.

    Raises:
        BadInput: it names no version, several products or Kubernetes, the version that is there, or the versions cannot
            work together.
    """
    asked = version_sets_from_names.parts(to, "UPGRADE_TO")
    if len(asked) != 1 or "k8s" in asked:
        raise BadInput(f"UPGRADE_TO={to} is not an upgrade of Istio or Envoy Gateway", remedy="UPGRADE_TO=eg-1.9.0")
    named_ = {"istio": row.istio, "eg": row.envoy_gateway, "k8s": row.kubernetes} | dict(asked)
    after = named("+".join(f"{product}-{version}" for product, version in named_.items()))
    if (after.istio, after.envoy_gateway) == (row.istio, row.envoy_gateway):
        raise BadInput(f"UPGRADE_TO={to} is the version of {row.name}", remedy="name another one")
    return after.taken_from(row.registry).with_load_balancer(row.has_load_balancer)


def with_target(row: VersionSet, settings: Settings) -> list[VersionSet]:
    """The set, and behind it the one that UPGRADE_TO= upgrades it to: a run needs the charts and images of both.

    Raises:
        BadInput: as `upgraded`.
    """
    return [row, upgraded(row, settings.upgrade_to)] if settings.upgrade_to else [row]


def find_bundle(row: VersionSet, settings: Settings) -> Bundle | None:
    """The folder of charts and images that BUNDLE= names, seen to be whole before anything is made: for an upgrade
    with those of both version sets. None where it names none.

    Raises:
        BadInput: it lacks something.
    """
    if not settings.bundle:
        return None
    found, *_ = [open_bundle(settings.bundle, one) for one in with_target(row, settings)]
    return found


def with_builds(row: VersionSet, settings: Settings) -> VersionSet:
    """The set with the builds that settings name, if they name any.

    Raises:
        BadInput: a chart does not exist, or an image is not a reference with a tag.
    """
    asked = {
        name: getattr(settings, name)
        for name in ("eg_chart", "eg_image", "istio_hub", "istio_tag", "istio_charts", "envoy_image")
        if getattr(settings, name)
    }
    if not asked:
        return row
    charts = {"gateway-helm": _chart("EG_CHART", settings.eg_chart)} if settings.eg_chart else {}
    charts |= _istio_charts(settings.istio_charts) if settings.istio_charts else {}
    asked["istio_hub"] = settings.istio_hub.rstrip("/")
    built = row.model_copy(update={"builds": Builds(**asked, charts=charts)}).taken_from(row.registry)
    for role in built.builds.roles:
        if not parse_reference(built.images[role]).tag:
            raise BadInput(f"{built.images[role]} has no tag", remedy="name the image with its tag: registry/name:tag")
    # A node keeps only what it is given: what Docker does not hold, it pulls.
    digests = {role: digest for role in built.builds.roles if (digest := _digest(built.images[role]))}
    builds = built.builds.model_copy(update={"digests": digests})
    return built.model_copy(update={"builds": builds}).taken_from(row.registry)


def _chart(variable: str, path: str) -> str:
    """A chart's archive or folder.

    Raises:
        BadInput: there is none.
    """
    chart = Path(path).expanduser()
    if not (chart / "Chart.yaml").is_file() and not (chart.is_file() and chart.suffix == ".tgz"):
        raise BadInput(
            f"{variable}={path} is not a chart", remedy="a folder with a Chart.yaml, or the archive of `helm package`"
        )
    return str(chart.resolve())


def _istio_charts(path: str) -> dict[str, str]:
    """The four charts in a folder, as archives or folders, also as Istio's own tree has them.

    Raises:
        BadInput: one is missing; all that are missing are named.
    """
    folder, found = Path(path).expanduser(), dict[str, str]()
    for name, places in ISTIO_FOLDERS.items():
        archives = sorted(folder.glob(f"{name}-[0-9]*.tgz"))
        folders = [folder / place for place in places if (folder / place / "Chart.yaml").is_file()]
        if len(archives) > 1:
            raise BadInput(f"ISTIO_CHARTS={path} has {len(archives)} archives of {name}", remedy="leave one of them")
        if folders or archives:
            found[name] = str([*folders, *archives][0].resolve())
    missing = [name for name in ISTIO_FOLDERS if name not in found]
    if missing:
        raise BadInput(
            f"ISTIO_CHARTS={path} lacks {', '.join(missing)}",
            remedy="a folder with base, cni, istiod and ztunnel as charts or archives, such as istio/manifests/charts",
        )
    return found


def _digest(image: str) -> str:
    """The digest of an image that Docker holds: its id. Empty where Docker holds none, or does not exist."""
    try:
        found = run(["docker", "image", "inspect", "--format", "{{.Id}}", image], check=False)
    except BadInput:
        return ""
    return found.stdout.strip() if found.code == 0 else ""
