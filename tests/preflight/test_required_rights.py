"""The declared rights are those that runs use: all that were recorded, and none besides."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness import cli
from harness.kube import Kube
from harness.kube.request_log import REQUESTS, ApiRequest, request_of
from harness.objects.kind_namespace_name import KINDS
from harness.objects.manifests import MANIFESTS, parse_documents
from harness.objects.unstructured import text
from harness.preflight.required_rights import Right, Scope, is_done_without, not_allowed, of_parts, plural, unused
from tests import recordings
from tests.fakes.api import FakeApi, named
from tests.patience import SOON

PLACES: dict[Scope, tuple[str, ...]] = {
    "cluster": ("",),
    "ours": ("default", "elsewhere"),
    "mesh": ("istio-system",),
    "control": ("envoy-gateway-system",),
    "store": ("redis-system",),
}
# setup/api-requests.json of runs: all suites on the emulated cluster, and suites of features on kind.
RECORDED = ("api-requests/emulated.json", "api-requests/kind-features.json")


def recorded() -> list[ApiRequest]:
    return [ApiRequest(*one) for name in RECORDED for one in recordings.dump(name)]


def test_every_request_of_a_run_is_allowed() -> None:
    """By the rights of a run, of disruption, and of what INSTALL=1 applies itself."""
    assert not_allowed(of_parts("run", "features", "evidence", "disruptive", "install"), recorded(), PLACES) == []


def test_a_run_with_the_printed_rights_alone() -> None:
    """As on kind, of an account with them and nothing else: all that was asked for is declared, or done without."""
    asked = [ApiRequest(*one) for one in recordings.dump("api-requests/existing-least-rights.json")]
    places = PLACES | {"ours": ("least", "least-elsewhere")}

    denied = not_allowed(of_parts("run", "features", "preflight", "evidence"), asked, places)
    assert {one.resource for one in denied} == {"selfsubjectaccessreviews", "pods/log"}
    assert all(is_done_without(one, places) for one in denied)
    assert not is_done_without(ApiRequest("get", "", "pods/log", "istio-system"), places)


def test_what_manifests_have_may_be_applied() -> None:
    """Every namespaced kind of the manifests, in the suites' namespaces; a new kind needs a right."""
    kinds = {
        text(document, "kind")
        for file in sorted(MANIFESTS.rglob("*.yaml"))
        if file.parent.name != "conformance"  # which needs the right to grant cluster-admin, and is no suite of ours
        for document in parse_documents(file.read_text())
        if text(document, "metadata", "namespace") in PLACES["ours"]
    }
    asked = [
        ApiRequest(verb, KINDS[kind][0].rpartition("/")[0], plural(kind), "default")
        for kind in sorted(kinds)
        for verb in ("get", "create", "patch", "delete")
    ]

    assert {"SecurityPolicy", "HTTPRoute", "Deployment"} <= kinds
    assert not_allowed(of_parts("run", "features", "disruptive"), asked, PLACES) == []


def test_what_is_not_declared_is_noticed() -> None:
    """Each right alone is needed by some recorded request, or its verbs are listed as unused."""
    rights = of_parts("run", "disruptive", "install")
    idle = set(unused(rights, recorded(), PLACES))

    for right in rights:
        wanted = {f"{verb} {resource} ({right.scope})" for resource in right.resources for verb in right.verbs}
        others = [one for one in rights if one is not right]
        if wanted - idle and not _covered(right, others):
            assert not_allowed(others, recorded(), PLACES), f"{right} could be left out"


@pytest.mark.parametrize(
    ("method", "path", "request_"),
    [
        ("GET", "/api/v1/nodes", ("list", "", "nodes", "")),
        ("GET", "/api/v1/namespaces/default", ("get", "", "namespaces", "default")),
        ("GET", "/api/v1/namespaces/default/pods/a/log", ("get", "", "pods/log", "default")),
        ("GET", "/api/v1/nodes/a/proxy/stats%2Fsummary", ("get", "", "nodes/proxy", "")),
        ("PATCH", "/apis/apps/v1/namespaces/x/deployments/a", ("patch", "apps", "deployments", "x")),
        ("DELETE", "/apis/apps/v1/namespaces/x/deployments", ("deletecollection", "apps", "deployments", "x")),
        ("POST", "/api/v1/namespaces/x/pods/a/eviction", ("create", "", "pods/eviction", "x")),
        ("GET", "/apis/apps/v1", None),
        ("GET", "/version", None),
    ],
)
def test_a_request_as_an_authorizer_reads_it(method: str, path: str, request_: tuple[str, ...] | None) -> None:
    """Verb, group, resource with subresource, namespace; discovery is of no resource."""
    assert request_of(method, path) == (ApiRequest(*request_) if request_ else None)


def test_a_client_counts_what_it_sends(kube: Kube, api: FakeApi) -> None:
    """Every kind of request, also those that go on as a websocket."""
    api.put(named("Service/default/counted", spec={}))
    before = dict(REQUESTS.made)

    kube.get("Service/default/counted")
    kube.list_objects("Pod", "counting", labels="a=b")
    kube.apply([named("Service/default/counted", spec={})], force=True)
    kube.exec_in_pod("default", "counting", "c", ["true"], within=SOON)
    kube.delete(["Service/default/counted"], gone=False)

    now = REQUESTS.made
    moved = {one for one in now if now[one] > before.get(one, 0)}
    assert moved == {
        ApiRequest("get", "", "services", "default"),
        ApiRequest("list", "", "pods", "counting"),
        ApiRequest("patch", "", "services", "default"),
        ApiRequest("get", "", "pods/exec", "default"),
        ApiRequest("delete", "", "services", "default"),
    }


def test_a_runs_requests_are_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`rbac --check`: what no right allows is named, exit code 1."""
    (tmp_path / "setup").mkdir()
    file = tmp_path / "setup" / "api-requests.json"
    made = [one._asdict() | {"count": 1} for one in recorded()]
    file.write_text(json.dumps(made))

    assert cli.main(["rbac", "--check", str(tmp_path)]) == 0
    others = ApiRequest("get", "", "pods/log", "team")._asdict() | {"count": 1}
    preflight = ApiRequest("list", "apps", "deployments")._asdict() | {"count": 1}
    file.write_text(json.dumps([*made, others, preflight]))
    assert cli.main(["rbac", "--check", str(tmp_path)]) == 0
    assert "done without: get pods/log team" in capsys.readouterr().out
    more = ApiRequest("list", "", "secrets")._asdict() | {"count": 1}
    file.write_text(json.dumps([*made, more]))
    assert cli.main(["rbac", "--check", str(tmp_path)]) == 1
    assert "not allowed: list secrets" in capsys.readouterr().out
    assert cli.main(["rbac", "--check", str(tmp_path / "nowhere")]) == 2


def test_resources_are_named_as_the_server_does() -> None:
    """The plural of every kind, as clusters were asked for them."""
    asked = {(one.group, one.resource.partition("/")[0]) for one in recorded()}

    assert asked <= {(KINDS[kind][0].rpartition("/")[0], plural(kind)) for kind in KINDS}


def _covered(right: Right, others: list[Right]) -> bool:
    """Whether all that a right allows is allowed by others too: rights of several parts may overlap."""
    asked = [
        ApiRequest(verb, right.group, resource, namespace)
        for namespace in PLACES[right.scope]
        for resource in right.resources
        for verb in right.verbs
    ]
    return not not_allowed(others, asked, PLACES)
