"""Version sets: what is known to be impossible is refused, and every image follows from the set."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import BadInput
from harness.objects import manifests
from harness.version_sets import FILE, VersionSet, load, minor
from tests.recordings.shapes import fuzz

MANIFESTS = FILE.parent / "manifests"
FILES = [file for file in sorted(MANIFESTS.glob("*/*.yaml")) if file.parent.name != "values"]  # those are charts
SETS = sorted(load().sets)
DIGEST = "sha256:" + "0" * 64
RAW: dict[str, Any] = yaml.load(FILE.read_text(), yaml.CSafeLoader)


def images_in(tree: Any) -> set[str]:
    """Whatever is called an image, wherever it stands."""
    if isinstance(tree, dict):
        own = {tree["image"]} if isinstance(tree.get("image"), str) else set()
        return own.union(*(images_in(one) for one in tree.values()))
    return set[str]().union(*(images_in(one) for one in tree)) if isinstance(tree, list) else set()


def written(folder: Path, **changes: Any) -> Path:
    """A versions.yaml with the default set changed so."""
    raw = yaml.load(FILE.read_text(), yaml.CSafeLoader)
    row = raw["sets"][raw["default"]]
    if "kubernetes" in changes:
        changes["node_image"] = {"image": f"kindest/node:v{changes.pop('kubernetes')}@{DIGEST}", "kind": "0.31.0"}
    for key, value in changes.items():
        if value is None:
            del row[key]
        else:
            row[key] = value
    file = folder / "versions.yaml"
    file.write_text(yaml.safe_dump(raw))
    return file


@pytest.mark.parametrize("name", ["", *SETS])
def test_every_set_can_be_picked(name: str) -> None:
    """Each row of the matrix is possible by what is known; no name is the default."""
    row = load().pick(name)

    assert row.name == (name or RAW["default"])


def test_unknown_set_names_the_known() -> None:
    """A misspelt set is reported which there are."""
    with pytest.raises(BadInput) as caught:
        load().pick("istio-1.29")

    assert "no version set is named 'istio-1.29'" in str(caught.value)
    assert all(name in caught.value.remedy for name in SETS)
    assert caught.value.exit_code == 2


def test_default_that_is_no_set(tmp_path: Path) -> None:
    """A default that names nothing is refused like any other name."""
    file = written(tmp_path)
    file.write_text(file.read_text().replace(f"default: {RAW['default']}", "default: gone"))

    with pytest.raises(BadInput, match="'gone'"):
        load(file).pick()


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"kubernetes": "1.29.0"}, r"Istio 1\.29\.1 runs on Kubernetes 1\.30 to 1\.35, not on 1\.29\.0"),
        ({"kubernetes": "1.36.0"}, r"Istio 1\.29\.1 runs on Kubernetes 1\.30 to 1\.35, not on 1\.36\.0"),
        ({"kubernetes": "1.31.9"}, r"Envoy Gateway 1\.7\.5 runs on Kubernetes 1\.32 to 1\.35, not on 1\.31\.9"),
        ({"gateway_api": {"bundle": "1.4.1", "channel": "standard"}}, "needs the experimental channel"),
        ({"gateway_api": {"bundle": "1.3.0", "channel": "experimental"}}, r"needs the Gateway API bundle 1\.4\.1"),
        ({"istio": "1.99.0"}, r"Istio 1\.99 is unknown here \(known: 1\.27, "),
        ({"envoy_gateway": "2.0.0"}, r"Envoy Gateway 2\.0 is unknown here \(known: 1\.5, "),
    ],
)
def test_impossible_sets_say_why(tmp_path: Path, changes: dict[str, Any], why: str) -> None:
    """A set that cannot work is refused before anything is made, with the reason and where to change it."""
    with pytest.raises(BadInput, match=rf"cannot work: .*{why}") as caught:
        load(written(tmp_path, **changes)).pick()

    assert "versions.yaml" in caught.value.remedy


def test_all_reasons_are_reported(tmp_path: Path) -> None:
    """A set wrong in several ways is reported all of them at once."""
    file = written(tmp_path, kubernetes="1.20.0", gateway_api={"bundle": "1.0.0", "channel": "standard"})

    with pytest.raises(BadInput) as caught:
        load(file).pick()

    assert str(caught.value).count(";") == 3


@pytest.mark.parametrize("kubernetes", ["1.32.0", "1.35.9"])
def test_ends_of_a_range_are_within_it(tmp_path: Path, kubernetes: str) -> None:
    """The lowest and the highest minor are supported ones."""
    assert load(written(tmp_path, kubernetes=kubernetes)).pick().kubernetes == kubernetes


def test_impossible_set_does_not_keep_others_from_use(tmp_path: Path) -> None:
    """Only the set that is asked for must be possible."""
    file = written(tmp_path, istio="1.99.0")

    other = next(name for name in SETS if name != RAW["default"])
    assert load(file).pick(other).name == other


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"istio": 1.30}, "istio"),  # YAML's own trap: 1.30 is the number 1.3
        ({"istio": "1.30"}, "istio"),
        ({"node_image": None}, "node_image"),
        ({"node_image": {"image": f"kindest/node:v1.34.3@{DIGEST}"}}, r"node_image\.kind"),
        ({"node_image": {"image": "kindest/node:v1.34.3", "kind": "0.31.0"}}, r"node_image\.image"),
        ({"node_image": {"image": f"kindest/node@{DIGEST}", "kind": "0.31.0"}}, r"node_image\.image"),
        ({"node_image": {"image": f"kindest/node:latest@{DIGEST}", "kind": "0.31.0"}}, r"node_image\.image"),
        ({"node_image": {"image": "kindest/node:v1.34.3@sha256:0a1b", "kind": "0.31.0"}}, r"node_image\.image"),
        ({"istoi": "1.29.1"}, "istoi"),
        ({"ratelimit": 12345678}, "ratelimit"),
        ({"ratelimit": "abc"}, "ratelimit"),
        ({"gateway_api": {"bundle": "1.4.1", "channel": "nightly"}}, r"gateway_api\.channel"),
        ({"gateway_api": "1.4.1"}, "gateway_api"),
        ({"redis": ["6.0.6"]}, "redis"),
    ],
)
def test_wrong_field_is_named(tmp_path: Path, changes: dict[str, Any], where: str) -> None:
    """A field that is missing, unknown or of a wrong shape is named."""
    with pytest.raises(BadInput, match=rf"versions\.yaml: sets\.{RAW['default']}\.{where} (is|\()"):
        load(written(tmp_path, **changes))


def test_minor_that_yaml_took_for_a_number(tmp_path: Path) -> None:
    """An unquoted 1.30 among the limits is the number 1.3: refused, not mistaken for a version."""
    file = tmp_path / "versions.yaml"
    file.write_text(FILE.read_text().replace('"1.29": ["1.30", "1.35"]', '"1.29": [1.30, 1.35]'))

    with pytest.raises(BadInput, match=r"limits\.istio\.1\.29\.0 \(1\.3\) is not text"):
        load(file)


def test_hash_of_digits_only_is_no_number(tmp_path: Path) -> None:
    """An unquoted hash such as 07777777 would be read as an octal number: it is refused."""
    file = tmp_path / "versions.yaml"
    file.write_text(FILE.read_text().replace("ratelimit: f2fb1577", "ratelimit: 07777777"))

    with pytest.raises(BadInput, match="ratelimit"):
        load(file)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, "is missing"),
        ("sets: [", "is not valid YAML"),
        ("sets: {a: {istio: x}, b: {}, a: {istio: y}}", "'a' is set twice, on lines 1 and 1"),
        ("default: a\nsets:\ndefault: b", "'default' is set twice, on lines 1 and 3"),
        ("sets: {a: {istio: x, istio: y}}", "'istio' is set twice"),
        ("", "has no `sets`"),
        ("[]", "has no `sets`"),
        ("sets: [a]", "has no `sets`"),
        ("sets: {a: }", "has no `sets`"),
        ("sets: {a: text}", "has no `sets`"),
        ("default: a", "sets is missing"),
        ("{default: a, sets: {}, limits: {istio: {}, envoy_gateway: {}}, more: 1}", "more is unknown"),
        ("when: 2026-99-99", "is not valid YAML"),
        ("? [a]\n: b", "is not valid YAML"),
        ("\udcff", "is not UTF-8 text"),
    ],
)
def test_malformed_file_is_bad_input(tmp_path: Path, text: str | None, why: str) -> None:
    """A file that is missing or damaged is one clear sentence."""
    file = tmp_path / "versions.yaml"
    if text is not None:
        file.write_bytes(text.encode(errors="surrogateescape"))

    with pytest.raises(BadInput, match=why):
        load(file)


def test_folder_is_bad_input(tmp_path: Path) -> None:
    """A folder in the file's place is one clear sentence."""
    (tmp_path / "versions.yaml").mkdir()

    with pytest.raises(BadInput, match=r"versions\.yaml is a folder"):
        load(tmp_path / "versions.yaml")


def test_unreadable_file_is_bad_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that may not be read is one clear sentence, also where the tests run as root."""

    def denied(*_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", denied)

    with pytest.raises(BadInput, match=r"versions\.yaml cannot be read: Permission denied"):
        load(tmp_path / "versions.yaml")


@pytest.mark.parametrize("name", SETS)
def test_images_are_named_once(name: str) -> None:
    """No two roles share an image, and each image has its registry and tag."""
    images = list(load().sets[name].with_helpers().images.values())

    assert len(set(images)) == len(images)
    assert all(image.split("/")[0].count(".") and ":" in image.rsplit("/", 1)[-1] for image in images), images


def test_every_manifest_can_be_pinned() -> None:
    """Every manifest parses, and every image in it is one that each version set pins."""
    sets = [load().sets[name].with_load_balancer().with_helpers().images.values() for name in SETS]
    found: set[str] = set()
    for file in FILES:
        documents = manifests.read_manifest(file)
        found |= images_in(documents)
        for images in sets:
            assert images_in(manifests.pin_images(documents, images)) <= set(images), file

    assert len(found) >= 8


@pytest.mark.parametrize("istio", ["1.29.1", "1.30.3", "1.31.0"])
def test_istio_comes_from_where_it_stays(istio: str) -> None:
    """Images and charts of every Istio version come from the homes that outlive December 2026."""
    row = load().pick().model_copy(update={"istio": istio})

    assert row.images["pilot"] == f"docker.io/istio/pilot:{istio}-distroless"
    assert row.images["bookinfo-ratings-v1"].startswith("docker.io/istio/examples-bookinfo-ratings-v1:")
    assert row.charts["ztunnel"].reference == "oci://ghcr.io/istio/release/charts/ztunnel"
    assert row.charts["gateway-helm"].reference == "oci://docker.io/envoyproxy/gateway-helm"


def test_charts_have_the_file_names_helm_gives_them() -> None:
    """`helm pull` writes name-version.tgz; Envoy Gateway's versions begin with v."""
    charts = load().pick("istio-1.29-eg-1.7").charts

    assert charts["base"].archive == "base-1.29.1.tgz"
    assert charts["gateway-helm"].archive == "gateway-helm-v1.7.5.tgz"
    assert set(charts) == {"base", "cni", "istiod", "ztunnel", "gateway-helm"}


def test_kubernetes_is_that_of_the_node_image() -> None:
    """A set names its node image by digest with the kind release that built it; the Kubernetes version follows."""
    row = load().pick()

    assert row.node.startswith(f"kindest/node:v{row.kubernetes}@sha256:")
    assert row.node_image.kind == "0.31.0"


def test_summary_names_the_row() -> None:
    """One line holds every version that matters."""
    row: VersionSet = load().pick()

    assert [
        v for v in (row.kubernetes, row.istio, row.envoy_gateway, row.gateway_api.bundle) if v not in row.summary
    ] == []


@fuzz
@given(st.integers(0, 99), st.integers(0, 99), st.integers(0, 99))
def test_minors_compare_as_numbers(major: int, second: int, patch: int) -> None:
    """1.10 comes after 1.9, whatever the patch."""
    assert minor(f"{major}.{second}.{patch}") == (major, second)
    assert minor(f"{major}.{second}.{patch}") < minor(f"{major}.{second + 1}.0")
