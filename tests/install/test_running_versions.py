"""Versions as they run, whatever was asked for."""

import pytest

from harness import version_sets
from harness.errors import SetupFailed
from harness.install import running_versions
from harness.kube import Kube
from harness.report.results import versions_of
from harness.version_sets import UNKNOWN
from tests.fakes.api import FakeApi, Object, named

ROW, GROUP = version_sets.load().pick(), "gateway.networking.k8s.io"
IMAGES = {
    "Deployment/istio-system/istiod": "docker.io/istio/pilot:1.28.3-distroless",
    "DaemonSet/istio-system/ztunnel": "docker.io/istio/ztunnel:1.28.3",
    "Deployment/envoy-gateway-system/envoy-gateway": "docker.io/envoyproxy/gateway:v1.9.0",
    "Deployment/envoy-gateway-system/envoy-ratelimit": "docker.io/envoyproxy/ratelimit:17b1956c",
    "Deployment/redis-system/redis": "redis",
    "Deployment/default/productpage-v1": "10.0.0.1:5000/examples-bookinfo-productpage-v1:1.20.3@sha256:0a1b",
}


def workload(name: str, image: str) -> Object:
    """A workload of that image, beside which runs something else."""
    containers = [{"name": "x", "image": image}, {"name": "beside", "image": "x:9.9.9"}]
    return named(name, spec={"template": {"spec": {"containers": containers}}})


@pytest.fixture
def running(api: FakeApi) -> FakeApi:
    """Somebody's cluster."""
    marks = {f"{GROUP}/bundle-version": "v1.6.1", f"{GROUP}/channel": "experimental"}
    api.put(*(workload(name, image) for name, image in IMAGES.items()))
    api.put(named(running_versions.DEFINITION, metadata={"annotations": marks}))
    return api


def test_what_runs_is_reported(running: FakeApi, kube: Kube) -> None:
    """By the server, by the images' tags, by the definitions' mark; what has no tag is unknown."""
    assert running_versions.read_versions(kube) == {
        "kubernetes": "1.34.4",
        "istio": "1.28.3",
        "ztunnel": "1.28.3",
        "envoy-gateway": "1.9.0",
        "ratelimit": "17b1956c",
        "redis": UNKNOWN,
        "bookinfo": "1.20.3",
        "gateway-api": "1.6.1 experimental",
    }


def test_what_cannot_be_asked_is_unknown(running: FakeApi, kube: Kube) -> None:
    """And the run goes on."""
    del running.objects["Deployment/envoy-gateway-system/envoy-gateway"]
    running.refuse("GET", "/customresourcedefinitions", 403, "forbidden")

    found = running_versions.read_versions(kube)

    assert {name for name, version in found.items() if version == UNKNOWN} == {"envoy-gateway", "gateway-api", "redis"}


def test_every_component_of_a_set_is_observed(running: FakeApi, kube: Kube) -> None:
    """But Envoy: its proxies come later, and tell themselves."""
    assert set(running_versions.read_versions(kube)) == set(versions_of(ROW)) - {"envoy"}


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ("docker.io/istio/pilot:1.29.1-distroless", "1.29.1"),
        ("docker.io/istio/pilot:1.30.0-rc.1-distroless", "1.30.0-rc.1"),
        ("docker.io/envoyproxy/envoy:distroless-v1.37.5", "1.37.5"),
        ("docker.io/envoyproxy/gateway:v1.8.0-rc.1", "1.8.0-rc.1"),
        ("docker.io/envoyproxy/gateway:latest", "latest"),
        ("registry:5000/gateway", UNKNOWN),
        ("docker.io/envoyproxy/gateway@sha256:0a1b", UNKNOWN),
    ],
)
def test_version_is_read_from_the_tag(image: str, version: str) -> None:
    """Without what says how it was built."""
    assert version_sets.version_in(image) == version


def test_every_image_of_a_set_is_read_as_that_set_says() -> None:
    """Else a cluster of ours would be refused for running what was asked for."""
    for name in version_sets.load().sets:
        row = version_sets.load().pick(name)
        roles = {"pilot": row.istio, "ztunnel": row.istio, "gateway": row.envoy_gateway, "ratelimit": row.ratelimit,
                 "redis": row.redis, "bookinfo-productpage-v1": row.bookinfo}  # fmt: skip
        assert {role: version_sets.version_in(row.images[role]) for role in roles} == roles


def test_cluster_of_ours_that_was_kept_from_another_set() -> None:
    """All that differ are named, with the way out."""
    asked = versions_of(ROW)

    with pytest.raises(SetupFailed) as caught:
        running_versions.check_versions(asked | {"istio": "1.28.3", "envoy-gateway": "1.9.0"}, asked)

    assert f"istio 1.28.3 instead of {ROW.istio}, envoy-gateway 1.9.0 instead of" in str(caught.value)
    assert "make clean" in caught.value.remedy


def test_what_nobody_knows_is_no_difference() -> None:
    """Nor is the Kubernetes of a node image of one's own."""
    asked = versions_of(ROW)

    running_versions.check_versions({"istio": ROW.istio, "redis": UNKNOWN, "kubernetes": "1.36.0"}, asked)


def test_images_with_where_they_came_from(kube: Kube, api: FakeApi) -> None:
    """Each once, by reference; a pod that has not begun has none yet."""
    status = {"containerStatuses": [{"image": "r.io/a:1", "imageID": "r.io/a@sha256:1"}, {"image": "b", "imageID": ""}]}
    for name, image in (("one", status), ("two", status), ("three", {"containerStatuses": None}), ("four", {})):
        api.put(named(f"Pod/istio-system/{name}", spec={}, status=image))

    assert running_versions.read_images(kube) == {"b": "", "r.io/a:1": "r.io/a@sha256:1"}


def definition(plural: str, bundle: str, channel: str, manager: str) -> Object:
    """A definition of the Gateway API with the marks of a bundle, and who wrote them."""
    marks = {f"{GROUP}/bundle-version": bundle, f"{GROUP}/channel": channel}
    owned = {"f:metadata": {"f:annotations": {f"f:{GROUP}/bundle-version": {}}}}
    other = {"manager": "kube-apiserver", "time": "2026-11-27T19:00:09Z", "fieldsV1": {"f:status": {}}}
    written = {"manager": manager, "time": "2026-11-27T19:00:00Z", "fieldsV1": owned}
    return named(
        f"CustomResourceDefinition/{plural}.{GROUP}",
        metadata={"annotations": marks, "managedFields": [written, other, {}]},
        spec={"group": GROUP, "names": {"plural": plural}},
    )


@pytest.mark.parametrize(("bundle", "channel"), [("v1.4.0", "experimental"), ("v1.4.1", "standard")])
def test_definitions_of_two_bundles_are_an_error(api: FakeApi, kube: Kube, bundle: str, channel: str) -> None:
    """A bundle or a channel of its own is enough: each is named with its definitions, the writer and the remedy."""
    api.put(definition("gateways", "v1.4.1", "experimental", "mesh-e2e"))
    api.put(definition("httproutes", bundle, channel, "cloud-provider-kind"))

    with pytest.raises(SetupFailed) as caught:
        running_versions.check_definitions(kube, "after")

    assert str(caught.value).startswith("after the run the definitions")
    theirs = f"{bundle.removeprefix('v')} {channel}: httproutes by cloud-provider-kind"
    for expected in (theirs, "gateways by mesh-e2e"):
        assert expected in str(caught.value)
    assert "`--gateway-channel disabled`" in str(caught.value)


def test_definitions_of_one_bundle_are_none(api: FakeApi, kube: Kube) -> None:
    """Whichever manager wrote them. Definitions of other groups do not count, and unreadable ones are no error."""
    api.put(definition("gateways", "v1.4.1", "experimental", "mesh-e2e"))
    api.put(definition("httproutes", "v1.4.1", "experimental", "helm"))
    api.put(named("CustomResourceDefinition/xmeshes.gateway.networking.x-k8s.io", spec={"group": "x"}))

    running_versions.check_definitions(kube, "before")

    api.refuse("GET", "/customresourcedefinitions", 403, "forbidden")
    running_versions.check_definitions(kube, "before")


def test_definition_without_a_bundle_is_of_another(api: FakeApi, kube: Kube) -> None:
    """An old or foreign definition among marked ones is named, its writer unknown."""
    api.put(definition("gateways", "v1.4.1", "experimental", "mesh-e2e"))
    api.put(named(f"CustomResourceDefinition/tcproutes.{GROUP}", spec={"group": GROUP}))

    with pytest.raises(SetupFailed, match=rf"of no bundle: tcproutes\.{GROUP} by an unknown manager"):
        running_versions.check_definitions(kube, "before")
