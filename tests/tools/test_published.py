"""tools.yaml: four platforms for each program, and the kind release that a node image needs."""

import re
from pathlib import Path

import pytest

from harness import version_sets
from harness.errors import BadInput
from harness.tools import published
from harness.tools.published import version_numbers

ALL = published.load_published()
PLATFORMS = {"linux-amd64", "linux-arm64", "darwin-amd64", "darwin-arm64"}


def test_every_program_has_every_platform_and_a_source() -> None:
    """From the publisher's own host over TLS, each with a SHA-256 of its own and a public source."""
    sums = [digest for tool in ALL.tools.values() for digest in tool.sha256.values()]

    assert set(ALL.tools) == {"kind", "helm", "kubectl"}
    assert all(set(tool.sha256) == PLATFORMS for tool in ALL.tools.values())
    assert all(tool.url.startswith("https://") and tool.source.startswith("https://") for tool in ALL.tools.values())
    assert len(set(sums)) == len(sums)
    assert ALL.tools["helm"].url_for("darwin-arm64") == "https://get.helm.sh/helm-v4.1.3-darwin-arm64.tar.gz"
    assert ALL.tools["helm"].member_for("darwin-arm64") == "darwin-arm64/helm"
    assert ALL.tools["kubectl"].url_for("linux-arm64").endswith("/v1.35.3/bin/linux/arm64/kubectl")


def test_fetched_kind_fits_every_set_and_both_files_agree() -> None:
    """The kind that tools.yaml fetches is no older than any set's, and it knows each set's node image as versions.yaml
    does."""
    sets = version_sets.load().sets.values()

    assert all(version_numbers(one.node_image.kind) <= version_numbers(ALL.tools["kind"].version) for one in sets)
    assert [ALL.kind_for(one.node) for one in sets] == [one.node_image.kind for one in sets]


@pytest.mark.parametrize(
    ("image", "needs"),
    [
        ("kindest/node:v1.34.0", "0.30.0"),
        ("kindest/node:v1.34.3@sha256:" + "0" * 64, "0.31.0"),
        ("kindest/node:v1.34.11", "0.33.0"),
        ("mirror.test:5000/kindest/node:v1.37.0", "0.33.0"),
        ("kindest/node:v1.41.2", "0.33.0"),
        ("kindest/node:v1.20.1", ""),
        ("mine:latest", ""),
        ("mine@sha256:" + "1" * 64, ""),
    ],
)
def test_kind_for_a_node_image(image: str, needs: str) -> None:
    """By its tag: the release that published it, else the first with its minor; newer than all needs the newest."""
    assert ALL.kind_for(image) == needs


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("kind v0.31.0 go1.25.5 linux/amd64", (0, 31, 0)),
        ("kind v0.32.0-alpha+1234 go1.25.5", (0, 32, 0)),
        ("Client Version: v1.32.4-dispatcher\nKustomize Version: v5.5.0", (1, 32, 4)),
        ("v4.0", (4, 0)),
        ("nothing", ()),
    ],
)
def test_numbers_of_what_programs_print(text: str, found: tuple[int, ...]) -> None:
    """The first dotted number, whatever stands around it."""
    assert version_numbers(text) == found


@pytest.mark.parametrize(
    ("pattern", "by", "message"),
    [
        (r"linux-amd64: \w+", "linux-amd64: abc", r"tools\.kind\.sha256\.linux-amd64"),
        (r"version: 0\.31\.0", "version: latest", r"tools\.kind\.version"),
    ],
)
def test_wrong_file_is_one_sentence(tmp_path: Path, pattern: str, by: str, message: str) -> None:
    """It names the field."""
    file = tmp_path / "tools.yaml"
    file.write_text(re.sub(pattern, by, published.FILE.read_text(), count=1))

    with pytest.raises(BadInput, match=message):
        published.load_published(file)
