"""Manifests and names that are written for namespace `default`, moved to another one."""

from __future__ import annotations

import ast
import copy
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.objects.kind_namespace_name import KINDS, ref_of
from harness.objects.manifests import MANIFESTS, read_manifest
from harness.objects.namespace_mapping import AS_WRITTEN, CLASS_PREFIX, FURTHER, WRITTEN, Document, Placement
from tests.sources import nodes, tree

ROOT = MANIFESTS.parent
STACK = ("redis.yaml", "metallb.yaml", "metallb_definitions.yaml")  # parts of it have namespaces of their own
FIXED = ("values", "conformance")  # no objects, and those of a suite whose names are fixed: one run on a cluster
FILES = sorted(file for file in MANIFESTS.rglob("*.yaml") if file.parent.name not in FIXED and file.name not in STACK)
THERE = Placement("team-a", "mesh.example", "k8s.example")
LABELS = st.from_regex(r"[a-z][a-z0-9]{0,8}(-[a-z0-9]{1,6})?", fullmatch=True).filter(lambda name: name not in FURTHER)
DOMAINS = st.sampled_from(["mesh.example", "td", "a.b.c"])
PLACEMENTS = st.builds(Placement, LABELS.filter(lambda name: name != WRITTEN), DOMAINS, DOMAINS)
# What is left of `default` and its domains where a name of the run is meant.
LEFT = re.compile(
    r"(^|/)(default|elsewhere)/|\w\.(default|elsewhere)(\.svc|:|/|$)|svc\.cluster\.local|cluster\.local/ns/"
)
# In sources: names of objects, hosts, identities and xDS names that a run has elsewhere.
NAME = re.compile(
    r"(^|\w/)(default|elsewhere)/|^Namespace/(default|elsewhere)$|\w\.(default|elsewhere)(\.svc|:|/|$)|/ns/default/"
)


def obj(kind: str = "ConfigMap", **spec: Any) -> Document:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": "x", "namespace": "default"}, "spec": spec}


@pytest.mark.parametrize(
    ("written", "moved"),
    [
        (
            {"parentRefs": [{"name": "a", "namespace": "default"}]},
            {"parentRefs": [{"name": "a", "namespace": "team-a"}]},
        ),
        ({"parametersRef": {"namespace": "default"}}, {"parametersRef": {"namespace": "team-a"}}),
        (
            {"from": [{"kind": "HTTPRoute", "namespace": "elsewhere"}]},
            {"from": [{"kind": "HTTPRoute", "namespace": "team-a-elsewhere"}]},
        ),
        (
            {"subjects": [{"kind": "ServiceAccount", "namespace": "default"}]},
            {"subjects": [{"kind": "ServiceAccount", "namespace": "team-a"}]},
        ),
        ({"source": {"namespaces": ["default", "kube-system"]}}, {"source": {"namespaces": ["team-a", "kube-system"]}}),
        ({"hostnames": ["ratings", "ratings.default"]}, {"hostnames": ["ratings", "ratings.team-a"]}),
        ({"hostname": "ratings.default.svc.cluster.local"}, {"hostname": "ratings.team-a.svc.k8s.example"}),
        (
            {"url": "http://redis.redis-system.svc.cluster.local:6379"},
            {"url": "http://redis.redis-system.svc.k8s.example:6379"},
        ),
        (
            {"principals": ["cluster.local/ns/default/sa/waypoint"]},
            {"principals": ["mesh.example/ns/team-a/sa/waypoint"]},
        ),
        (
            {"principals": ["spiffe://cluster.local/ns/istio-system/sa/x"]},
            {"principals": ["spiffe://mesh.example/ns/istio-system/sa/x"]},
        ),
        ({"cluster": "httproute/default/ratings/rule/0"}, {"cluster": "httproute/team-a/ratings/rule/0"}),
        ({"listener": "default/bookinfo-ingress/ingress"}, {"listener": "team-a/bookinfo-ingress/ingress"}),
        (
            {"matchLabels": {"kubernetes.io/metadata.name": "default"}},
            {"matchLabels": {"kubernetes.io/metadata.name": "team-a"}},
        ),
        (
            {"matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["default"]}]},
            {"matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["team-a"]}]},
        ),
        ({"istio.io/use-waypoint-namespace": "default"}, {"istio.io/use-waypoint-namespace": "team-a"}),
        ({"gatewayClassName": "eg-waypoint"}, {"gatewayClassName": "team-a-eg-waypoint"}),
        ({"gatewayClassName": "istio"}, {"gatewayClassName": "istio"}),
    ],
)
def test_what_refers_to_the_namespace_follows_it(written: dict[str, Any], moved: dict[str, Any]) -> None:
    """References, host names, identities, xDS names and selectors."""
    assert THERE.document(obj(**written))["spec"] == moved


@pytest.mark.parametrize(
    "same",
    [
        {"serviceAccountName": "default"},
        {"schedulerName": "default-scheduler"},
        {"mountPath": "/etc/default/grub"},
        {"logging": {"level": {"default": "warn"}}},
        {"image": "docker.io/default/app:1"},
        {"name": "elsewhere"},
        {"value": "cluster.local"},
    ],
)
def test_other_words_stay(same: dict[str, Any]) -> None:
    """`default` is also a word, the name of an account, and part of paths."""
    assert THERE.document(obj(**same))["spec"] == same


@pytest.mark.parametrize(
    ("written", "moved"),
    [
        ("Service/default/ratings", "Service/team-a/ratings"),
        ("Service/elsewhere/guest", "Service/team-a-elsewhere/guest"),
        ("Namespace/default", "Namespace/team-a"),
        ("GatewayClass/eg-ingress", "GatewayClass/team-a-eg-ingress"),
        ("GatewayClass/istio", "GatewayClass/istio"),
        ("Deployment/istio-system/istiod", "Deployment/istio-system/istiod"),
        ("default", "team-a"),
        ("elsewhere", "team-a-elsewhere"),
        ("default/waypoint", "team-a/waypoint"),
        ("http://ratings.default:9080/ratings/0", "http://ratings.team-a:9080/ratings/0"),
        ("http://ratings.default.svc:9080/x", "http://ratings.team-a.svc:9080/x"),
        ("ratings.default.svc.cluster.local", "ratings.team-a.svc.k8s.example"),
        ("spiffe://cluster.local/ns/default/sa/default", "spiffe://mesh.example/ns/team-a/sa/default"),
        ("httproute/default/ratings/rule/0/match/0/*", "httproute/team-a/ratings/rule/0/match/0/*"),
        ("ratings", "ratings"),
    ],
)
def test_names_of_suites_follow_it(written: str, moved: str) -> None:
    """Objects, hosts, URLs, identities, routes, and the namespace alone."""
    assert THERE.text(written) == moved
    assert THERE.text(moved) == moved


def test_objects_of_no_namespace_bear_its_name_and_label() -> None:
    """So that two runs share a cluster, and what a run made can be found by its label."""
    named, gateway_class = (
        THERE.document({"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "labels": {"a": "b"}}})
        for kind, name in (("Namespace", "default"), ("GatewayClass", "eg-ingress"))
    )

    assert (named["metadata"]["name"], gateway_class["metadata"]["name"]) == ("team-a", "team-a-eg-ingress")
    labels = {"a": "b", "app.kubernetes.io/managed-by": "mesh-e2e", "app.kubernetes.io/instance": "team-a"}
    assert (named["metadata"]["labels"], gateway_class["metadata"]["labels"]) == (labels, labels)


@settings(deadline=None)
@given(placement=PLACEMENTS, file=st.sampled_from(FILES))
def test_nothing_of_a_manifest_stays_behind(placement: Placement, file: Path) -> None:
    """Every object is the run's own, nothing in it names `default` or its domains, and the rest is as it was."""
    written = read_manifest(file)
    before = copy.deepcopy(written)

    moved = placement.documents(written)

    assert written == before
    assert [str(ref_of(one)) for one in moved if not placement.has(ref_of(one))] == []
    assert not [text for text in strings(moved) if LEFT.search(text) and text not in ("default", "elsewhere")]
    assert not [key for key, value in keyed(moved) if key == "namespace" and value in (WRITTEN, *FURTHER)]
    assert shape(moved) == shape(written)


@settings(deadline=None, max_examples=10)
@given(first=PLACEMENTS, second=PLACEMENTS)
def test_two_runs_share_no_object(first: Placement, second: Placement) -> None:
    """All manifests, in two namespaces of one cluster."""
    documents = [one for file in FILES for one in read_manifest(file)]
    names = [{str(ref_of(one)) for one in placement.documents(documents)} for placement in (first, second)]

    assert first.namespace == second.namespace or not names[0] & names[1]


def test_as_written_nothing_changes() -> None:
    """With `default` the flow is the article's, to the letter."""
    documents = [one for file in FILES for one in read_manifest(file)]

    assert AS_WRITTEN.documents(documents) == documents


def test_manifests_use_no_other_namespace_or_class() -> None:
    """What is moved by name is known by name: further namespaces, and the prefix of classes."""
    documents = [one for file in FILES for one in read_manifest(file)]
    clusterwide = [one for one in documents if not KINDS[one["kind"]][1]]

    assert {one["kind"] for one in clusterwide} == {"Namespace", "GatewayClass"}
    assert {one["metadata"]["name"] for one in clusterwide if one["kind"] == "Namespace"} == {WRITTEN, *FURTHER}
    names = [one["metadata"]["name"] for one in clusterwide if one["kind"] == "GatewayClass"]
    assert [name for name in names if not name.startswith(CLASS_PREFIX)] == []


def test_install_manifests_need_no_domain() -> None:
    """They are applied before the cluster's domains are known."""
    installed = [*(MANIFESTS / "base").glob("*.yaml"), *(MANIFESTS / "install").glob("*.yaml")]

    assert [file.name for file in installed if "cluster.local" in json.dumps(read_manifest(file))] == []


def test_suites_place_every_name() -> None:
    """A string that names the namespace or a domain is given to `here`, itself or as a constant of the file."""
    assert [found for file in sorted(ROOT.glob("suites/*/test_*.py")) for found in unplaced(file)] == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("def test(kube):\n    kube.get('Service/default/x')\n", 1),
        ("def test(kube, here):\n    kube.get(here('Service/default/x'))\n", 0),
        ("NAME = 'Service/default/x'\ndef test(kube, here):\n    kube.get(here(NAME))\n", 0),
        ("NAME = 'Service/default/x'\ndef test(kube, here):\n    kube.get(NAME)\n", 1),
        ("def test(kube, n):\n    kube.get(f'Service/default/{n}')\n", 1),
        ("REQUEST = get('http://x.elsewhere:80/')\n", 1),
    ],
)
def test_a_name_that_is_not_placed_is_found(tmp_path: Path, source: str, found: int) -> None:
    """The check above sees it."""
    file = tmp_path / "test_x.py"
    file.write_text(source)

    assert len(unplaced(file)) == found


def test_the_harness_names_no_namespace_of_suites() -> None:
    """Outside the placement, only names that are placed where they are used."""
    placed = {"installation.py", "running_versions.py", "restarts.py", "stack_recovery.py"}
    files = [file for file in sorted((ROOT / "harness").rglob("*.py")) if "emulated" not in file.parts]

    found = {file.name: [text for _, text in named(nodes(file))] for file in files}
    assert {name: texts for name, texts in found.items() if texts and name not in placed} == {}


def strings(value: Any) -> list[str]:
    return [one for _, one in keyed(value)]


def keyed(value: Any, key: str = "") -> list[tuple[str, str]]:
    """All strings of a value, each with its key."""
    if isinstance(value, dict):
        return [found for name, one in value.items() for found in keyed(one, name)]
    if isinstance(value, list):
        return [found for one in value for found in keyed(one, key)]
    return [(key, value)] if isinstance(value, str) else []


def shape(value: Any) -> Any:
    """A value with its strings left out, and without labels, which are added."""
    if isinstance(value, dict):
        return {key: shape(one) for key, one in value.items() if key != "labels"}
    return [shape(one) for one in value] if isinstance(value, list) else "" if isinstance(value, str) else value


def named(source: Sequence[ast.AST]) -> list[tuple[ast.AST, str]]:
    """Strings of a source that name the namespace or a domain, docstrings left out."""
    skip = {id(one.value) for one in source if isinstance(one, ast.Expr)}
    skip |= {id(part) for one in source if isinstance(one, ast.JoinedStr) for part in one.values}
    found: list[tuple[ast.AST, str]] = []
    for node in source:
        if id(node) not in skip and isinstance(node, ast.JoinedStr):
            found.append(
                (node, "".join(str(part.value) if isinstance(part, ast.Constant) else "x" for part in node.values))
            )
        elif id(node) not in skip and isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.append((node, node.value))
    return [(node, text) for node, text in found if NAME.search(text)]


def unplaced(file: Path) -> list[str]:
    """Names in a suite's source that do not pass `here`. Parameters of a test are its own business."""
    every = nodes(file)
    calls = [one for one in every if isinstance(one, ast.Call) and ast.unparse(one.func) == "here"]
    decorators = [one for node in every for one in getattr(node, "decorator_list", [])]
    placed = {id(part) for one in (*calls, *decorators) for part in ast.walk(one)}
    names = [(node, text) for node, text in named(every) if id(node) not in placed]
    constants: dict[str, list[str]] = {}
    for one in (one for one in tree(file).body if isinstance(one, ast.Assign)):
        targets = one.targets[0].elts if isinstance(one.targets[0], ast.Tuple) else one.targets
        values = one.value.elts if isinstance(one.value, ast.Tuple) and len(targets) > 1 else [one.value]
        for target, value in zip(targets, values, strict=False):
            if isinstance(value, ast.Constant | ast.JoinedStr | ast.Tuple):
                held = [text for node, text in names if any(node is part for part in ast.walk(value))]
                constants[ast.unparse(target)] = held
    uses = [one for one in every if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Load)]
    bare = [one.id for one in uses if constants.get(one.id) and id(one) not in placed]
    known = [text for found in constants.values() for text in found]
    return [f"{file.name}: {one}" for one in [*(text for _, text in names if text not in known), *bare]]
