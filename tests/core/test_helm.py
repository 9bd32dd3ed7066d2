"""Helm 3 and 4 through their program."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from harness import helm
from harness.cluster.protocol import Release
from harness.errors import BadInput, CommandFailed
from harness.helm import Helm
from harness.registry.private import PrivateRegistry
from tests.fakes.programs import Programs

REMOTE = Release(
    "istiod", "oci://ghcr.io/istio/release/charts/istiod", "1.29.1", "istio-system", {"global": {"tag": "x"}}
)
LOCAL = Release(
    "eg", "/b/charts/gateway-helm-v1.7.5.tgz", "v1.7.5", "envoy-gateway-system", {"crds": {"enabled": False}}
)
CHART = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: gateways}
---
---
apiVersion: v1
kind: Service
metadata: {name: eg}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: safe-upgrades}
"""


@pytest.fixture(autouse=True)
def tools(programs: Programs) -> Programs:
    """Helm 3 without releases."""
    programs.have("helm")
    programs.answer("helm", "version", out="v3.19.0")
    programs.answer("helm", "list", out="[]")
    return programs


@pytest.fixture
def own(tmp_path: Path) -> Helm:
    """Helm at a context."""
    return Helm(tmp_path / "kubeconfig", "kind-foo", tmp_path / "helm")


def deployed(tools: Programs, release: Release, chart: str, **changes: str) -> None:
    """Helm lists the release with its values."""
    found = {"name": release.name, "namespace": release.namespace, "chart": chart, "status": "deployed"} | changes
    tools.answer("helm", "list", out=json.dumps([found]))
    tools.answer("helm", "get", "values", out=json.dumps(release.values))


def test_release_is_installed_or_upgraded(own: Helm, tools: Programs, tmp_path: Path) -> None:
    """One command for both; no CRDs and no waiting, which are ours; values on standard input, in no file."""
    own.upgrade_install(REMOTE)

    made = tools.call("helm", "upgrade")
    assert made.argv[:4] == ["upgrade", "--install", "istiod", REMOTE.chart]
    assert (made.after("--version"), made.after("--namespace")) == ("1.29.1", "istio-system")
    assert {"--create-namespace", "--skip-crds"} <= set(made.argv)
    assert {"--wait", "--atomic", "--force-conflicts"}.isdisjoint(made.argv)
    assert made.after("--values") == "-"
    assert json.loads(made.stdin) == {"global": {"tag": "x"}}
    assert made.after("--kube-context") == "kind-foo"


def test_helm_4_may_take_fields_over(own: Helm, tools: Programs) -> None:
    """Helm 4 applies server-side, and would stop at fields that controllers wrote."""
    tools.answer("helm", "version", out="v4.0.1")

    own.upgrade_install(REMOTE)

    assert "--force-conflicts" in tools.call("helm", "upgrade").argv


def test_chart_from_a_bundle_has_no_version(own: Helm, tools: Programs) -> None:
    """An archive is its own version."""
    own.upgrade_install(LOCAL)

    assert "--version" not in tools.call("helm", "upgrade").argv


def test_users_helm_is_not_touched(own: Helm, tools: Programs, tmp_path: Path) -> None:
    """Kubeconfig, caches and settings of every call are our own."""
    own.upgrade_install(REMOTE)
    own.uninstall(REMOTE)
    own.list_releases()

    for call in tools.calls("helm"):
        if call.argv[0] == "version":
            continue
        assert call.env["KUBECONFIG"] == str(tmp_path / "kubeconfig")
        assert {call.env[f"HELM_{n}_HOME"] for n in ("CACHE", "CONFIG", "DATA")} == {
            str(tmp_path / "helm" / n) for n in ("cache", "config", "data")
        }


@pytest.mark.parametrize(("release", "chart"), [(REMOTE, "istiod-1.29.1"), (LOCAL, "gateway-helm-v1.7.5")])
def test_deployed_release_is_left_alone(
    own: Helm, tools: Programs, notes: list[tuple[str, str]], release: Release, chart: str
) -> None:
    """The same chart with the same values is not upgraded, and that is reported."""
    deployed(tools, release, chart)

    own.upgrade_install(release)

    assert tools.calls("helm", "upgrade") == []
    assert any("left as it is" in text for _, text in notes)
    assert tools.call("helm", "list").after("--filter") == f"^{release.name}$"


@pytest.mark.parametrize("changes", [{"chart": "istiod-1.28.0"}, {"chart": "istiod-1.29.10"}, {"status": "failed"}])
def test_other_release_is_upgraded(own: Helm, tools: Programs, changes: dict[str, str]) -> None:
    """Another version of the chart, or one that failed, is upgraded."""
    deployed(tools, REMOTE, **{"chart": "istiod-1.29.1", **changes})

    own.upgrade_install(REMOTE)

    assert tools.calls("helm", "upgrade")


def test_other_values_are_put_in(own: Helm, tools: Programs) -> None:
    """The same chart with other values is upgraded; values that helm does not tell are other values."""
    deployed(tools, REMOTE, "istiod-1.29.1")
    for values in ('{"global": {"tag": "y"}}', "null", ""):
        tools.answer("helm", "get", "values", out=values)
        own.upgrade_install(REMOTE)

    assert len(tools.calls("helm", "upgrade")) == 3


def test_uninstall_of_nothing_is_fine(own: Helm, tools: Programs) -> None:
    """A release that does not exist is no error."""
    own.uninstall(REMOTE)

    made = tools.call("helm", "uninstall")
    assert made.argv[:4] == ["uninstall", "istiod", "--namespace", "istio-system"]
    assert "--ignore-not-found" in made.argv


def test_template_gives_documents(own: Helm, tools: Programs) -> None:
    """What a chart would apply comes as documents, empty ones left out; no cluster is asked."""
    tools.answer("helm", "template", out=CHART)

    assert [document["kind"] for document in own.render_documents(LOCAL)] == [
        "CustomResourceDefinition", "Service", "ValidatingAdmissionPolicy",
    ]  # fmt: skip
    made = tools.call("helm", "template")
    assert "--include-crds" in made.argv
    assert "--kube-context" not in made.argv


def test_definitions_are_switched_on(own: Helm, tools: Programs) -> None:
    """Definitions and their policies come, wherever the chart keeps them; nothing else does."""
    tools.answer("helm", "template", out=CHART)

    found = own.definitions(LOCAL)

    assert [document["kind"] for document in found] == ["CustomResourceDefinition", "ValidatingAdmissionPolicy"]
    assert json.loads(tools.call("helm", "template").stdin) == {"crds": {"enabled": True}}


def test_what_uninstalling_leaves_behind(own: Helm, tools: Programs) -> None:
    """Definitions, and what hooks made: as Envoy Gateway's webhook and its job's account, seen left on kind."""
    hook = {"kind": "MutatingWebhookConfiguration", "metadata": {"annotations": {"helm.sh/hook": "pre-install"}}}
    tools.answer("helm", "template", out=f"{CHART}\n---\n{json.dumps(hook)}\n")

    assert [document["kind"] for document in own.list_left_behind(LOCAL)] == [
        "CustomResourceDefinition",
        "ValidatingAdmissionPolicy",
        "MutatingWebhookConfiguration",
    ]


def test_releases_by_their_whole_names(own: Helm, tools: Programs) -> None:
    """All namespaces are asked; no release is no name."""
    assert own.list_releases() == []
    tools.answer("helm", "list", out='[{"name": "base", "namespace": "istio-system", "status": "deployed"}]')

    assert own.list_releases() == ["istio-system/base"]
    assert "--all-namespaces" in tools.calls("helm", "list")[-1].argv


def test_failure_is_in_helms_own_words(own: Helm, tools: Programs) -> None:
    """What helm says is in the error; there is no remedy where we know none."""
    tools.answer("helm", "upgrade", code=1, err="Error: UPGRADE FAILED: another operation is in progress")

    with pytest.raises(CommandFailed, match="another operation is in progress") as caught:
        own.upgrade_install(REMOTE)

    assert caught.value.remedy == ""


@pytest.mark.parametrize(
    "message",
    [
        'Error: failed to do request: Head "https://ghcr.io/v2/": dial tcp: lookup ghcr.io: no such host',
        'Error: failed to perform "FetchReference" on source: Get "https://ghcr.io/v2/": TLS handshake timeout',
    ],
)
def test_no_network_has_a_remedy(own: Helm, tools: Programs, message: str) -> None:
    """A registry out of reach is reported from other failures: a bundle helps."""
    tools.answer("helm", "upgrade", code=1, err=message)

    with pytest.raises(CommandFailed) as caught:
        own.upgrade_install(REMOTE)

    assert "BUNDLE=folder" in str(caught.value)


def test_pull_takes_an_archive(own: Helm, tools: Programs, tmp_path: Path) -> None:
    """A chart is fetched as an archive into the folder."""
    own.pull("oci://x/base", "1.29.1", tmp_path)

    assert tools.call("helm", "pull").argv == [
        "pull",
        "oci://x/base",
        "--version",
        "1.29.1",
        "--destination",
        str(tmp_path),
    ]


@pytest.mark.parametrize(("message", "major"), [("v3.19.0", 3), ("v4.0.0-rc.1", 4), ("3.2.1+g1", 3)])
def test_supported_versions(tools: Programs, message: str, major: int) -> None:
    """Helm 3 and 4 are."""
    tools.answer("helm", "version", out=f"{message}\n")

    assert helm.read_helm_version() == (major, message)


@pytest.mark.parametrize("message", ["v2.17.0", "v5.0.0", "", "unknown", "v30.1.0"])
def test_other_versions_are_refused(tools: Programs, message: str) -> None:
    """Others are bad input, by name."""
    tools.answer("helm", "version", out=message)

    with pytest.raises(BadInput, match="is not supported"):
        helm.read_helm_version()


@pytest.mark.parametrize(
    ("registry", "flags"),
    [
        (PrivateRegistry("r.io:5000", "m", plain_http=True), ["--plain-http"]),
        (PrivateRegistry("r.io:5000", "m", ca=Path("/ca.pem")), ["--ca-file", "/ca.pem"]),
        (PrivateRegistry("r.io:5000", "m"), []),
        (PrivateRegistry("other.io", plain_http=True), []),
        (None, []),
    ],
)
def test_private_registry_as_it_asks_for(
    tools: Programs, tmp_path: Path, registry: PrivateRegistry | None, flags: list[str]
) -> None:
    """Charts of a registry without TLS, or with an authority of its own, are pulled so; others are not."""
    chart = "oci://r.io:5000/m/istio/release/charts/base"
    own = Helm(tmp_path / "kubeconfig", "", tmp_path / "helm", registry)

    own.pull(chart, "1.29.1", tmp_path)
    own.render_documents(replace(REMOTE, chart=chart))
    own.upgrade_install(replace(REMOTE, chart=chart))
    own.push(tmp_path / "base-1.29.1.tgz", "oci://r.io:5000/m/istio/release/charts")

    for word in ("pull", "template", "upgrade", "push"):
        argv = tools.call("helm", word).argv
        assert [one for one in argv if one in ("--plain-http", "--ca-file", "/ca.pem")] == flags


def test_chart_that_a_private_registry_lacks(tools: Programs, tmp_path: Path) -> None:
    """The remedy is the command that fills it."""
    tools.answer("helm", "pull", code=1, err='failed to perform "FetchReference" on source: r.io/base:1: not found')

    with pytest.raises(CommandFailed) as caught:
        Helm(tmp_path, "", tmp_path, PrivateRegistry("r.io")).pull("oci://r.io/base", "1", tmp_path)

    assert "make mirror REGISTRY=r.io" in str(caught.value)


def test_chart_that_was_fetched_is_not_pulled_again(tools: Programs, tmp_path: Path) -> None:
    """From then on every Helm of that home takes its archive; another version, and another home, do not."""
    first, second = (Helm(tmp_path / "kubeconfig", "", tmp_path / "helm") for _ in range(2))

    first.pull_ahead(REMOTE.chart, REMOTE.version)

    archive = Path(tools.call("helm", "pull").after("--destination")) / "istiod-1.29.1.tgz"
    archive.touch()
    second.render_documents(REMOTE)
    second.render_documents(replace(REMOTE, version="1.29.2"))
    Helm(tmp_path, "", tmp_path / "other").render_documents(REMOTE)
    assert [call.argv[2] for call in tools.calls("helm", "template")] == [str(archive), REMOTE.chart, REMOTE.chart]
    first.pull_ahead(REMOTE.chart, REMOTE.version)
    assert not archive.exists()  # what another run pulled does not count
