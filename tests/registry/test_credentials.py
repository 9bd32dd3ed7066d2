"""Credentials of `docker login`, as Docker's configuration and its helpers have them."""

import base64
import json
from pathlib import Path

import pytest

from harness.errors import BadInput
from harness.registry.credentials import Login, docker_config, login, logins
from tests.fakes.programs import Programs


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Docker's configuration of the test's own."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    return tmp_path / "config.json"


def auth(text: str) -> dict[str, str]:
    return {"auth": base64.b64encode(text.encode()).decode()}


def test_logins_of_the_configuration(config: Path) -> None:
    """By registry; Docker Hub's stands under its old address. A password may hold colons."""
    auths = {
        "r.io:5000": auth("me:a:b"),
        "https://index.docker.io/v1/": auth("hub:x"),
        "token.io": {"identitytoken": "t"},
    }
    config.write_text(json.dumps({"auths": auths}))

    assert logins(["docker.io", "r.io:5000", "token.io", "other.io"]) == {
        "docker.io": Login("hub", "x"),
        "r.io:5000": Login("me", "a:b"),
    }
    assert "a:b" not in repr(login("r.io:5000"))


def test_nobody_logged_in(config: Path) -> None:
    """No configuration, or one that says nothing of logins."""
    assert login("docker.io") is None
    config.write_text("{}")
    assert login("docker.io") is None


@pytest.mark.parametrize("key", ["credsStore", "credHelpers"])
def test_login_of_a_credential_helper(config: Path, programs: Programs, key: str) -> None:
    """The helper's program is asked, for one registry or for all."""
    config.write_text(json.dumps({"auths": {"r.io": {}}, key: "test" if key == "credsStore" else {"r.io": "test"}}))
    programs.have("docker-credential-test")
    programs.answer("docker-credential-test", "get", out=json.dumps({"Username": "me", "Secret": "geheim"}))

    assert login("r.io") == Login("me", "geheim")
    assert programs.call("docker-credential-test").stdin == "r.io"


def test_helper_that_is_not_there(config: Path, programs: Programs) -> None:
    """One sentence that names the registry, and both ways out."""
    config.write_text(json.dumps({"credsStore": "absent"}))

    with pytest.raises(BadInput, match=r"credentials of r\.io cannot be read") as caught:
        login("r.io")

    assert "docker login r.io" in caught.value.remedy


def test_configuration_for_nodes_and_pods() -> None:
    """The kubelet's form; it knows Docker Hub by its old address."""
    made = json.loads(docker_config({"r.io:5000": Login("me", "geheim"), "docker.io": Login("hub", "x")}))

    assert made == {"auths": {"r.io:5000": auth("me:geheim"), "https://index.docker.io/v1/": auth("hub:x")}}
