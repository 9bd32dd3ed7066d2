"""Pull-through caches, with Docker's client replaced by a recorder."""

from hashlib import sha256
from types import SimpleNamespace

import pytest
from docker.errors import APIError, NotFound
from testcontainers.core.config import testcontainers_config

from harness.cluster import registry_caches
from harness.errors import SetupFailed
from harness.registry.credentials import Login
from harness.registry.private import PrivateRegistry

REGISTRIES = ["docker.io", "ghcr.io"]
HUB = {"docker.io": Login("me", "geheim")}


@pytest.fixture
def state(tmp_path):
    """A state folder from which no cache was started."""
    return tmp_path / "state"


@pytest.fixture
def docker(monkeypatch, state):
    """What was started, made and removed; `there` has the environment of containers that exist, by name."""
    seen = SimpleNamespace(there={}, started=[], made=[], removed=[], fails=False)
    seen.number = sha256(str(state).encode()).hexdigest()[:8]

    def get(name):
        if name not in seen.there:
            raise NotFound(name)
        return SimpleNamespace(
            name=name,
            attrs={"Config": {"Env": ["PATH=/bin", *seen.there[name]]}},
            start=lambda: seen.started.append(name),
            remove=lambda force: seen.removed.append(name),
        )

    def listed(all, filters):  # as Docker's client names it
        if seen.fails:
            raise APIError("permission denied")
        return [get(name) for name in seen.there if filters == {"label": f"mesh-e2e-cache={name[-8:]}"}]

    def start(self):
        if seen.fails:
            raise APIError("no space left on device")
        seen.made.append(
            SimpleNamespace(image=self.image, name=self._name, env=self.env, volumes=self.volumes, **self._kwargs)
        )
        return self

    client = SimpleNamespace(client=SimpleNamespace(containers=SimpleNamespace(get=get, list=listed)))
    monkeypatch.setattr(registry_caches, "DockerClient", lambda: client)
    monkeypatch.setattr(registry_caches.DockerContainer, "__init__", _plain)
    monkeypatch.setattr(registry_caches.DockerContainer, "start", start)
    monkeypatch.setattr(testcontainers_config, "ryuk_disabled", False)
    return seen


def _plain(self, image):
    self.image, self.env, self.volumes, self._kwargs, self._name = image, {}, {}, {}, None


def test_each_registry_has_one_cache(docker, state):
    """Each knows its upstream, keeps its layers in a volume, and outlives this process."""
    names = registry_caches.start_caches(REGISTRIES, None, {}, {}, state)

    assert names == {
        "docker.io": f"mesh-e2e-cache-docker.io-{docker.number}",
        "ghcr.io": f"mesh-e2e-cache-ghcr.io-{docker.number}",
    }
    assert [one.env for one in docker.made] == [
        {"REGISTRY_PROXY_REMOTEURL": "https://registry-1.docker.io"},
        {"REGISTRY_PROXY_REMOTEURL": "https://ghcr.io"},
    ]
    assert [list(one.volumes) for one in docker.made] == [[name] for name in names.values()]
    assert {one.network for one in docker.made} == {"kind"}
    assert testcontainers_config.ryuk_disabled


def test_login_reaches_its_cache_alone(docker, state):
    """The credentials of one registry are no other's."""
    registry_caches.start_caches(REGISTRIES, None, {}, HUB, state)

    assert docker.made[0].env | {"REGISTRY_PROXY_REMOTEURL": ""} == {
        "REGISTRY_PROXY_REMOTEURL": "",
        "REGISTRY_PROXY_USERNAME": "me",
        "REGISTRY_PROXY_PASSWORD": "geheim",
    }
    assert list(docker.made[1].env) == ["REGISTRY_PROXY_REMOTEURL"]


def test_cache_of_a_private_registry(docker, tmp_path, state):
    """Its own image comes from there too; a port is no part of a container's name; an own authority is trusted."""
    (tmp_path / "ca.pem").touch()
    private = PrivateRegistry("localhost:5001", "m", ca=tmp_path / "ca.pem")

    names = registry_caches.start_caches([private.host], private, {private.host: "https://172.18.0.1:5001"}, {}, state)

    (made,) = docker.made
    assert names == {"localhost:5001": f"mesh-e2e-cache-localhost_5001-{docker.number}"}
    assert made.image == "localhost:5001/m/" + registry_caches.IMAGE.removeprefix("docker.io/")
    assert made.env["REGISTRY_PROXY_REMOTEURL"] == "https://172.18.0.1:5001"
    assert made.env["SSL_CERT_FILE"] == made.volumes[str(tmp_path / "ca.pem")]["bind"] == registry_caches.CA


def test_a_cache_that_is_there_is_used_again(docker, state):
    """A second run starts what the first one left, and makes nothing."""
    docker.there = {f"mesh-e2e-cache-ghcr.io-{docker.number}": ["REGISTRY_PROXY_REMOTEURL=https://ghcr.io"]}

    registry_caches.start_caches(["ghcr.io"], None, {}, {}, state)

    assert (docker.started, docker.made, docker.removed) == ([f"mesh-e2e-cache-ghcr.io-{docker.number}"], [], [])


@pytest.mark.parametrize("known", [{}, {"docker.io": Login("me", "new")}])
def test_a_cache_with_another_login_is_created_again(docker, known, state):
    """So is one of another upstream; what it holds is in its volume."""
    old = ["REMOTEURL=https://registry-1.docker.io", "USERNAME=me", "PASSWORD=geheim"]
    docker.there = {f"mesh-e2e-cache-docker.io-{docker.number}": [f"REGISTRY_PROXY_{one}" for one in old]}

    registry_caches.start_caches(["docker.io"], None, {}, known, state)

    assert docker.removed == [f"mesh-e2e-cache-docker.io-{docker.number}"]
    assert docker.started == []
    assert len(docker.made) == 1


def test_a_cache_that_does_not_start_says_so(docker, state):
    """Docker's own reason is in the error, and the way without."""
    docker.fails = True

    with pytest.raises(SetupFailed, match="no space left") as caught:
        registry_caches.start_caches(REGISTRIES, None, {}, {}, state)

    assert "CACHE=1" in caught.value.remedy


def test_caches_of_another_state_folder_are_not_ours(docker, state):
    """Another checkout or user with a state folder of its own has caches of its own, with its own logins."""
    other = registry_caches.start_caches(["docker.io"], None, {}, HUB, state / "another")

    assert other != registry_caches.start_caches(["docker.io"], None, {}, {}, state)
    assert [one.labels["mesh-e2e-cache"] for one in docker.made] == [other["docker.io"][-8:], docker.number]
    docker.there = {name: [] for name in other.values()}
    assert registry_caches.remove_caches(state) == docker.removed == []


def test_caches_are_removed(docker, state):
    """Those of this state folder, by label. If Docker does not answer, that is an error: caches may be left."""
    registry_caches.start_caches(["docker.io"], None, {}, {}, state)
    docker.there = {f"mesh-e2e-cache-docker.io-{docker.number}": []}
    assert registry_caches.remove_caches(state) == docker.removed == [f"mesh-e2e-cache-docker.io-{docker.number}"]

    registry_caches.start_caches(["docker.io"], None, {}, {}, state)
    docker.fails = True
    with pytest.raises(SetupFailed, match=r"may be left: Docker says.*permission denied"):
        registry_caches.remove_caches(state)


def test_docker_is_not_asked_about_caches_that_were_never_started(docker, state):
    """`make clean` works on a machine without Docker if CACHE=1 was never used from this state folder."""
    docker.fails = True

    assert registry_caches.remove_caches(state) == []
