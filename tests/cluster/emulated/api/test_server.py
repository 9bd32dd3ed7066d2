"""The real Kubernetes client gets from the emulated API what it would get from a real one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import kubernetes
import pytest
from aiohttp import web
from kubernetes.dynamic import DynamicClient
from kubernetes.dynamic.exceptions import ConflictError, MethodNotAllowedError, NotFoundError, UnprocessibleEntityError
from kubernetes.stream import stream

from harness.cluster.emulated.api import field_allow_list
from harness.cluster.emulated.api.object_writes import Admission
from harness.cluster.emulated.api.server import ApiApplication
from harness.cluster.emulated.api.store import Store
from harness.cluster.emulated.api.streams import CommandResult, Line
from harness.cluster.emulated.install import definitions
from tests.patience import SOON

MERGE = "application/merge-patch+json"
ME = {"field_manager": "mesh-e2e", "force_conflicts": True}

CONFLICTING = [{"name": name, "port": 80, "protocol": protocol} for name, protocol in (("a", "HTTP"), ("b", "TCP"))]


class Pods:
    """Three old lines, one new one, and a shell that knows `echo` alone."""

    def logs(self, _pod: Any, _container: str, *, previous: bool) -> Sequence[Line]:
        assert not previous
        now = datetime.now(UTC)
        old = [Line(now - timedelta(minutes=5), f"old {n}") for n in range(3)]
        return [*old, Line(now, "new ✓")]

    async def execute(self, _pod: Any, _container: str, command: Sequence[str]) -> CommandResult:
        if command[0] != "echo":
            return CommandResult("", "no such command\n", 127)
        return CommandResult(" ".join(command[1:]) * 20000 + "\n", "", 0)


@pytest.fixture(scope="module")
def host() -> Iterator[str]:
    store = Store()
    store.create(store.named("Namespace"), {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}})
    loop = asyncio.new_event_loop()

    async def serve() -> tuple[web.AppRunner, int]:
        runner = web.AppRunner(ApiApplication(store, Admission(store), Pods(), "1.34.4").application())
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        return runner, runner.addresses[0][1]

    runner, port = loop.run_until_complete(serve())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield f"http://127.0.0.1:{port}"
    asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(SOON)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture(scope="module")
def api(host: str) -> kubernetes.client.ApiClient:
    return kubernetes.client.ApiClient(kubernetes.client.Configuration(host=host))


@pytest.fixture(scope="module")
def client(api: kubernetes.client.ApiClient, tmp_path_factory: pytest.TempPathFactory) -> DynamicClient:
    return DynamicClient(api, cache_file=str(tmp_path_factory.mktemp("cache") / "discovery.json"))


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}, "data": data}


def test_discovery_names_version_and_kinds(client: DynamicClient) -> None:
    assert client.version["kubernetes"]["gitVersion"] == "v1.34.4"
    assert client.resources.get(api_version="apps/v1", kind="Deployment").name == "deployments"


def test_object_is_applied_read_listed_patched_and_deleted(client: DynamicClient) -> None:
    maps = client.resources.get(api_version="v1", kind="ConfigMap")
    body = config_map("verbs", a="1")
    body["metadata"]["labels"] = {"x": "y"}
    made = maps.server_side_apply(body=body, **ME)

    assert maps.get(name="verbs", namespace="default").metadata.uid == made.metadata.uid
    assert [one.metadata.name for one in maps.get(namespace="default", label_selector="x=y").items] == ["verbs"]
    patched = maps.patch(body={"data": {"a": None, "b": "2"}}, name="verbs", namespace="default", content_type=MERGE)
    assert patched.data.to_dict() == {"b": "2"}
    maps.delete(name="verbs", namespace="default")
    with pytest.raises(NotFoundError):
        maps.get(name="verbs", namespace="default")


def test_other_verbs_are_refused(client: DynamicClient) -> None:
    maps = client.resources.get(api_version="v1", kind="ConfigMap")

    with pytest.raises(MethodNotAllowedError, match="not emulated"):
        maps.create(body=config_map("created"), namespace="default")


def test_apply_creates_then_removes_what_is_no_longer_applied(client: DynamicClient) -> None:
    maps = client.resources.get(api_version="v1", kind="ConfigMap")
    maps.server_side_apply(body=config_map("applied", a="1", b="2"), namespace="default", **ME)
    maps.patch(body={"data": {"theirs": "3"}}, name="applied", namespace="default", content_type=MERGE)

    after = maps.server_side_apply(body=config_map("applied", a="9"), namespace="default", **ME)

    assert after.data.to_dict() == {"a": "9", "theirs": "3"}


def test_apply_without_force_conflicts_with_another_manager(client: DynamicClient) -> None:
    maps = client.resources.get(api_version="v1", kind="ConfigMap")
    maps.server_side_apply(body=config_map("contested", a="1"), namespace="default", field_manager="one")

    with pytest.raises(ConflictError, match=r"conflict with \\\"one\\\""):
        maps.server_side_apply(body=config_map("contested", a="2"), namespace="default", field_manager="two")

    forced = maps.server_side_apply(body=config_map("contested", a="2"), namespace="default", **ME)
    assert forced.data.a == "2"


def test_generation_grows_with_the_spec_alone(client: DynamicClient) -> None:
    apps = client.resources.get(api_version="apps/v1", kind="Deployment")
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i:1"}]}}
    body = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "grows", "namespace": "default"},
        "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template},
    }
    first = apps.server_side_apply(body=body, **ME)
    again = apps.server_side_apply(body=body, **ME)
    where = {"name": "grows", "namespace": "default", "content_type": MERGE}
    labelled = apps.patch(body={"metadata": {"labels": {"l": "1"}}}, **where)
    changed = apps.patch(body={"spec": {"replicas": 2}}, **where)

    generations = [one.metadata.generation for one in (first, again, labelled, changed)]
    assert generations == [1, 1, 1, 2]
    assert again.metadata.resourceVersion == first.metadata.resourceVersion
    container = changed.spec.template.spec.containers[0]
    assert (container.image, container.imagePullPolicy, changed.spec.replicas) == ("i:1", "IfNotPresent", 2)


@pytest.mark.parametrize(
    ("kind", "spec", "field"),
    [
        ("Service", {"selector": {"a": "b"}, "ports": [{"port": 1}], "externalName": "x"}, "spec.externalName"),
        ("HTTPRoute", {"rules": [{"matches": [{}], "filters": []}]}, "spec.rules[0].filters"),
        (
            "HTTPRoute",
            {"rules": [{}, {"matches": [{"headers": [{"type": "Odd", "name": "a"}]}]}]},
            "spec.rules[1].matches[0].headers[0].type",
        ),
        ("HTTPRoute", {"rules": [{"timeouts": {"request": "soon"}}]}, "spec.rules[0].timeouts.request"),
        ("Gateway", {"gatewayClassName": "a", "listeners": [{"tls": {}}]}, "spec.listeners"),
        ("Gateway", {"gatewayClassName": "a", "listeners": CONFLICTING}, "spec.listeners"),
        ("BackendTrafficPolicy", {"retry": {}}, "spec.retry"),
        ("BackendTrafficPolicy", {"rateLimit": {"type": "Local"}}, "spec.rateLimit.type"),
        (
            "BackendTrafficPolicy",
            {"rateLimit": {"global": {"rules": [{"clientSelectors": [{"headers": []}] * 2}]}}},
            "spec.rateLimit.global.rules[0].clientSelectors",
        ),
        ("EnvoyProxy", {"telemetry": {}}, "spec.telemetry"),
    ],
)
def test_field_without_effect_is_refused_by_its_path(kind: str, spec: dict[str, Any], field: str) -> None:
    store = Store()
    for definition in definitions("1", "standard"):
        store.create(store.named("CustomResourceDefinition", "apiextensions.k8s.io"), definition)
    found = next(one for one in store.kinds.values() if one.name == kind)

    assert field in field_allow_list.refusals(found, {"metadata": {"name": "x"}, "spec": spec})


def test_custom_kind_is_served_once_defined(client: DynamicClient) -> None:
    definitions = client.resources.get(api_version="apiextensions.k8s.io/v1", kind="CustomResourceDefinition")
    for kind, plural in (("ReferenceGrant", "referencegrants"), ("TCPRoute", "tcproutes")):
        group = "gateway.networking.k8s.io"
        versions = [
            {"name": v, "served": True, "storage": v == "v1", "schema": {"big": "x"}} for v in ("v1", "v1beta1")
        ]
        names = {"kind": kind, "plural": plural, "singular": kind.lower(), "listKind": f"{kind}List"}
        body = {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": f"{plural}.{group}"},
            "spec": {"group": group, "scope": "Namespaced", "names": names, "versions": versions},
        }
        definitions.server_side_apply(body=body, **ME)
    grants = client.resources.get(api_version="gateway.networking.k8s.io/v1", kind="ReferenceGrant")
    routes = client.resources.get(api_version="gateway.networking.k8s.io/v1", kind="TCPRoute")

    grant = {"metadata": {"name": "g", "namespace": "default"}, "spec": {"from": [], "to": []}}
    grants.server_side_apply(body=grant, **ME)

    older = client.resources.get(api_version="gateway.networking.k8s.io/v1beta1", kind="ReferenceGrant")
    assert older.get(name="g", namespace="default").apiVersion == "gateway.networking.k8s.io/v1beta1"
    with pytest.raises(UnprocessibleEntityError, match="not emulated"):
        routes.server_side_apply(body={"metadata": {"name": "t", "namespace": "default"}, "spec": {}}, **ME)


def test_owned_objects_go_with_their_owner(client: DynamicClient) -> None:
    maps = client.resources.get(api_version="v1", kind="ConfigMap")
    owner = maps.server_side_apply(body=config_map("owner"), **ME)
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner.metadata.uid}
    body = config_map("owned")
    body["metadata"]["ownerReferences"] = [reference]
    maps.server_side_apply(body=body, **ME)

    maps.delete(name="owner", namespace="default")

    with pytest.raises(NotFoundError):
        maps.get(name="owned", namespace="default")


@pytest.fixture
def pod(client: DynamicClient) -> Iterator[str]:
    pods = client.resources.get(api_version="v1", kind="Pod")
    body = {"metadata": {"name": "p", "namespace": "default"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    pods.server_side_apply(body=body, **ME)
    yield "p"
    pods.delete(name="p", namespace="default")


def test_log_gives_the_lines_asked_for(api: kubernetes.client.ApiClient, pod: str) -> None:
    core = kubernetes.client.CoreV1Api(api)

    assert core.read_namespaced_pod_log(pod, "default") == "old 0\nold 1\nold 2\nnew ✓\n"
    assert core.read_namespaced_pod_log(pod, "default", since_seconds=60) == "new ✓\n"
    stamped = core.read_namespaced_pod_log(pod, "default", since_seconds=60, timestamps=True)
    assert datetime.fromisoformat(stamped.split()[0][:26] + "+00:00") <= datetime.now(UTC)


def test_exec_gives_output_and_exit_code(api: kubernetes.client.ApiClient, pod: str) -> None:
    def run(*command: str) -> tuple[str, str, int]:
        core = kubernetes.client.CoreV1Api(kubernetes.client.ApiClient(api.configuration))
        client = stream(
            core.connect_get_namespaced_pod_exec,
            pod,
            "default",
            command=list(command),
            container="c",
            stdin=False,
            stdout=True,
            stderr=True,
            tty=False,
            _preload_content=False,
        )
        client.run_forever(timeout=SOON)
        out, err = client.read_stdout(timeout=0), client.read_stderr(timeout=0)
        return out, err, client.returncode

    assert run("echo", "a ✓") == ("a ✓" * 20000 + "\n", "", 0)
    assert run("rm", "-rf") == ("", "no such command\n", 127)
