"""Every reference of the tree is one that references.yaml has with its public source, and the registries are asked."""

import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from harness import cli, public_artifact_sources
from harness.cluster import registry_caches
from harness.errors import BadInput
from harness.registry.manifest_check import Registries
from harness.registry.reference import parse_reference
from harness.version_sets import load

ROOT = public_artifact_sources.FILE.parent
SOURCES = public_artifact_sources.load()
KNOWN = {str(replace(one, digest="")): one for one in SOURCES.pulled()}
ACTIONS = {text for one in SOURCES.actions for text in one.references}
TOOLS = {text for one in SOURCES.tools for text in one.references}

SKIPPED = {"runs", "tests", "bundle", "allure-results"}  # tests have references that do not exist, on purpose
WRONG_ON_PURPOSE = {"faults/wrong-image-tag.yaml"}
REGISTRIES = {"docker.io", "ghcr.io", "quay.io", "registry.k8s.io", "gcr.io"}
# gcr.io as Istio's registry; the Gateway API's conformance suite and the external processor have images there.
RETIRED = re.compile(
    r"\b(?:gcr\.io(?!/(?:k8s-staging-gateway-api|solo-test-236622)/)|registry\.istio\.io|istio-release\.storage\.googleapis\.com)\b"
)
IN_CLUSTER = ".svc.cluster.local"  # a Service of a manifest
PULLED = re.compile(
    r"(?<![\w./:@-])(?:oci://)?(?P<name>(?:[a-z0-9-]+\.)+[a-z]{2,}(?::\d+)?/[a-z0-9][a-z0-9._/-]*[a-z0-9]"
    r"|kindest/node):(?P<tag>\w(?:[\w.-]*\w)?)(?P<digest>@sha256:[0-9a-f]{64}\b)?(?P<open>[{…])?"
)
IMAGE_KEY = re.compile(r"""\bimage: *["']?(?P<image>[\w./:@-]+)""")
USES = re.compile(r"\buses: *(?P<action>[^\s#]+)(?P<comment> # v[\d.]+)?")
INSTALLED = re.compile(r"^ +(?P<name>KIND|HELM|ACTIONLINT)_VERSION: (?P<version>\S+)$", re.MULTILINE)
RENOVATE = re.compile(r"# renovate:[^\n]*")


def texts() -> dict[str, str]:
    """Every text of the tree by its path; what is fetched, built or made by runs is none of it."""
    folders = [ROOT, *(one for one in ROOT.iterdir() if one.is_dir() and one.name not in SKIPPED)]
    folders = [one for one in folders if not one.name.startswith(".") or one.name in (".github", ".ci")]
    files = [file for folder in folders for file in folder.glob("*" if folder == ROOT else "**/*") if file.is_file()]
    kinds = {".yaml", ".yml", ".py", ".md", ".json"}
    return {
        str(one.relative_to(ROOT)): one.read_text() for one in files if one.suffix in kinds or one.name == "Makefile"
    }


def offences(path: str, text: str) -> list[str]:
    """What is wrong with the references of a text, one sentence each."""
    found = [f"{one[0]} retires in December 2026" for one in RETIRED.finditer(text)]
    found += [f"{one['image']} has no registry" for one in IMAGE_KEY.finditer(text) if unqualified(path, one["image"])]
    for one in PULLED.finditer(text):
        reference = parse_reference(f"{one['name']}:{one['tag']}{one['digest'] or ''}")
        if reference.registry.partition(":")[0].endswith(IN_CLUSTER):
            continue
        if reference.registry not in REGISTRIES:
            found.append(f"{reference.registry} is not an allowed registry")
        elif reference.tag == "latest":
            found.append(f"{reference} is whatever is newest")
        elif one["open"]:
            continue  # a format string or an abbreviation; what it makes is a version set's, and looked at there
        elif reference.repository == "kindest/node" and not reference.digest:
            found.append(f"{reference} is a node image without a digest")
        elif path not in WRONG_ON_PURPOSE and not known(replace(reference, digest=""), reference.digest):
            found.append(f"{reference} is not in references.yaml")
    if path.startswith(".github/workflows/"):
        used = [(one["action"], one["comment"] or "") for one in USES.finditer(text)]
        found += [f"{a}{c} is not in references.yaml" for a, c in used if a[:2] != "./" and f"{a}{c}" not in ACTIONS]
        tools = {"KIND": "kubernetes-sigs/kind", "HELM": "helm/helm", "ACTIONLINT": "rhysd/actionlint"}
        installed = [f"{tools[one['name']]}@{one['version']}" for one in INSTALLED.finditer(text)]
        found += [f"{one} is not in references.yaml" for one in installed if one not in TOOLS]
        found += [f"{one} is whatever is newest" for one in re.findall(r"\S+@latest\b", text)]
    return found


def known(reference: Any, digest: str) -> bool:
    """Whether references.yaml has it, with that digest if one is given."""
    there = KNOWN.get(str(reference))
    return there is not None and digest in ("", there.digest)


def unqualified(path: str, image: str) -> bool:
    """Whether a manifest names an image as only Docker understands it."""
    return path.startswith(("manifests/", "faults/")) and not PULLED.fullmatch(image)


def test_tree_names_only_what_a_public_source_names() -> None:
    """Every image, chart, tool and action of the tree is in references.yaml, from an allowed registry, pinned."""
    found = [f"{path}: {one}" for path, text in texts().items() for one in offences(path, text)]

    assert found == []


def test_version_sets_and_sources_are_the_same() -> None:
    """What the version sets and the caches pull is what references.yaml has: nothing unsourced, nothing unused."""
    pulled = {*public_artifact_sources.pulled_by(load().sets.values()), parse_reference(registry_caches.IMAGE)}

    assert {str(replace(one, digest="")) for one in pulled} == set(KNOWN)
    assert [str(one) for one in pulled if one.digest and KNOWN[str(replace(one, digest=""))] != one] == []


def test_workflows_use_every_action_and_tool() -> None:
    """No action or tool has a source and no use; workflows install the kind of the default set's node image."""
    workflows = "".join(text for path, text in texts().items() if path.startswith(".github/workflows/"))
    installed = {one["version"] for one in INSTALLED.finditer(workflows) if one["name"] == "KIND"}

    assert [one for one in ACTIONS if one not in workflows] == []
    assert [one for one in TOOLS if one.partition("@")[2] not in workflows] == []
    assert installed == {f"v{load().pick().node_image.kind}"}


@pytest.mark.parametrize(
    ("path", "text", "why"),
    [
        ("versions.yaml", "hub: gcr.io/istio-release", "gcr.io retires"),
        ("harness/version_sets.py", 'HUB = "registry.istio.io/release"', "registry.istio.io retires"),
        ("docs/a.md", "helm pull oci://gcr.io/istio-release/charts/base", "gcr.io retires"),
        ("versions.yaml", "image: kindest/node:v1.34.3", "node image without a digest"),
        ("docs/a.md", "NODE_IMAGE=kindest/node:v1.34.4", "node image without a digest"),
        ("versions.yaml", f"image: kindest/node:v1.34.3@sha256:{'0' * 64}", "not in references.yaml"),
        ("manifests/a.yaml", "image: docker.io/curlimages/curl:latest", "whatever is newest"),
        ("manifests/a.yaml", "image: docker.io/curlimages/curl:8.99.0", "not in references.yaml"),
        ("manifests/a.yaml", "image: example.io/curl/curl:8.11.1", "example.io is not an allowed registry"),
        ("manifests/a.yaml", "image: localhost.example:5000/curl:8.11.1", "not an allowed registry"),
        ("manifests/a.yaml", "containers: [{ image: redis:6.0.6 }]", "redis:6.0.6 has no registry"),
        ("manifests/a.yaml", "image: docker.io/library/redis", "has no registry"),
        ("harness/a.py", 'f"example.io/envoyproxy/gateway:v{x}"', "example.io is not an allowed registry"),
        (".github/workflows/a.yaml", "uses: actions/checkout@v7", "actions/checkout@v7 is not in"),
        (".github/workflows/a.yaml", f"uses: actions/checkout@{'0' * 40} # v7.0.1", "is not in references.yaml"),
        (".github/workflows/a.yaml", f"uses: {sorted(ACTIONS)[0].partition(' ')[0]}", "is not in references.yaml"),
        (".github/workflows/a.yaml", "env:\n  KIND_VERSION: v0.30.0\n", "kubernetes-sigs/kind@v0.30.0 is not in"),
        (".github/workflows/a.yaml", "run: go install sigs.k8s.io/kind@latest", "whatever is newest"),
    ],
)
def test_what_may_not_be_named(path: str, text: str, why: str) -> None:
    """Retired registries, other registries, unpinned node images and actions, `latest`, and what has no source."""
    assert why in " | ".join(offences(path, text))


def test_renovate_sees_every_comment() -> None:
    """Each `# renovate:` comment is matched by one expression of the configuration, which captures what it needs."""
    managers = json.loads((ROOT / ".github/renovate.json").read_text())["customManagers"]
    matched, used = Counter[str](), set[str]()
    for path, text in texts().items():
        for expression in (e for m in managers if any(re.search(p.strip("/"), path) for p in m["managerFilePatterns"])
                           for e in m["matchStrings"]):  # fmt: skip
            for one in re.finditer(expression.replace("(?<", "(?P<"), text):
                used.add(expression)
                matched[f"{path}:{text.count(chr(10), 0, one.start()) + 1}"] += 1
                assert all(one.groupdict().values()), one[0]
                assert one["datasource"] in one[0].splitlines()[0]
                assert {"depName", "currentValue"} <= one.groupdict().keys()
                assert ("currentDigest" in one.groupdict()) == ("@sha256:" in one[0])
    comments = {
        f"{path}:{text.count(chr(10), 0, one.start()) + 1}"
        for path, text in texts().items() if path.endswith((".yaml", ".py"))
        for one in RENOVATE.finditer(text) if "datasource=" in one[0]
    }  # fmt: skip

    assert matched == Counter(comments)
    assert used == {expression for one in managers for expression in one["matchStrings"]}
    assert len(comments) >= 20


def registries(answer: Any) -> Registries:
    """Registries that answer so."""
    return Registries(40, lambda _: None, httpx.MockTransport(answer))


def test_registries_are_asked_for_every_reference() -> None:
    """Images and charts, each once, with the digest that its source gives."""
    asked = list[str]()

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(f"{request.url.host}{request.url.path}")
        of = [(ref, d) for ref, d in expected.items() if ref.repository in request.url.path]
        of = [(ref, d) for ref, d in of if ref.tag in request.url.path] or of
        digest = of[0][1] if of else "sha256:" + "0" * 64
        return httpx.Response(200, headers={"docker-content-digest": digest})

    wanted = public_artifact_sources.pulled_by(load().sets.values())
    expected = public_artifact_sources.known_digests(SOURCES.pulled())
    answers = public_artifact_sources.check_references(wanted, expected, registries=registries(answer))

    assert [one.state for one in answers] == ["found"] * len(wanted)
    assert len(set(asked)) == len(wanted)
    assert "ghcr.io/v2/istio/release/charts/ztunnel/manifests/1.29.1" in asked
    assert f"registry-1.docker.io/v2/kindest/node/manifests/{load().pick().node.partition('@')[2]}" in asked


def test_one_registry_can_be_asked_for_all() -> None:
    """A private registry has all repositories; it is asked for each."""
    hosts = set[str]()

    def answer(request: httpx.Request) -> httpx.Response:
        hosts.add(f"{request.url.scheme}://{request.url.netloc.decode()}")
        return httpx.Response(404)

    answers = public_artifact_sources.check_references(
        SOURCES.pulled(), {}, registry="localhost:5000", registries=registries(answer)
    )

    assert hosts == {"http://localhost:5000"}
    assert {one.state for one in answers} == {"gone"}


@pytest.mark.parametrize("registry", ["http://localhost:5000", "localhost:port", "mirror", "a b"])
def test_registry_that_is_none_is_refused(registry: str) -> None:
    """`--registry` takes a host, or host and port."""
    with pytest.raises(BadInput):
        public_artifact_sources.check_references(
            SOURCES.pulled(), {}, registry=registry, registries=registries(lambda _: httpx.Response(200))
        )


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (200, 0, ""),
        (404, 1, "gone: docker.io/kindest/node:v1.34.3@sha256:"),
        (503, 1, "could not be asked: 6 references: ghcr.io answers 503"),
    ],
)
def test_command_says_what_is_gone(
    status: int, code: int, message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """0 when all are there; 1 when one is gone, which is named, or could not be asked, in other words."""
    gone = registries(lambda request: httpx.Response(status if "kindest" in request.url.path or status == 503 else 200))
    monkeypatch.setattr(public_artifact_sources, "make_registries", lambda: gone)
    monkeypatch.setenv("E2E_VERSIONS", load().default)

    assert cli.main(["check-references", "--any-digest"]) == code
    captured = capsys.readouterr()
    assert message.partition("@")[0] in captured.err
    assert "gone" in captured.out or status != 404
    assert str(len(public_artifact_sources.pulled_by([load().pick()]))) in captured.out


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"sources": []}, r"images\.0\.sources"),
        ({"sources": ["kind's release notes"]}, r"images\.0\.sources\.0"),
        ({"references": ["docker.io/a/b:1"]}, "needs either a digest or `no_digest`"),
        ({"references": ["docker.io/a/b@sha256:" + "0" * 64]}, "needs a tag"),
        ({"references": ["docker.io/a/b:latest"], "no_digest": "none"}, "needs a tag other than latest"),
        ({"references": ["docker.io/a/B:1"]}, "is not a reference"),
        ({"source": "x"}, r"images\.0\.source is unknown"),
    ],
)
def test_sources_are_checked(tmp_path: Path, change: dict[str, Any], why: str) -> None:
    """An entry without a source, or without either digest or reason, is refused by name."""
    raw = yaml.safe_load(public_artifact_sources.FILE.read_text())
    raw["images"][0] |= change
    (tmp_path / "references.yaml").write_text(yaml.safe_dump(raw))

    with pytest.raises(BadInput, match=why):
        public_artifact_sources.load(tmp_path / "references.yaml")
