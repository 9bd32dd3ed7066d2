"""Pull-through caches, with Docker's client and programs replaced by recorders."""

from types import SimpleNamespace

import pytest
from docker.errors import APIError, NotFound
from testcontainers.core.config import testcontainers_config

from harness.cluster import caches
from harness.errors import SetupFailed

IMAGES = ["docker.io/istio/pilot:1", "docker.io/library/redis:6", "ghcr.io/istio/ztunnel:1"]


@pytest.fixture
def docker(monkeypatch):
    """What was started, found and run; `there` names the containers that exist already."""
    seen = SimpleNamespace(there=set(), started=[], made=[], ran=[], fails=False)

    def get(name):
        if name not in seen.there:
            raise NotFound(name)
        return SimpleNamespace(start=lambda: seen.started.append(name))

    def start(self):
        if seen.fails:
            raise APIError("no space left on device")
        seen.made.append((self.image, self._name, self.env, self.volumes, self._kwargs))
        return self

    client = SimpleNamespace(client=SimpleNamespace(containers=SimpleNamespace(get=get)))
    monkeypatch.setattr(caches, "DockerClient", lambda: client)
    monkeypatch.setattr(caches.DockerContainer, "__init__", _plain)
    monkeypatch.setattr(caches.DockerContainer, "start", start)
    monkeypatch.setattr(caches, "run", lambda argv, **words: seen.ran.append((argv, words.get("stdin"))))
    monkeypatch.setattr(testcontainers_config, "ryuk_disabled", False)
    return seen


def _plain(self, image):
    self.image, self.env, self.volumes, self._kwargs, self._name = image, {}, {}, {}, None


def test_each_registry_has_one_cache(docker):
    """Two images of one registry share a cache; each cache knows its upstream and keeps its layers in a volume."""
    names = caches.attach(["node-1"], IMAGES)

    assert names == ["mesh-e2e-cache-docker.io", "mesh-e2e-cache-ghcr.io"]
    upstreams = [env["REGISTRY_PROXY_REMOTEURL"] for _, _, env, _, _ in docker.made]
    assert upstreams == ["https://registry-1.docker.io", "https://ghcr.io"]
    assert [list(volumes) for _, _, _, volumes, _ in docker.made] == [[name] for name in names]
    assert {kwargs["network"] for *_, kwargs in docker.made} == {"kind"}


def test_every_node_is_told_of_every_cache(docker):
    """containerd reads hosts.toml of each registry, on each node."""
    caches.attach(["node-1", "node-2"], IMAGES)

    written = [(argv[3], argv[-1], stdin) for argv, stdin in docker.ran if stdin]
    assert len(written) == 4
    assert ("node-2", "/etc/containerd/certs.d/docker.io/hosts.toml") in {(node, path) for node, path, _ in written}
    assert all("mesh-e2e-cache-" in stdin for _, _, stdin in written)


def test_a_cache_that_is_there_is_used_again(docker):
    """A second run starts what the first one left, and makes nothing."""
    docker.there = {"mesh-e2e-cache-docker.io", "mesh-e2e-cache-ghcr.io"}

    caches.attach(["node-1"], IMAGES)

    assert docker.made == []
    assert sorted(docker.started) == sorted(docker.there)


def test_caches_outlive_the_process(docker):
    """testcontainers' reaper is off: it would end the caches with this process."""
    caches.attach([], IMAGES)

    assert testcontainers_config.ryuk_disabled


def test_a_cache_that_does_not_start_says_so(docker):
    """Docker's own reason is in the error, and the way without."""
    docker.fails = True

    with pytest.raises(SetupFailed, match="no space left") as caught:
        caches.attach(["node-1"], IMAGES)

    assert "CACHE=1" in caught.value.remedy
