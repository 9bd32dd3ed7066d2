"""Version sets, the rows of the matrix: versions, charts, images, unsupported combinations."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr, field_validator

from harness import strict_yaml
from harness.errors import BadInput
from harness.pydantic_message import validate_file
from harness.registry.private import PrivateRegistry
from harness.registry.reference import parse_reference
from harness.suggest import did_you_mean
from harness.unreleased_builds import Builds

FILE = Path(__file__).resolve().parent.parent / "versions.yaml"
UNKNOWN = "unknown"  # what stands for a version that was not observed
ASKED = "(asked for)"  # behind one that was asked for and not observed yet
# These have the images and charts of all Istio versions; its two other registries are gone after December 2026
# (istio/istio#61467).
ISTIO_IMAGES = "docker.io/istio"
ISTIO_CHARTS = "oci://ghcr.io/istio/release/charts"

# YAML reads 1.30 as a number and loses its zero; a version that is not text is therefore refused, by pydantic.
Version = Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+(-[0-9A-Za-z.]+)?$")]
Minor = Annotated[str, Field(pattern=r"^\d+\.\d+$")]
Range = tuple[Minor, Minor]
Words = Annotated[tuple[str, ...], BeforeValidator(lambda text: tuple(text.split()) if isinstance(text, str) else text)]
_VARIANT = re.compile(r"^(distroless|debug|contrib)-|-(distroless|debug)$")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class GatewayApi(_Strict):
    """The Gateway API definitions: bundle version and channel."""

    bundle: Version
    channel: Literal["standard", "experimental"]


class EnvoyGatewayLimits(_Strict):
    kubernetes: Range
    bundle: Version


class Limits(_Strict):
    istio: Mapping[Minor, Range]
    envoy_gateway: Mapping[Minor, EnvoyGatewayLimits]


class Conformance(_Strict):
    """The Gateway API's conformance suite of a bundle: its Go package, the images that its manifests name by role, what
    Envoy Gateway and the mesh are asked to support, and the tests that are left out."""

    package: Annotated[str, Field(pattern=r"^\S+@v\d+\.\d+\.\d+$")]
    images: Annotated[Mapping[str, str], Field(min_length=1)]
    gateway: Words
    mesh: Words
    skip: Words = ()


class Chart(NamedTuple):
    """A Helm chart: where it is pulled from, its version there, and its file name in a bundle."""

    name: str
    reference: str
    version: str

    @property
    def archive(self) -> str:
        return f"{self.name}-{self.version}.tgz"

    @property
    def released(self) -> bool:
        """Whether it comes from a registry; else `reference` is a path."""
        return self.reference.startswith("oci://")


class NodeImage(_Strict):
    """A kind node image by tag and digest, and the kind release that it was published with.

    A Kubernetes patch has a node image only where a kind release brought one, and each release builds its own: the tag
    alone does not say which (release notes of kubernetes-sigs/kind).
    """

    image: str
    kind: Version

    @field_validator("image")
    @classmethod
    def _pinned(cls, image: str) -> str:
        try:
            reference = parse_reference(image)
        except BadInput as error:
            raise ValueError(str(error)) from None
        if not re.fullmatch(r"v\d+\.\d+\.\d+", reference.tag) or not reference.digest:
            raise ValueError("a node image needs a tag such as v1.34.3 and the digest of kind's release notes")
        return image

    @property
    def kubernetes(self) -> str:
        """The Kubernetes version in it: "1.34.3"."""
        return parse_reference(self.image).tag.removeprefix("v")


class VersionSet(_Strict):
    """One row of the matrix, checked against what is known to be impossible."""

    name: str
    proven: str = "not yet"
    node_image: NodeImage
    istio: Version
    envoy_gateway: Version
    envoy: Version
    ratelimit: Annotated[str, Field(min_length=7)]  # a commit's hash; of digits only it needs quotes, as versions do
    gateway_api: GatewayApi
    bookinfo: Version
    redis: Version
    curl: Version
    fortio: Version
    metallb: Version
    opa: Version
    dex: Version
    distribution: Version
    ext_proc: Version
    coraza: Version
    otel_collector: Version
    conformance: Conformance | None = None  # of its Gateway API bundle; None: none is known
    _load_balancer: bool = PrivateAttr(False)
    _conformance: bool = PrivateAttr(False)
    _helpers: bool = PrivateAttr(False)
    builds: Builds = Builds()
    remarks: tuple[str, ...] = ()  # what was assumed of a release that is not known
    _registry: PrivateRegistry | None = PrivateAttr(None)

    @property
    def registry(self) -> PrivateRegistry | None:
        """The private registry that all charts and images are taken from; None: from where they are public."""
        return self._registry

    def taken_from(self, registry: PrivateRegistry | None) -> VersionSet:
        """The same set with its references rewritten to a private registry, or for None to the public ones."""
        copied = self.model_copy()
        copied._registry = registry
        return copied

    def _at(self, reference: str) -> str:
        return self._registry.rewrite(reference) if self._registry else reference

    def with_load_balancer(self, wanted: bool = True) -> VersionSet:
        """The same set, the load balancer's images among its `images` or not."""
        copied = self.model_copy()
        copied._load_balancer = wanted
        return copied

    def with_helpers(self) -> VersionSet:
        """The same set, with the images that only the tests of some features run among its `images`."""
        copied = self.model_copy()
        copied._helpers = True
        return copied

    def with_conformance(self, wanted: bool = True) -> VersionSet:
        """The same set, the images of the Gateway API's conformance suite among its `images` or not."""
        copied = self.model_copy()
        copied._conformance = wanted
        return copied

    @property
    def has_load_balancer(self) -> bool:
        """Whether `images` has those of the load balancer."""
        return self._load_balancer

    @property
    def node(self) -> str:
        """The kind node image, with its digest."""
        return self._at(self.node_image.image)

    @property
    def kubernetes(self) -> str:
        """The Kubernetes version, which is that of the node image."""
        return self.node_image.kubernetes

    @property
    def istio_hub(self) -> str:
        """Where Istio's images are, as Istio's charts take it."""
        return self.builds.istio_hub or self._at(f"{ISTIO_IMAGES}/x").removesuffix("/x")

    @property
    def charts(self) -> dict[str, Chart]:
        """Charts by short name, in no particular order."""
        istio = {n: Chart(n, self._at(f"{ISTIO_CHARTS}/{n}"), self.istio) for n in ("base", "cni", "istiod", "ztunnel")}
        gateway = self._at("oci://docker.io/envoyproxy/gateway-helm")
        found = istio | {"gateway-helm": Chart("gateway-helm", gateway, f"v{self.envoy_gateway}")}
        built = self.builds.charts
        return {n: chart._replace(reference=built[n]) if n in built else chart for n, chart in found.items()}

    @property
    def images(self) -> dict[str, str]:
        """Every image the stack runs, by role; the node image is apart, in `node`."""
        hub = ISTIO_IMAGES
        bookinfo = {
            f"bookinfo-{app}": f"{hub}/examples-bookinfo-{app}:{self.bookinfo}"
            for app in (
                "productpage-v1",
                "details-v1",
                "ratings-v1",
                "reviews-v1",
                "reviews-v2",
                "reviews-v3",
            )
        }
        public = {
            "pilot": f"{hub}/pilot:{self.istio}-distroless",
            "install-cni": f"{hub}/install-cni:{self.istio}-distroless",
            "ztunnel": f"{hub}/ztunnel:{self.istio}-distroless",
            "gateway": f"docker.io/envoyproxy/gateway:v{self.envoy_gateway}",
            "envoy": f"docker.io/envoyproxy/envoy:distroless-v{self.envoy}",
            "ratelimit": f"docker.io/envoyproxy/ratelimit:{self.ratelimit}",
            "redis": f"docker.io/library/redis:{self.redis}",
            "curl": f"docker.io/curlimages/curl:{self.curl}",
            "fortio": f"docker.io/fortio/fortio:{self.fortio}",
            **bookinfo,
            **(self._metallb if self._load_balancer else {}),
            **(self._helper_images if self._helpers else {}),
        }
        suite = self.conformance.images if self.conformance and self._conformance else {}
        return {role: self._at(image) for role, image in {**public, **suite}.items()} | self._built()

    def _built(self) -> dict[str, str]:
        """The images of `builds` by role, as they were named: no registry is put before them."""
        built, found = self.builds, dict[str, str]()
        if built.istio_hub or built.istio_tag:
            tag = built.istio_tag or f"{self.istio}-distroless"
            found = {name: f"{self.istio_hub}/{name}:{tag}" for name in ("pilot", "install-cni", "ztunnel")}
        found |= {"gateway": built.eg_image} if built.eg_image else {}
        return found | ({"envoy": built.envoy_image} if built.envoy_image else {})

    def fetched(self, role: str) -> bool:
        """Whether an image is pulled or in a bundle: all but the builds that Docker holds."""
        return role not in self.builds.digests

    def built_by(self, role: str) -> str:
        """The remark of a report on a component: who built its image, with the digest; empty for a release."""
        if role not in self.builds.roles:
            return ""
        return f" (built by somebody: {self.builds.digests.get(role) or 'digest in setup/images.txt'})"

    def tag_of(self, role: str, released: str) -> str:
        """The version that an image's tag names where it is a build, else the released one."""
        return version_in(self.images[role]) if role in self.builds.roles else released

    @property
    def label(self) -> str:
        """Its name and a digest of its versions: two clusters of one label run the same."""
        content = self.model_dump_json(exclude={"name", "proven", "remarks", "conformance"})
        return f"{self.name} ({hashlib.sha256(content.encode()).hexdigest()[:8]})"

    @property
    def _helper_images(self) -> dict[str, str]:
        return {
            "opa": f"docker.io/openpolicyagent/opa:{self.opa}-envoy",
            "dex": f"ghcr.io/dexidp/dex:v{self.dex}",
            "registry": f"docker.io/library/registry:{self.distribution}",
            "ext-proc": f"gcr.io/solo-test-236622/ext-proc-example-basic-sink:{self.ext_proc}",
            "coraza": f"ghcr.io/corazawaf/coraza-proxy-wasm:{self.coraza}",
            "otel-collector": f"docker.io/otel/opentelemetry-collector:{self.otel_collector}",
        }

    @property
    def _metallb(self) -> dict[str, str]:
        return {f"metallb-{part}": f"quay.io/metallb/{part}:v{self.metallb}" for part in ("controller", "speaker")}

    @property
    def summary(self) -> str:
        """One line that names the row."""
        return (
            f"kubernetes {self.kubernetes}  istio {self.istio} ambient  envoy-gateway v{self.envoy_gateway}  "
            f"gateway-api v{self.gateway_api.bundle} {self.gateway_api.channel}"
        )


class Versions(_Strict):
    """All of versions.yaml."""

    default: str
    sets: Mapping[str, VersionSet]
    limits: Limits
    conformance: Mapping[Version, Conformance] = {}

    def pick(self, name: str = "", registry: PrivateRegistry | None = None) -> VersionSet:
        """The set of that name (the default for an empty one), if it is not known to be impossible; its references
        rewritten to a private registry if there is one.

        Raises:
            BadInput: there is no such set, or its versions cannot work together; the message says why.
        """
        chosen = self.sets.get(name or self.default)
        if chosen is None:
            known = ", ".join(self.sets)
            asked = name or self.default
            meant = did_you_mean(asked, self.sets)
            raise BadInput(
                f"no version set is named {asked!r}{meant}",
                remedy=f"use one of: {known}; or any versions: istio-1.29.1+eg-1.9.0+k8s-1.34",
            )
        reasons = find_conflicts(chosen, self.limits)
        if reasons:
            raise BadInput(
                f"version set {chosen.name!r} cannot work: " + "; ".join(reasons),
                remedy="change it in versions.yaml, where `limits` lists which versions work together",
            )
        return chosen.taken_from(registry)


def version_in(image: str) -> str:
    """The version in an image's tag: 1.29.1 of "registry/pilot:1.29.1-distroless"; UNKNOWN without a tag."""
    tag = image.partition("@")[0].rpartition("/")[2].partition(":")[2]
    return plain(_VARIANT.sub("", tag)) or UNKNOWN


def plain(text: str) -> str:
    """Without the v that some write before a number."""
    return re.sub(r"^v(?=\d)", "", text)


def minor(version: str) -> tuple[int, int]:
    """(1, 29) of "1.29.6"."""
    first, second = version.split(".")[:2]
    return int(first), int(second)


def find_conflicts(row: VersionSet, limits: Limits) -> list[str]:
    """Why a set cannot work, one sentence each; empty when nothing is known against it."""
    reasons: list[str] = []
    kubernetes = minor(row.kubernetes)
    label = "{}.{}".format

    def outside(what: str, allowed: Range) -> None:
        low, high = allowed
        if not minor(low) <= kubernetes <= minor(high):
            reasons.append(f"{what} runs on Kubernetes {low} to {high}, not on {row.kubernetes}")

    istio, eg = label(*minor(row.istio)), label(*minor(row.envoy_gateway))
    if istio in limits.istio:
        outside(f"Istio {row.istio}", limits.istio[istio])
    else:
        reasons.append(f"Istio {istio} is unknown here (known: {', '.join(limits.istio)})")
    if eg in limits.envoy_gateway:
        known = limits.envoy_gateway[eg]
        outside(f"Envoy Gateway {row.envoy_gateway}", known.kubernetes)
        if minor(row.gateway_api.bundle) < minor(known.bundle):
            reasons.append(
                f"Envoy Gateway {row.envoy_gateway} needs the Gateway API bundle {known.bundle} of its chart, "
                f"not {row.gateway_api.bundle}"
            )
    else:
        reasons.append(f"Envoy Gateway {eg} is unknown here (known: {', '.join(limits.envoy_gateway)})")
    if row.gateway_api.channel == "standard":
        reasons.append("Envoy Gateway needs the experimental channel of the Gateway API (TCPRoute, TLSRoute)")
    return reasons


def load(file: Path = FILE) -> Versions:
    """Reads and checks versions.yaml.

    Raises:
        BadInput: it cannot be read, is not YAML, has a key twice, or a field is wrong; the message names it.
    """
    raw = strict_yaml.read_yaml(file, remedy="restore it: git checkout versions.yaml")
    try:
        for name, row in (raw.get("sets") or {}).items():
            row["name"] = name
            if isinstance(api := row.get("gateway_api"), Mapping):
                row["conformance"] = (raw.get("conformance") or {}).get(api.get("bundle"))
        return validate_file(Versions, raw, file)
    except (AttributeError, TypeError):
        raise BadInput(f"{file} has no `sets` of names to versions") from None
