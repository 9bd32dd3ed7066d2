"""Manifests as they are applied from a private registry: images, also the proxies', and a pull secret for each pod."""

import base64
import json
from pathlib import Path

import pytest

from harness import version_sets
from harness.errors import BadInput
from harness.image_pins_and_pull_secrets import with_pull_secrets
from harness.install.releases import make_releases
from harness.objects.manifests import MANIFESTS, read_manifest
from harness.registry.private import PrivateRegistry

SECRET = PrivateRegistry("r.io", "m", secret="pull")
ROW = version_sets.load().pick()


@pytest.fixture
def logged_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`docker login r.io` of me."""
    auths = {"r.io": {"auth": base64.b64encode(b"me:geheim").decode()}, "other.io": {"auth": "b3RoZXI6eA=="}}
    (tmp_path / "config.json").write_text(json.dumps({"auths": auths}))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))


@pytest.mark.usefixtures("logged_in")
@pytest.mark.parametrize("file", sorted(MANIFESTS.glob("*/*.yaml")), ids=lambda file: f"{file.parent.name}/{file.name}")
def test_every_pod_of_every_manifest_can_be_pulled(file: Path) -> None:
    """No image is left at a public registry, and each pod's secret is there before it, in its namespace."""
    if file.parent.name == "values":
        pytest.skip("values of charts")
    found = with_pull_secrets(read_manifest(file), ROW.with_load_balancer().taken_from(SECRET))

    text = json.dumps([one for one in found if one["kind"] != "Secret"])
    assert "docker.io" not in text
    assert text.count('"image": "') == text.count('"r.io/m/') == text.count('"image": "r.io/m/')
    for one in found:
        if one["kind"] == "GatewayClass" and "envoy" in one["spec"]["controllerName"]:
            assert one["spec"]["parametersRef"]["kind"] == "EnvoyProxy"  # without one the proxy's image is public
    there: set[str] = set()
    for one in found:
        namespace = one["metadata"].get("namespace", "")
        if one["kind"] == "Secret":
            there.add(namespace)
        if one["kind"] in ("DaemonSet", "Deployment", "EnvoyProxy", "Gateway"):
            assert namespace in there
        if one["kind"] == "Namespace":
            assert one["metadata"]["name"] not in there
    assert json.dumps(found).count('"imagePullSecrets": [{"name": "pull"}]') == sum(
        one["kind"] in ("DaemonSet", "Deployment", "EnvoyProxy", "Job") for one in found
    )


@pytest.mark.usefixtures("logged_in")
def test_pull_secret_holds_that_registrys_login_alone() -> None:
    """Of the type that the kubelet reads; what else Docker is logged in to stays here."""
    (secret,) = [
        one
        for one in with_pull_secrets(read_manifest(MANIFESTS / "base/redis.yaml"), ROW.taken_from(SECRET))
        if one["kind"] == "Secret"
    ]

    assert secret["type"] == "kubernetes.io/dockerconfigjson"
    assert (secret["metadata"]["name"], secret["metadata"]["namespace"]) == ("pull", "redis-system")
    assert list(json.loads(base64.b64decode(secret["data"][".dockerconfigjson"]))["auths"]) == ["r.io"]


def test_pull_secret_without_a_login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Docker's command is the remedy."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))

    with pytest.raises(BadInput, match=r"no login for r\.io") as caught:
        with_pull_secrets(read_manifest(MANIFESTS / "base/redis.yaml"), ROW.taken_from(SECRET))

    assert "docker login r.io" in caught.value.remedy


@pytest.mark.parametrize("name", ["install/envoy_gateway.yaml", "ingress/load_balancer.yaml"])
def test_without_a_registry_nothing_is_added(name: str) -> None:
    """Envoy Gateway's own proxy image, no secrets, and classes as the manifest has them."""
    assert with_pull_secrets(read_manifest(MANIFESTS / name), ROW) == read_manifest(MANIFESTS / name)


def test_class_without_parameters_gets_the_image() -> None:
    """A class of the article's form takes its proxy from the registry too; it says nothing else."""
    proxy, gateway_class, *_ = with_pull_secrets(
        read_manifest(MANIFESTS / "ingress/load_balancer.yaml"), ROW.taken_from(PrivateRegistry("r.io"))
    )

    reference = gateway_class["spec"]["parametersRef"]
    assert (reference["name"], reference["namespace"]) == (proxy["metadata"]["name"], proxy["metadata"]["namespace"])
    deployment = {"container": {"image": f"r.io/envoyproxy/envoy:distroless-v{ROW.envoy}"}}
    assert proxy["spec"] == {"provider": {"type": "Kubernetes", "kubernetes": {"envoyDeployment": deployment}}}


@pytest.mark.parametrize("name", version_sets.load().sets)
def test_charts_take_everything_from_the_registry(name: str) -> None:
    """Hub, controller (its shutdown manager and certificate job too, by the chart), limiter, and the pull secret."""
    row = version_sets.load().pick(name, SECRET)

    found = make_releases(row, None)

    assert all(one.chart.startswith("oci://r.io/m/") for one in found.values())
    assert found["ztunnel"].values["global"]["hub"] == "r.io/m/istio"
    assert {tuple(found[n].values["global"]["imagePullSecrets"]) for n in ("istiod", "cni", "ztunnel")} == {("pull",)}
    gateway = found["gateway-helm"].values["global"]
    assert gateway["imagePullSecrets"] == [{"name": "pull"}]
    assert {one["image"].split("/")[0] for one in gateway["images"].values()} == {"r.io"}
