"""Any versions are named without editing a file; what is assumed is noted, and what cannot work is refused."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness import version_sets, version_sets_from_names
from harness.errors import BadInput
from harness.tools import published
from harness.version_ranges import numbers

KNOWN, SETS = version_sets_from_names.load(), version_sets.load()
RAW: dict[str, Any] = yaml.load(version_sets_from_names.FILE.read_text(), yaml.CSafeLoader)


def resolved(name: str) -> version_sets.VersionSet:
    return version_sets_from_names.resolve(name, SETS, KNOWN)


def test_named_versions_are_the_set() -> None:
    """All of it follows from releases.yaml: what that patch of Envoy Gateway installs, the node image by digest."""
    row = resolved("istio-1.29.1+eg-1.9.0+k8s-1.34")

    assert (row.istio, row.envoy_gateway, row.kubernetes) == ("1.29.1", "1.9.0", "1.34.3")
    assert (row.envoy, row.ratelimit, row.gateway_api.bundle) == ("1.39.0", "17b1956c", "1.6.1")
    assert row.name == "istio-1.29.1+eg-1.9.0+k8s-1.34.3"
    assert row.remarks == ()


@pytest.mark.parametrize("name", SETS.sets)
def test_hand_written_sets_agree(name: str) -> None:
    """A set of versions.yaml and its versions as a name are the same charts and images."""
    row = SETS.pick(name)
    same = resolved(f"istio-{row.istio}+eg-{row.envoy_gateway}+k8s-{row.kubernetes}")

    assert (same.images, same.charts, same.node, same.gateway_api) == (
        row.images,
        row.charts,
        row.node,
        row.gateway_api,
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("k8s-1.34+eg-1.8+istio-1.30.3", "istio-1.30.3+eg-1.8.3+k8s-1.34.3"),
        ("eg-v1.9.0", "istio-1.29.1+eg-1.9.0+k8s-1.34.3"),
        ("istio-1.30+eg-1.9+k8s-1.36", "istio-1.30.4+eg-1.9.0+k8s-1.36.1"),
        ("istio-1.29.1+eg-1.7.5+k8s-1.34.11", "istio-1.29.1+eg-1.7.5+k8s-1.34.11"),
    ],
)
def test_what_is_left_out(name: str, expected: str) -> None:
    """A minor alone is its newest patch, and a product that is not named is the default set's; in any order."""
    assert resolved(name).name == expected


@pytest.mark.parametrize(
    ("name", "remark"),
    [
        ("istio-1.29.77+eg-1.7.5", "Istio 1.29.77 is newer than the newest that releases.yaml knows (1.29.9)"),
        ("eg-1.9.5", "Envoy 1.39.0, rate limit service 17b1956c and the Gateway API 1.6.1 are those of 1.9.0"),
    ],
)
def test_newer_patch_is_used_with_a_warning(name: str, remark: str) -> None:
    """An unknown newer patch is used, and what was assumed of it is noted."""
    row = resolved(name)

    assert remark in " ".join(row.remarks)
    assert name.partition("+")[0] in row.name


@pytest.mark.parametrize(
    ("name", "why", "remedy"),
    [
        ("istio-1.29.1+eg-1.9.0+k8s-1.36", "Istio 1.29.1 runs on Kubernetes 1.30 to 1.35, not on 1.36.1", "versions`"),
        ("istio-1.31.0+eg-1.9.0", "Istio 1.31 is not known (known: 1.30, ", "releases.yaml"),
        ("eg-2.0", "Envoy Gateway 2.0 is not known", "releases.yaml"),
        ("eg-1.6.8+k8s-1.31+istio-1.30", "Istio 1.30.4 runs on Kubernetes 1.32 to 1.36", "versions`"),
        ("k8s-1.34.12", "no node image of Kubernetes 1.34.12 is known (known: 1.34.11, ", "NODE_IMAGE="),
        ("k8s-1.20", "no node image of Kubernetes 1.20 is known", "NODE_IMAGE="),
        ("isto-1.29.1+eg-1.9.0", "no product is named 'isto', did you mean 'istio'?", version_sets_from_names.FORM),
        ("istio-1.29.1+istio-1.30.3", "names Istio twice", version_sets_from_names.FORM),
        ("istio-latest+eg-1.9.0", "'istio-latest' is not a product with its version", version_sets_from_names.FORM),
        ("istio-1.29.1+", "'' is not a product with its version", version_sets_from_names.FORM),
    ],
)
def test_refusals_name_the_reason_and_the_remedy(name: str, why: str, remedy: str) -> None:
    """Impossible pairs and unknown releases end with 2, before anything is made."""
    with pytest.raises(BadInput) as caught:
        resolved(name)

    assert why in str(caught.value)
    assert remedy in str(caught.value.remedy)
    assert caught.value.exit_code == 2


def test_gap_among_known_patches_is_no_release() -> None:
    """A number below the newest known patch that is not listed was never released."""
    known = KNOWN.model_copy(update={"envoy_gateway": {"1.8": _without(KNOWN.envoy_gateway["1.8"], "1.8.1")}})

    with pytest.raises(BadInput, match=r"1\.8\.1 is not a known release"):
        version_sets_from_names.resolve("eg-1.8.1", SETS, known)


def _without(minor: version_sets_from_names.EnvoyGatewayMinor, patch: str) -> version_sets_from_names.EnvoyGatewayMinor:
    return minor.model_copy(update={"patches": {v: one for v, one in minor.patches.items() if v != patch}})


def test_files_agree() -> None:
    """The minors are those with limits, bundles those of the limits; a minor of Kubernetes means what tools.yaml's kind
    can create, and each node image names the kind release that tools.yaml knows for it."""
    tools = published.load_published()
    limits = SETS.limits.envoy_gateway

    assert set(KNOWN.istio) == set(SETS.limits.istio)
    assert {m: one.gateway_api.bundle for m, one in KNOWN.envoy_gateway.items()} == {
        m: limit.bundle for m, limit in limits.items()
    }
    assert KNOWN.kind == tools.tools["kind"].version
    wrong = [
        version
        for version, node in KNOWN.kubernetes.node_images.items()
        if (least := tools.kind_for(f"kindest/node:v{version}")) and numbers(least) > numbers(node.kind)
    ]
    assert wrong == []


def test_support_by_day() -> None:
    """A set is out of support once one of its projects has ended it."""
    row = resolved("istio-1.29.1+eg-1.9.0+k8s-1.34")

    assert KNOWN.supported(row, date(2026, 10, 15)) == []
    assert KNOWN.supported(row, date(2026, 10, 16)) == ["Istio 1.29.1 had support until 2026-10-15"]


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"sources": []}, "sources"),
        ({"newest": 1.30}, "newest"),
        ({"until": "soon"}, "until"),
        ({"latest": "1.30.4"}, "latest"),
    ],
)
def test_wrong_field_is_named(tmp_path: Path, change: dict[str, Any], where: str) -> None:
    """An entry without a source, with a wrong or an unknown field, is named."""
    raw = yaml.load(version_sets_from_names.FILE.read_text(), yaml.CSafeLoader)
    raw["istio"]["1.30"] |= change
    (tmp_path / "releases.yaml").write_text(yaml.safe_dump(raw))

    with pytest.raises(BadInput, match=rf"releases\.yaml: istio\.1\.30\.{where} "):
        version_sets_from_names.load(tmp_path / "releases.yaml")
