"""Composes version sets from names such as istio-1.29.1+eg-1.9.0+k8s-1.34, by releases.yaml."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from harness import strict_yaml
from harness.errors import BadInput
from harness.pydantic_message import validate_file
from harness.suggest import did_you_mean
from harness.version_ranges import numbers
from harness.version_sets import GatewayApi, Minor, NodeImage, Version, Versions, VersionSet, find_conflicts, minor

FILE = Path(__file__).resolve().parent.parent / "releases.yaml"
FORM = "istio-1.29.1+eg-1.9.0+k8s-1.34"
Product = Literal["istio", "eg", "k8s"]
PRODUCTS: Mapping[str, str] = {"istio": "Istio", "eg": "Envoy Gateway", "k8s": "Kubernetes"}
_PART = re.compile(r"(?P<product>[a-z0-9]+)-v?(?P<version>\d+\.\d+(?:\.\d+)?)")

T = TypeVar("T")
Sources = Annotated[tuple[Annotated[str, Field(pattern="^https://")], ...], Field(min_length=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class IstioMinor(_Strict):
    """A minor of Istio: its last day of support, its newest known patch, the Bookinfo of its samples."""

    until: date
    newest: Version
    bookinfo: Version
    sources: Sources


class EnvoyGatewayPatch(_Strict):
    """What a patch installs by default. `bundle`: where it differs from its minor's."""

    envoy: Version
    ratelimit: Annotated[str, Field(min_length=7)]
    bundle: Version | None = None


class EnvoyGatewayMinor(_Strict):
    """A minor of Envoy Gateway: its last day of support, the Gateway API of its chart, its patches."""

    until: date
    gateway_api: GatewayApi
    sources: Sources
    patches: Annotated[Mapping[Version, EnvoyGatewayPatch], Field(min_length=1)]


class Node(_Strict):
    """A published node image: the kind release that built it, its digest."""

    kind: Version
    digest: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]


class NodeImages(_Strict):
    sources: Sources
    node_images: Annotated[Mapping[Version, Node], Field(min_length=1)]


class Releases(_Strict):
    """All of releases.yaml."""

    kind: Version
    istio: Mapping[Minor, IstioMinor]
    envoy_gateway: Mapping[Minor, EnvoyGatewayMinor]
    kubernetes: NodeImages

    def newest(self, product: Product, minor_: str) -> str:
        """The newest known patch of a minor: "1.29.9" of "1.29"; of Kubernetes the one that a run uses (`kind`).

        Raises:
            BadInput: the minor is not known.
        """
        if product == "istio":
            return _known(self.istio, minor_, "Istio", "istio").newest
        if product == "eg":
            return max(_known(self.envoy_gateway, minor_, "Envoy Gateway", "envoy_gateway").patches, key=numbers)
        there = {v: node for v, node in self.kubernetes.node_images.items() if label(v) == minor_}
        if not there:
            known = dict.fromkeys(label(v) for v in self.kubernetes.node_images)
            raise BadInput(f"no node image of Kubernetes {minor_} is known (known: {', '.join(known)})", remedy=_NODE)
        fits = [v for v, node in there.items() if numbers(node.kind) <= numbers(self.kind)]
        return max(fits, key=numbers) if fits else min(there, key=numbers)

    def supported(self, row: VersionSet, today: date) -> list[str]:
        """Why a set is out of its projects' support on a day, one sentence each; empty: it is supported."""
        ends = {
            "Istio": (row.istio, self.istio[label(row.istio)].until),
            "Envoy Gateway": (row.envoy_gateway, self.envoy_gateway[label(row.envoy_gateway)].until),
        }
        return [f"{what} {version} had support until {end}" for what, (version, end) in ends.items() if end < today]


_NODE = "NODE_IMAGE=kindest/node:v…@sha256:… uses a node image of your own; releases.yaml lists the published ones"


def load(file: Path = FILE) -> Releases:
    """Reads and checks releases.yaml.

    Raises:
        BadInput: it cannot be read, or a field is wrong; the message names it.
    """
    raw = strict_yaml.read_yaml(file, remedy="restore it: git checkout releases.yaml")
    return validate_file(Releases, raw, file)


def is_composed(name: str) -> bool:
    """Whether a name of VERSIONS= is made of products and versions, and not the name of a set."""
    return bool(name) and ("+" in name or _PART.fullmatch(name.strip()) is not None)


def parts(name: str, variable: str = "VERSIONS") -> dict[Product, str]:
    """The versions in a name, in its order: {"istio": "1.29.1", "k8s": "1.34"} of "istio-1.29.1+k8s-1.34".
    `variable` is what the name was given by.

    Raises:
        BadInput: a part is not of that form, of an unknown product, or there twice.
    """
    found: dict[Product, str] = {}
    for part in name.strip().split("+"):
        match = _PART.fullmatch(part.strip())
        if not match:
            raise BadInput(f"{variable}={name}: {part!r} is not a product with its version", remedy=f"VERSIONS={FORM}")
        product = match["product"]
        if product not in PRODUCTS:
            meant = did_you_mean(product, PRODUCTS)
            raise BadInput(f"{variable}={name}: no product is named {product!r}{meant}", remedy=f"VERSIONS={FORM}")
        if product in found:
            raise BadInput(f"{variable}={name} names {PRODUCTS[product]} twice", remedy=f"VERSIONS={FORM}")
        found[product] = match["version"]  # type: ignore[index]  # one of PRODUCTS
    return found


def resolve(name: str, versions: Versions, releases: Releases) -> VersionSet:
    """The version set that a name of FORM describes. A minor alone is its newest patch; what the name leaves out is
    that of the default set. `remarks` of the set name each assumption.

    Raises:
        BadInput: the name is not of that form, a release is not known, or the versions cannot work together.
    """
    asked, default = parts(name), versions.sets[versions.default]
    istio = _patch(asked.get("istio", default.istio), "istio", releases)
    gateway = _patch(asked.get("eg", default.envoy_gateway), "eg", releases)
    kubernetes = _patch(asked.get("k8s", default.kubernetes), "k8s", releases)
    known, brought, remarks = _brought(gateway, releases)
    of_istio = _known(releases.istio, label(istio), "Istio", "istio")
    if numbers(istio) > numbers(of_istio.newest):
        remarks.insert(0, f"Istio {istio} is newer than the newest that releases.yaml knows ({of_istio.newest})")
    bundle = brought.bundle or known.gateway_api.bundle
    row = VersionSet(
        name=f"istio-{istio}+eg-{gateway}+k8s-{kubernetes}",
        proven="not recorded",
        node_image=_node_image(kubernetes, releases),
        istio=istio,
        envoy_gateway=gateway,
        envoy=brought.envoy,
        ratelimit=brought.ratelimit,
        gateway_api=GatewayApi(bundle=bundle, channel=known.gateway_api.channel),
        conformance=versions.conformance.get(bundle),
        bookinfo=of_istio.bookinfo,
        redis=default.redis,
        metallb=default.metallb,
        curl=default.curl,
        fortio=default.fortio,
        opa=default.opa,
        dex=default.dex,
        distribution=default.distribution,
        ext_proc=default.ext_proc,
        coraza=default.coraza,
        otel_collector=default.otel_collector,
        remarks=tuple(remarks),
    )
    reasons = find_conflicts(row, versions.limits)
    if reasons:
        raise BadInput(
            f"VERSIONS={name} cannot work: " + "; ".join(reasons),
            remedy="name another version: `mesh-e2e versions` lists what works together (limits of versions.yaml)",
        )
    return row


def label(version: str) -> str:
    """ "1.29" of "1.29.6"."""
    return "{}.{}".format(*minor(version))


def _patch(version: str, product: Product, releases: Releases) -> str:
    return version if version.count(".") == 2 else releases.newest(product, version)


def _known(known: Mapping[str, T], minor_: str, what: str, key: str) -> T:
    if minor_ not in known:
        raise BadInput(
            f"{what} {minor_} is not known (known: {', '.join(known)})",
            remedy=f"name a known minor, or add it with its source to `{key}` in releases.yaml",
        )
    return known[minor_]


def _brought(version: str, releases: Releases) -> tuple[EnvoyGatewayMinor, EnvoyGatewayPatch, list[str]]:
    """What a patch of Envoy Gateway brings, and a remark where that is assumed.

    Raises:
        BadInput: its minor is unknown, or no release has that number: its minor has newer ones.
    """
    known = _known(releases.envoy_gateway, label(version), "Envoy Gateway", "envoy_gateway")
    if version in known.patches:
        return known, known.patches[version], []
    newest = max(known.patches, key=numbers)
    if numbers(version) < numbers(newest):
        raise BadInput(
            f"Envoy Gateway {version} is not a known release (known: {', '.join(known.patches)})",
            remedy=f"name one of these, or {label(version)} for {newest}",
        )
    brought = known.patches[newest]
    remark = (
        f"Envoy Gateway {version} is newer than the newest that releases.yaml knows: Envoy {brought.envoy}, rate limit "
        f"service {brought.ratelimit} and the Gateway API {known.gateway_api.bundle} are those of {newest}"
    )
    return known, brought, [remark]


def _node_image(version: str, releases: Releases) -> NodeImage:
    """
    Raises:
        BadInput: no node image of that patch is known: without its digest it could be anything.
    """
    nodes = releases.kubernetes.node_images
    if version not in nodes:
        near = [v for v in nodes if label(v) == label(version)] or list(nodes)
        raise BadInput(f"no node image of Kubernetes {version} is known (known: {', '.join(near)})", remedy=_NODE)
    node = nodes[version]
    return NodeImage(image=f"kindest/node:v{version}@{node.digest}", kind=node.kind)


def combinations(releases: Releases) -> Iterable[tuple[str, str, str]]:
    """Every combination of the newest patches: (Istio, Envoy Gateway, Kubernetes), newest first."""
    minors = dict.fromkeys(label(v) for v in sorted(releases.kubernetes.node_images, key=numbers, reverse=True))
    for istio in sorted(releases.istio, key=numbers, reverse=True):
        for gateway in sorted(releases.envoy_gateway, key=numbers, reverse=True):
            for kubernetes in minors:
                yield (
                    releases.newest("istio", istio),
                    releases.newest("eg", gateway),
                    releases.newest("k8s", kubernetes),
                )
