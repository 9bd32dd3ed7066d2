"""What a kind node pulls from: hosts.toml, credentials, a registry on this machine, and pulls while it boots."""

import base64
import json
import tomllib
from pathlib import Path

import pytest

from harness.cluster import node_registries, registry_caches
from harness.cluster.node_registries import CERTS, KUBELET_CONFIG, Host, configure_registries, hosts_toml, pull_early
from harness.errors import SetupFailed
from harness.registry.private import PrivateRegistry
from tests.fakes.programs import Programs

PUBLIC = ["docker.io/istio/pilot:1", "ghcr.io/a/b:1"]


@pytest.fixture(autouse=True)
def docker(programs: Programs) -> Programs:
    """Docker, whose network has one gateway; curl in a node reaches nothing unless a test says so."""
    programs.have("docker")
    programs.answer("docker", "network", "inspect", out="172.18.0.1 fc00::1 \n")
    programs.answer("docker", "curl", code=7)
    return programs


@pytest.fixture
def logged_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`docker login` of two registries."""
    entry = {"auth": base64.b64encode(b"me:geheim").decode()}
    (tmp_path / "config.json").write_text(json.dumps({"auths": {"r.io": entry, "https://index.docker.io/v1/": entry}}))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))


def written(docker: Programs, node: str) -> dict[str, str]:
    """The files that were written in a node, by path."""
    calls = docker.calls("docker", "exec", "-i", node)
    return {call.argv[-1]: call.stdin for call in calls}


def test_hosts_in_their_order() -> None:
    """containerd asks one after the other; an authority stands with its host."""
    found = tomllib.loads(hosts_toml([Host("http://cache:5000"), Host("https://r.io", "/ca.crt")]))

    assert list(found["host"]) == ["http://cache:5000", "https://r.io"]
    assert found["host"]["https://r.io"] == {"capabilities": ["pull", "resolve"], "ca": "/ca.crt"}


def test_public_registries_need_nothing(docker: Programs) -> None:
    """Without a login, caches or a registry of one's own nodes are left as they are."""
    configure_registries(["n"], PUBLIC, None, cached=None)

    assert docker.calls() == []


def test_nodes_are_pointed_to_caches(docker: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each registry's cache on each node."""
    monkeypatch.setattr(
        registry_caches, "start_caches", lambda registries, *_: {one: f"cache-{one}" for one in registries}
    )

    configure_registries(["n1", "n2"], PUBLIC, None, cached=Path("state"))

    for node in ("n1", "n2"):
        assert written(docker, node) == {
            f"{CERTS}/{name}/hosts.toml": hosts_toml([Host(f"http://cache-{name}:5000")])
            for name in ("docker.io", "ghcr.io")
        }


@pytest.mark.parametrize(
    ("private", "url"),
    [
        (PrivateRegistry("10.0.0.5:5000", plain_http=True), "http://10.0.0.5:5000"),
        (PrivateRegistry("r.io", ca=Path("ca.pem")), "https://r.io"),
        (PrivateRegistry("r.io"), None),
    ],
)
def test_private_registry_of_its_own_kind(
    docker: Programs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, private: PrivateRegistry, url: str | None
) -> None:
    """Plain HTTP and an own authority are reported to containerd; what it does by itself is not."""
    monkeypatch.chdir(tmp_path)
    Path("ca.pem").write_text("PEM")

    configure_registries(["n"], [private.rewrite(image) for image in PUBLIC], private, cached=None)

    files, folder = written(docker, "n"), f"{CERTS}/{private.host}"
    assert files.get(f"{folder}/ca.crt") == ("PEM" if private.ca else None)
    toml = files.get(f"{folder}/hosts.toml")
    assert (toml and list(tomllib.loads(toml)["host"])) == (url and [url])


def test_registry_on_loopback_is_reached_by_the_networks_gateway(docker: Programs) -> None:
    """localhost is the node itself there; this machine is the gateway of kind's network."""
    private = PrivateRegistry("localhost:5001", plain_http=True)
    docker.answer("docker", "curl", "http://[fc00::1]:5001/v2/", code=0)

    configure_registries(["n"], [private.rewrite(PUBLIC[0])], private, cached=None)

    assert written(docker, "n") == {f"{CERTS}/localhost:5001/hosts.toml": hosts_toml([Host("http://[fc00::1]:5001")])}


def test_registry_in_a_container_joins_kinds_network(docker: Programs, notes: list[tuple[str, str]]) -> None:
    """A container that publishes the port on loopback alone is reached by name, as kind's documentation does it."""
    private = PrivateRegistry("127.0.0.1:5001", plain_http=True)
    docker.answer("docker", "ps", out="other\nreg\n")
    docker.answer("docker", "inspect", "other", out=json.dumps({"80/tcp": [{"HostPort": "15001"}], "1/tcp": None}))
    docker.answer("docker", "inspect", "reg", out=json.dumps({"5000/tcp": [{"HostPort": "5001"}]}))
    docker.answer("docker", "curl", "http://reg:5000/v2/", code=0)

    configure_registries(["n"], [private.rewrite(PUBLIC[0])], private, cached=None)

    assert docker.call("docker", "connect").argv == ["network", "connect", "kind", "reg"]
    assert hosts_toml([Host("http://reg:5000")]) in written(docker, "n").values()
    assert any("container reg is now in network" in text for _, text in notes)


def test_registry_on_loopback_that_no_node_reaches(docker: Programs) -> None:
    """What was asked, and what makes it reachable."""
    private = PrivateRegistry("localhost:5001", plain_http=True)

    with pytest.raises(SetupFailed, match=r"asked: http://172\.18\.0\.1:5001, .*host\.docker\.internal") as caught:
        configure_registries(["n"], [private.rewrite(PUBLIC[0])], private, cached=None)

    assert "0.0.0.0:5001" in caught.value.remedy


@pytest.mark.usefixtures("logged_in")
def test_login_reaches_the_kubelet(docker: Programs) -> None:
    """Of the registries that are pulled from, and of no other; never as an argument."""
    configure_registries(["n"], PUBLIC, None, cached=None)

    config = json.loads(written(docker, "n")[KUBELET_CONFIG])
    assert list(config["auths"]) == ["https://index.docker.io/v1/"]
    assert docker.call("docker", "systemctl").argv == ["exec", "n", "systemctl", "try-restart", "kubelet"]
    assert "geheim" not in "".join(word for call in docker.calls() for word in call.argv)
    docker.answer("docker", "cat", out=written(docker, "n")[KUBELET_CONFIG])
    configure_registries(["n"], PUBLIC, None, cached=None)
    assert len(docker.calls("docker", "systemctl")) == 1  # nothing new: the kubelet of a kept cluster goes on


@pytest.mark.usefixtures("logged_in")
def test_early_pulls_are_detached_and_know_the_login(docker: Programs) -> None:
    """Every image is asked for once; a login goes through the environment, to its own registry's images."""
    pull_early("n", [*PUBLIC, "docker.io/b:1", "docker.io/c:1"])

    calls = docker.calls("docker", "--detach")
    images = [word for call in calls for word in call.argv if ":1" in word]
    assert sorted(images) == sorted([*PUBLIC, "docker.io/b:1", "docker.io/c:1"])
    for call in calls:
        hub = any(word.startswith("docker.io/") for word in call.argv)
        assert (call.env.get("CRICTL_CREDS") == "me:geheim") == ("CRICTL_CREDS" in call.argv) == hub
        assert "me:geheim" not in call.argv
    assert node_registries.STREAMS == 2
    assert len(calls) == 3
