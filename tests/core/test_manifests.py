"""Manifests: checked before anything is applied, images pinned."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import BadInput
from harness.objects.manifests import parse_manifest, pin_images, read_manifest
from tests.recordings.shapes import fuzz, json_values

SERVICE = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a", "namespace": "b"}}


def workload(kind: str = "Deployment", image: str = "docker.io/istio/app:1", init: str = "") -> dict[str, Any]:
    """A workload of that image."""
    spec: dict[str, Any] = {"containers": [{"name": "app", "image": image}]}
    if init:
        spec["initContainers"] = [{"name": "init", "image": init}]
    metadata = {"name": "x", "namespace": "default"}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": metadata, "spec": {"template": {"spec": spec}}}


def images(document: dict[str, Any]) -> list[str]:
    """Those of its containers, the initial ones first."""
    spec = document["spec"]["template"]["spec"]
    return [container["image"] for container in (*spec.get("initContainers", []), *spec["containers"])]


def test_documents_come_in_order() -> None:
    """Empty documents are left out, the others stay in order."""
    text = "---\n---\n" + yaml.safe_dump_all([SERVICE, SERVICE | {"kind": "ConfigMap"}]) + "---\n# nothing\n"

    assert [document["kind"] for document in parse_manifest(text, source="x")] == ["Service", "ConfigMap"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a: [", "is not YAML"),
        ("a: \tb: c", "is not YAML"),
        ("when: 2026-99-99", "is not YAML"),
        ("", "holds no object"),
        ("# a comment\n---\n", "holds no object"),
        ("- a\n- b", "document 1: no mapping at its top"),
        ("apiVersion: v1", "document 1: no kind"),
        ("kind: Pod", "document 1: no apiVersion"),
        ("{apiVersion: v1, kind: Pod}", "document 1: no metadata.name"),
        ("{apiVersion: v1, kind: Pod, metadata: {}}", "no metadata.name"),
        ("{apiVersion: v1, kind: Pod, metadata: text}", "no metadata.name"),
        ("{apiVersion: v1, kind: Pod, metadata: {name: x}}", "no metadata.namespace"),
        ("{apiVersion: v1, kind: 3, metadata: {name: x}}", "no kind"),
        (yaml.safe_dump(SERVICE) + "---\nkind: Pod", "document 2: no apiVersion"),
    ],
)
def test_wrong_manifests_are_refused_with_their_place(text: str, why: str) -> None:
    """What is missing is named, with the file and the document's number."""
    with pytest.raises(BadInput, match=f"^ingress.yaml.*{why}"):
        parse_manifest(text, source="ingress.yaml")


@fuzz
@given(st.text() | json_values.map(yaml.safe_dump) | st.binary().map(lambda b: b.decode("latin-1")))
def test_anything_is_a_manifest_or_bad_input(text: str) -> None:
    """No text makes the reader fail in any other way."""
    try:
        found = parse_manifest(text, source="x")
    except BadInput:
        return
    assert all(isinstance(document["kind"], str) for document in found)


def test_cluster_wide_kinds_need_no_namespace() -> None:
    """A Namespace has none, and a kind that is not known here may have none."""
    texts = [f"{{apiVersion: a/v1, kind: {kind}, metadata: {{name: x}}}}" for kind in ("Namespace", "New")]

    assert len(parse_manifest("\n---\n".join(texts), source="x")) == 2


def test_file_that_is_not_there(tmp_path: Path) -> None:
    """A missing manifest is named."""
    with pytest.raises(BadInput, match=r"cannot read manifest .*gone\.yaml: No such file"):
        read_manifest(tmp_path / "gone.yaml")


def test_file_that_is_no_text(tmp_path: Path) -> None:
    """A binary file is no manifest."""
    (tmp_path / "x.yaml").write_bytes(b"\xff\xfe\x00kind")

    with pytest.raises(BadInput, match=r"x\.yaml"):
        read_manifest(tmp_path / "x.yaml")


def test_images_are_pinned_by_their_name() -> None:
    """Registry and tag are the version set's; the manifest itself stays as it was."""
    original = workload(init="busybox:1")

    (found,) = pin_images([original], ["registry.example/release/app:2", "localhost:5000/busybox@sha256:00"])

    assert images(found) == ["localhost:5000/busybox@sha256:00", "registry.example/release/app:2"]
    assert images(original) == ["busybox:1", "docker.io/istio/app:1"]


@pytest.mark.parametrize("kind", ["Deployment", "DaemonSet", "StatefulSet", "Job"])
def test_every_kind_of_workload_is_pinned(kind: str) -> None:
    """No kind that runs containers slips through."""
    (found,) = pin_images([workload(kind)], ["r/app:2"])

    assert images(found) == ["r/app:2"]


def test_unknown_image_is_refused() -> None:
    """An image outside the version set would be pulled unpinned: it is named, with its object."""
    with pytest.raises(BadInput, match=r"Deployment/x: image docker.io/istio/app:1 is not of the version set"):
        pin_images([workload()], ["docker.io/istio/application:1"])


def test_what_runs_nothing_is_left_alone() -> None:
    """A Service has no images to pin."""
    assert pin_images([SERVICE], []) == [SERVICE]


POD = {"kind": "Deployment", "metadata": {"name": "a"}, "spec": {"template": {"spec": {"containers": []}}}}
PROXY = {
    "kind": "EnvoyProxy",
    "metadata": {"name": "a"},
    "spec": {"provider": {"kubernetes": {"envoyDeployment": {"container": {"resources": {}}}}}},
}


def test_private_registry_reaches_proxies_and_pods() -> None:
    """An EnvoyProxy gets its image and pull secret, also one that says nothing of its pods; workloads the secret."""
    bare = {"kind": "EnvoyProxy", "metadata": {"name": "b"}, "spec": {}}

    pod, proxy, other = pin_images([POD, PROXY, bare], [], proxy="r.io/envoy:1", secret="pull")

    assert pod["spec"]["template"]["spec"]["imagePullSecrets"] == [{"name": "pull"}]
    for one in (proxy, other):
        deployment = one["spec"]["provider"]["kubernetes"]["envoyDeployment"]
        assert deployment["container"]["image"] == "r.io/envoy:1"
        assert deployment["pod"]["imagePullSecrets"] == [{"name": "pull"}]
    assert proxy["spec"]["provider"]["kubernetes"]["envoyDeployment"]["container"]["resources"] == {}
    assert pin_images([POD, PROXY, bare], []) == [POD, PROXY, bare]
