"""A recording of a cluster: what each component writes, redacted, with the versions that run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.errors import Inconclusive, SetupFailed
from harness.kube import Kube
from harness.recordings.from_cluster import ClusterRecording
from tests.fakes.api import FakeApi, named
from tests.fakes.pods import pod
from tests.recordings import text

ROUTE = {"conditions": [{"type": "Accepted", "status": "True", "message": "password=hunter2"}]}


class Pages:
    """Stands in for Admin: pages by pod and path."""

    def __init__(self, pages: dict[str, str]) -> None:
        self.pages = pages

    def get(self, namespace: str, pod: str, port: int, path: str) -> str:
        try:
            return self.pages[f"{pod}{path}"]
        except KeyError:
            raise Inconclusive(f"{pod}{path} does not answer") from None


def deployment(name: str, image: str) -> dict[str, Any]:
    return named(f"Deployment/{name}", spec={"template": {"spec": {"containers": [{"name": "c", "image": image}]}}})


@pytest.fixture
def recording(kube: Kube, api: FakeApi) -> ClusterRecording:
    """Of a cluster with one proxy, one ztunnel and the rate limit service."""
    labels = {"gateway.envoyproxy.io/owning-gateway-name": "waypoint"}
    api.put(
        pod("default/wp-1", labels=labels),
        pod("istio-system/zt-1", labels={"app": "ztunnel"}),
        pod("envoy-gateway-system/rl-1", labels={"app.kubernetes.io/name": "envoy-ratelimit"}),
        deployment("istio-system/istiod", "docker.io/istio/pilot:1.30.3-distroless"),
        deployment("envoy-gateway-system/envoy-gateway", "docker.io/envoyproxy/gateway:v1.8.3"),
        named("HTTPRoute/default/ratings", status={"parents": [ROUTE]}),
        named("HTTPRoute/default/silent", status={}),
    )
    api.logs["default", "wp-1", "envoy"] = text("logs/waypoint-envoy.log")
    api.logs["istio-system", "zt-1", "istio-proxy"] = text("logs/ztunnel.log")
    pages = {
        "wp-1/stats": text("admin/waypoint-stats.txt"),
        "wp-1/server_info": json.dumps({"version": "dc2d/1.38.3/Clean/RELEASE/BoringSSL"}),
        "rl-1/metrics": text("admin/ratelimit-metrics.prom"),
    }
    return ClusterRecording(kube, Pages(pages), "kind")  # type: ignore[arg-type]  # Pages stands in for Admin


def test_recording_has_each_components_own_words(recording: ClusterRecording, tmp_path: Path) -> None:
    """In a folder named after the versions that run; secrets are gone, and a recording of before is replaced."""
    old = tmp_path / "istio-1.30-eg-1.8" / "old.txt"
    old.parent.mkdir()
    old.write_text("of another run")

    recording.collect()
    folder = recording.write(tmp_path)

    assert folder == old.parent
    assert {file.name for file in folder.iterdir()} == {
        *("access.jsonl", "ztunnel.log", "statuses.yaml", "provenance.yaml"),
        *("waypoint-stats.txt", "limiter-metrics.prom"),
    }
    provenance = yaml.safe_load((folder / "provenance.yaml").read_text())
    assert provenance["cluster"] == "kind"
    assert (provenance["versions"]["istio"], provenance["versions"]["envoy"]) == ("1.30.3", "1.38.3")
    (route,) = yaml.safe_load_all((folder / "statuses.yaml").read_text())
    assert route["metadata"]["name"] == "ratings"
    assert "hunter2" not in str(route)
    assert set((folder / "ztunnel.log").read_text().splitlines()) <= set(text("logs/ztunnel.log").splitlines())


def test_nothing_is_written_of_a_cluster_that_wrote_nothing(
    recording: ClusterRecording, api: FakeApi, tmp_path: Path
) -> None:
    """A recording without its lines, or without its versions, would be an empty proof."""
    with pytest.raises(SetupFailed, match="no access line of a proxy"):
        recording.write(tmp_path)
    recording.collect()
    api.objects.pop("Deployment/envoy-gateway-system/envoy-gateway")
    with pytest.raises(SetupFailed, match="the versions that run are not known"):
        recording.write(tmp_path)

    assert not list(tmp_path.glob("istio-*"))
