"""The Kubernetes API as the harness uses it, through the real client, against a small server on loopback."""

import logging
import re
import socket
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness import no_proxy, timeouts
from harness.errors import BadInput, HarnessError, NotAllowed, NotReady
from harness.kube import ApiUnavailable, Conflict, Kube, ObjectMissing, RequestRejected
from harness.objects.kind_namespace_name import parse_ref
from harness.wait import until
from tests.fakes.api import FakeApi, kubeconfig, named
from tests.fakes.clock import Clock
from tests.fakes.pods import pod
from tests.patience import SOON

ROUTE = named("HTTPRoute/default/ratings", spec={"hostnames": ["ratings"], "rules": [{"backendRefs": []}]})
HANG = 300.0  # seconds: a call without a bound would take as long
POLICY = named("BackendTrafficPolicy/default/limit", spec={"requests": 3})


def test_object_is_got_as_plain_dict(kube: Kube, api: FakeApi) -> None:
    """An object comes as the server has it, by name or by ref."""
    api.put(ROUTE)

    assert kube.get("HTTPRoute/default/ratings") == ROUTE
    assert kube.get(parse_ref("HTTPRoute/default/ratings")) == ROUTE
    assert type(kube.get("HTTPRoute/default/ratings")["spec"]) is dict


def test_missing_object(kube: Kube) -> None:
    """What does not exist is Missing, and found to be None."""
    with pytest.raises(ObjectMissing, match="HTTPRoute/default/ratings does not exist"):
        kube.get("HTTPRoute/default/ratings")
    assert kube.find("HTTPRoute/default/ratings") is None


def test_missing_kind(kube: Kube, api: FakeApi) -> None:
    """A kind that the server does not define is Missing too: its definition is not applied yet."""
    api.kinds -= {"BackendTrafficPolicy"}

    with pytest.raises(ObjectMissing, match="kind BackendTrafficPolicy"):
        kube.get("BackendTrafficPolicy/default/limit")
    with pytest.raises(ObjectMissing):
        kube.list_objects("BackendTrafficPolicy")
    with pytest.raises(ObjectMissing):
        kube.apply([POLICY])


def test_kind_defined_meanwhile_is_seen(kube: Kube, api: FakeApi) -> None:
    """A definition applied after the first look is found: nothing of the look before is kept."""
    api.kinds -= {"BackendTrafficPolicy"}
    assert kube.find("BackendTrafficPolicy/default/limit") is None

    api.kinds |= {"BackendTrafficPolicy"}
    kube.apply([POLICY])

    assert kube.get("BackendTrafficPolicy/default/limit")["spec"] == {"requests": 3}


def test_objects_of_one_namespace_or_all(kube: Kube, api: FakeApi) -> None:
    """A list is of a namespace, or of all, and each item says what it is."""
    api.put(named("Service/a/x"), named("Service/b/x"), named("Pod/a/x"))

    assert [s["metadata"]["namespace"] for s in kube.list_objects("Service")] == ["a", "b"]
    (found,) = kube.list_objects("Service", "b")
    assert (found["kind"], found["apiVersion"]) == ("Service", "v1")
    assert kube.list_objects("Service", "c") == []
    assert kube.list_objects("Node") == []


def test_objects_by_label(kube: Kube, api: FakeApi) -> None:
    """The selector is the server's to apply, all of it."""
    labels = {"app": "ratings", "version": "v1"}
    api.put(
        named("Service/a/x", metadata={"labels": labels}), named("Service/a/y", metadata={"labels": {"app": "ratings"}})
    )

    assert [s["metadata"]["name"] for s in kube.list_objects("Service", labels="app=ratings,version=v1")] == ["x"]


def test_pods_on_their_way_out_are_left_out(kube: Kube, api: FakeApi) -> None:
    """A pod being deleted is no pod to send to."""
    leaving = pod("default/old", labels={"app": "x"})
    leaving["metadata"]["deletionTimestamp"] = "2026-11-21T00:00:00Z"
    api.put(leaving, pod("default/new", labels={"app": "x"}))

    assert [p["metadata"]["name"] for p in kube.list_pods("default", "app=x")] == ["new"]


# -- apply, patch, delete ------------------------------------------------------------------------------------------


def test_apply_is_server_side_and_in_our_name(kube: Kube, api: FakeApi) -> None:
    """Documents are applied in order, as one field manager, without force."""
    kube.apply([ROUTE, POLICY])

    first, second = api.asked("PATCH")
    assert first.path.endswith("/namespaces/default/httproutes/ratings")
    assert second.path.endswith("/namespaces/default/backendtrafficpolicies/limit")
    assert first.query == {"fieldManager": "mesh-e2e"}
    assert first.headers["content-type"] == "application/apply-patch+yaml"
    assert api.objects["HTTPRoute/default/ratings"] == ROUTE


def test_applying_again_is_fine(kube: Kube, api: FakeApi) -> None:
    """What we applied we may change."""
    kube.apply([POLICY])
    kube.apply([POLICY | {"spec": {"requests": 5}}])

    assert api.objects["BackendTrafficPolicy/default/limit"]["spec"] == {"requests": 5}


def test_conflict_names_the_manager_and_the_field(kube: Kube, api: FakeApi) -> None:
    """Somebody else's field is not taken; who owns which is reported."""
    api.put(POLICY, manager="argocd")

    with pytest.raises(Conflict) as caught:
        kube.apply([POLICY | {"spec": {"requests": 5}}])

    assert "BackendTrafficPolicy/default/limit" in str(caught.value)
    assert 'conflict with "argocd": .spec.requests' in str(caught.value)
    assert "change its values instead" in caught.value.remedy
    assert api.objects["BackendTrafficPolicy/default/limit"]["spec"] == {"requests": 3}


def test_force_takes_the_field_over(kube: Kube, api: FakeApi) -> None:
    """Told to, apply takes a field over."""
    api.put(POLICY, manager="argocd")

    kube.apply([POLICY | {"spec": {"requests": 5}}], force=True)

    assert api.asked("PATCH")[0].query["force"].lower() == "true"
    assert api.objects["BackendTrafficPolicy/default/limit"]["spec"] == {"requests": 5}


def test_invalid_object_is_refused_in_the_servers_words(kube: Kube, api: FakeApi) -> None:
    """A 422 is quoted."""
    api.refuse("PATCH", "httproutes", 422, 'HTTPRoute "ratings" is invalid: spec.rules: Too many: 17')

    with pytest.raises(
        RequestRejected, match=r"HTTPRoute/default/ratings: 422 HTTPRoute \"ratings\" is invalid: spec\.rules: Too"
    ):
        kube.apply([ROUTE])


def test_first_refusal_ends_an_apply(kube: Kube, api: FakeApi) -> None:
    """What comes after a refused document is not applied."""
    api.refuse("PATCH", "httproutes", 422, "no")

    with pytest.raises(RequestRejected):
        kube.apply([ROUTE, POLICY])

    assert api.objects == {}


def test_apply_to_a_namespace_that_is_not_there_says_which(kube: Kube, api: FakeApi) -> None:
    """The server's own word on what is missing is kept: here it is not the object."""
    api.refuse("PATCH", "httproutes", 404, 'namespaces "default" not found')

    with pytest.raises(ObjectMissing, match='namespaces "default" not found'):
        kube.apply([ROUTE])


def test_patch_merges_and_deletes(kube: Kube, api: FakeApi) -> None:
    """A merge patch changes what it names; None deletes a field; the rest stays."""
    api.put(named("Service/default/x", metadata={"labels": {"a": "1", "b": "2"}}))

    found = kube.patch("Service/default/x", {"metadata": {"labels": {"a": None, "c": "3"}}})

    assert found["metadata"]["labels"] == {"b": "2", "c": "3"}
    (sent,) = api.asked("PATCH")
    assert sent.headers["content-type"] == "application/merge-patch+json"


def test_delete_is_in_reverse_order_and_only_what_is_there(kube: Kube, api: FakeApi) -> None:
    """What was applied last goes first; what does not exist, or of no known kind, is no error."""
    api.put(ROUTE, POLICY, named("Service/default/kept"))
    api.kinds -= {"SecurityPolicy"}

    kube.delete(
        [ROUTE, "Service/default/none", "SecurityPolicy/default/none", parse_ref("BackendTrafficPolicy/default/limit")]
    )

    assert list(api.objects) == ["Service/default/kept"]
    gone = [seen.path.rsplit("/", 1)[-1] for seen in api.asked("DELETE")]
    assert gone == ["limit", "none", "ratings"]


def test_delete_waits_until_it_is_gone(kube: Kube, api: FakeApi, clock: Clock) -> None:
    """An object with a finalizer is awaited until its controller let go of it."""
    api.put(ROUTE | {"metadata": {**ROUTE["metadata"], "finalizers": ["gateway.envoyproxy.io"]}})
    looks: list[str] = []

    def let_go(key: str) -> None:
        looks.append(key)
        if len(looks) == 4:
            del api.objects[key]

    api.on_get = let_go
    kube.delete([ROUTE])

    assert len(looks) == 4
    assert api.objects == {}


def test_delete_that_does_not_end_names_the_finalizers(kube: Kube, api: FakeApi, clock: Clock) -> None:
    """What holds an object is reported when time runs out."""
    api.put(ROUTE | {"metadata": {**ROUTE["metadata"], "finalizers": ["held.by/somebody"]}})

    with pytest.raises(NotReady, match=r"HTTPRoute/default/ratings is gone: .*held\.by/somebody"):
        kube.delete([ROUTE])

    assert clock.slept >= timeouts.DELETE - 1


@pytest.mark.parametrize("stuck", [False, True])
def test_one_that_is_refused_keeps_no_other(kube: Kube, api: FakeApi, clock: Clock, stuck: bool) -> None:
    """All that are refused are named at the end, all others go; also where one of those does not end."""
    services = [named(f"Service/default/{name}") for name in ("one", "two", "three")]
    api.put(ROUTE | {"metadata": ROUTE["metadata"] | {"finalizers": ["a/b"] if stuck else []}}, *services)
    api.refuse("DELETE", "services/three", 403, "not yours")
    api.refuse("DELETE", "services/one", 422, "denied by a webhook")

    with pytest.raises(RequestRejected) as caught:
        kube.delete([*services, ROUTE])

    assert str(caught.value) == "Service/default/three: 403 not yours; Service/default/one: 422 denied by a webhook"
    assert isinstance(caught.value.__context__, NotReady) == stuck
    left = {"HTTPRoute/default/ratings"} if stuck else set()
    assert set(api.objects) == {"Service/default/one", "Service/default/three"} | left


def test_delete_need_not_wait(kube: Kube, api: FakeApi) -> None:
    """Told so, it asks for the deletion and goes on."""
    api.put(ROUTE | {"metadata": {**ROUTE["metadata"], "finalizers": ["held"]}})

    kube.delete([ROUTE], gone=False)

    assert api.asked("GET", "httproutes/") == []


def test_delete_outlives_a_moment_without_the_server(kube: Kube, api: FakeApi, clock: Clock) -> None:
    """A server that is away for a moment does not leave things behind: deleting twice does no harm."""
    api.put(ROUTE, POLICY)
    api.refuse("DELETE", "backendtrafficpolicies", 503, "apiserver is shutting down", times=2)

    kube.delete([ROUTE, POLICY])

    assert api.objects == {}


# -- a server that is away, or wrong -------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [429, 500, 502, 503, 504])
def test_server_in_trouble_is_unavailable(kube: Kube, api: FakeApi, code: int) -> None:
    """What is about the server and not of our request is worth another try."""
    api.put(ROUTE)
    api.refuse("GET", "httproutes/", code, "etcdserver: leader changed")

    with pytest.raises(ApiUnavailable, match=f"HTTPRoute/default/ratings: {code} etcdserver: leader changed"):
        kube.get("HTTPRoute/default/ratings")


@pytest.mark.parametrize("code", [400, 403, 405, 422])
def test_refusal_is_quoted(kube: Kube, api: FakeApi, code: int) -> None:
    """A no is a no, in the server's words."""
    api.refuse("GET", "httproutes/", code, "user cannot get resource")

    with pytest.raises(RequestRejected, match=f"{code} user cannot get resource"):
        kube.get("HTTPRoute/default/ratings")


def test_trouble_during_discovery_is_unavailable(kube: Kube, api: FakeApi) -> None:
    """The first contact is judged like any other."""
    api.refuse("GET", "/version", 503, "starting")

    with pytest.raises(ApiUnavailable, match="discovery: 503 starting"):
        kube.get("HTTPRoute/default/ratings")


def test_nobody_listens(tmp_path: Path, free_port: int) -> None:
    """A port where nobody listens is a server that did not answer."""
    file = tmp_path / "kubeconfig"
    file.write_text(yaml.safe_dump(kubeconfig(f"http://127.0.0.1:{free_port}", "fake")))

    with pytest.raises(ApiUnavailable, match="the API server did not answer"):
        Kube(file, "fake").get("Node/x")


@pytest.mark.parametrize(
    "act",
    [
        lambda kube: kube.get("HTTPRoute/default/ratings"),
        lambda kube: kube.list_objects("HTTPRoute"),
        lambda kube: kube.apply([ROUTE]),
        lambda kube: kube.patch("HTTPRoute/default/ratings", {}),
        lambda kube: kube.delete([ROUTE]),
        lambda kube: kube.read_log("default", "x", "app"),
        lambda kube: kube.read_version(),
    ],
    ids=["get", "objects", "apply", "patch", "delete", "logs", "version"],
)
def test_every_request_is_bounded(kube: Kube, api: FakeApi, monkeypatch: pytest.MonkeyPatch, act: Any) -> None:
    """A server that takes a request and never answers holds up no call."""
    kube.find("HTTPRoute/default/ratings")
    with suppress(ObjectMissing):
        kube.read_log("default", "x", "app")  # the client library builds its validators at the first call, for a second
    monkeypatch.setattr(timeouts, "API", 0.02)
    monkeypatch.setattr(timeouts, "API_FIRST", 0.02)
    monkeypatch.setattr(timeouts, "DELETE", 0.1)
    for method in ("GET", "PATCH", "DELETE"):
        api.hang(method, "", HANG)
    began = time.monotonic()

    with pytest.raises((ApiUnavailable, NotReady)):
        act(kube)

    assert time.monotonic() - began < HANG


def test_discovery_is_bounded(kube: Kube, api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    """The very first request has its bound as well."""
    monkeypatch.setattr(timeouts, "API", 0.02)
    api.hang("GET", "", HANG)
    began = time.monotonic()

    with pytest.raises(ApiUnavailable):
        kube.get("Node/x")

    assert time.monotonic() - began < HANG


@pytest.mark.parametrize("page", ["<html>router login</html>", "null", "[]", '{"groups": 3}'])
def test_server_that_is_not_kubernetes(kube: Kube, api: FakeApi, page: str) -> None:
    """Whatever else listens there, the error is one sentence of ours."""
    api.page = page

    with pytest.raises(ApiUnavailable):
        kube.get("Node/x")


def test_connection_cut_in_the_middle(tmp_path: Path) -> None:
    """A server that hangs up without a word did not answer."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        file = tmp_path / "kubeconfig"
        file.write_text(yaml.safe_dump(kubeconfig(f"http://127.0.0.1:{server.getsockname()[1]}", "fake")))

        def hang_up() -> None:
            while True:
                try:
                    server.accept()[0].close()
                except OSError:
                    return

        threading.Thread(target=hang_up, daemon=True).start()
        with pytest.raises(ApiUnavailable):
            Kube(file, "fake").get("Node/x")


# -- kubeconfig ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "just text",
        "[]",
        "{}",
        "a: [",
        "\x00",
        "\udcff\udcfe",
        "contexts: 3",
        "contexts: [{name: fake}]",
        "{contexts: [{name: fake, context: {cluster: c, user: u}}], clusters: [], users: []}",
        "{contexts: [{name: fake, context: {cluster: c, user: u}}], clusters: [{name: c}], users: [{name: u}]}",
        yaml.safe_dump(kubeconfig("http://127.0.0.1:1", "another")),
    ],
)
def test_wrong_kubeconfig_is_bad_input(tmp_path: Path, text: str | None) -> None:
    """A kubeconfig that is missing, damaged, or without the context is bad input with what to do."""
    file = tmp_path / "kubeconfig"
    if text is not None:
        file.write_bytes(text.encode(errors="surrogateescape"))

    with pytest.raises(BadInput) as caught:
        Kube(file, "fake").get("Node/x")

    assert f"kubeconfig {file}, context 'fake'" in str(caught.value)
    assert "get-contexts" in caught.value.remedy
    assert caught.value.exit_code == 2


def test_kubeconfig_is_read_for_exec_too(tmp_path: Path) -> None:
    """A program in a pod is run through the same file."""
    with pytest.raises(BadInput):
        Kube(tmp_path / "none", "fake").exec_in_pod("default", "x", "app", ["true"], within=1)


# -- logs, version, threads ----------------------------------------------------------------------------------------


def test_log_of_a_container(kube: Kube, api: FakeApi) -> None:
    """The text comes as it is, of this run of the container or the one before."""
    api.logs = {("default", "x", "envoy"): "{a}\n{b}\n", ("default", "x", "envoy", "previous"): "crashed\n"}

    assert kube.read_log("default", "x", "envoy") == "{a}\n{b}\n"
    assert kube.read_log("default", "x", "envoy", previous=True) == "crashed\n"
    with pytest.raises(ObjectMissing, match="log of default/x/app"):
        kube.read_log("default", "x", "app")


def test_log_since_asks_for_rather_more(kube: Kube, api: FakeApi) -> None:
    """The API counts whole seconds back from now: what is asked for reaches before the moment, never after it."""
    api.logs = {("default", "x", "envoy"): ""}

    kube.read_log("default", "x", "envoy", since=datetime.now(UTC) - timedelta(seconds=10))
    kube.read_log("default", "x", "envoy", since=datetime.now(UTC) + timedelta(seconds=60))
    kube.read_log("default", "x", "envoy")

    asked = [seen.query.get("sinceSeconds") for seen in api.asked("GET", "/log")]
    assert asked[0] in ("12", "13")
    assert asked[1:] == ["1", None]


def test_version(kube: Kube) -> None:
    """The server's version is its gitVersion."""
    assert kube.read_version() == "v1.34.4"


def test_threads_have_their_own_client(kube: Kube, api: FakeApi, caplog: pytest.LogCaptureFixture) -> None:
    """Many threads use one Kube at once; the client library has nothing to complain of."""
    api.put(ROUTE)
    with caplog.at_level(logging.WARNING), ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: kube.get("HTTPRoute/default/ratings"), range(32)))

    assert found == [ROUTE] * 32
    assert caplog.records == []


def test_nothing_is_kept_outside_our_folders(
    kube: Kube, api: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Discovery is not cached on disk, where the next cluster on this address would find it."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))

    kube.find("HTTPRoute/default/ratings")

    assert list((tmp_path / "tmp").iterdir()) == []


def test_our_errors_are_ours() -> None:
    """Everything that the API may come to is a HarnessError: one sentence, no traceback."""
    assert all(issubclass(error, HarnessError) for error in (ApiUnavailable, Conflict, ObjectMissing, RequestRejected))


# -- proxies, silence, credentials ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"])
def test_server_on_loopback_is_asked_without_a_proxy(
    kube: Kube, api: FakeApi, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A proxy of the environment is not asked for a server on this machine; kubectl does not do so either."""
    monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "corp.example")
    no_proxy.extend_no_proxy()
    api.put(ROUTE)

    assert kube.get("HTTPRoute/default/ratings") == ROUTE
    assert kube.read_version() == "v1.34.4"
    assert kube.exec_in_pod("default", "x", "app", ["true"], within=SOON).code == 0


def test_server_elsewhere_is_asked_through_the_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A remote server may be reachable by the proxy alone; one that does not connect is named."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    file = tmp_path / "kubeconfig"
    file.write_text(yaml.safe_dump(kubeconfig("http://api.example", "fake")))

    with pytest.raises(ApiUnavailable, match="the proxy does not connect"):
        Kube(file, "fake").read_version()


def test_silent_server_is_asked_once(
    kube: Kube, api: FakeApi, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A server that takes the request and says nothing is not asked again: silence is not multiplied, nor logged."""
    monkeypatch.setattr(timeouts, "API_FIRST", 0.05)
    api.hang("GET", "", HANG)

    with pytest.raises(ApiUnavailable) as caught:
        kube.read_version()

    assert "/version: the API server did not answer (http://127.0.0.1:" in str(caught.value)
    assert str(caught.value).endswith("it accepted the request and did not respond")
    until(lambda: api.requests, bool, what="the server has read the request", within=SOON, every=0.01)
    assert len(api.requests) == 1
    assert caplog.records == []


def test_nobody_listens_is_one_sentence(tmp_path: Path, free_port: int) -> None:
    """No object addresses, no class names."""
    host = f"http://127.0.0.1:{free_port}"
    file = tmp_path / "kubeconfig"
    file.write_text(yaml.safe_dump(kubeconfig(host, "fake")))

    with pytest.raises(ApiUnavailable) as caught:
        Kube(file, "fake").read_version()

    assert re.fullmatch(
        rf"/version: the API server did not answer \({host}\): \[Errno \d+\] Connection refused", str(caught.value)
    )


@pytest.mark.parametrize("page", ["<html>login</html>", "hello", "null", "[]", "{}", '{"groups": 3}', '"x"'])
def test_answers_of_others_show_no_python(kube: Kube, api: FakeApi, page: str) -> None:
    """Text, HTML and JSON of something else: one sentence with the address, for the first call as for any other."""
    api.page = page

    for act in (kube.read_version, lambda: kube.get("Node/x"), lambda: kube.list_objects("Pod")):
        with pytest.raises(ApiUnavailable) as caught:
            act()
        assert f"what answers at http://127.0.0.1:{api.port} is not a Kubernetes API server" in str(caught.value)


def test_later_answers_of_others_show_no_python(kube: Kube, api: FakeApi) -> None:
    """A proxy that begins to answer in the server's place is reported in the same words."""
    api.put(ROUTE)
    kube.get("HTTPRoute/default/ratings")
    api.page = "<html>gateway timeout</html>"

    with pytest.raises(ApiUnavailable, match="is not a Kubernetes API server"):
        kube.get("HTTPRoute/default/ratings")
    with pytest.raises(ApiUnavailable, match="is not a Kubernetes API server"):
        kube.list_objects("HTTPRoute")


def test_credentials_that_are_not_accepted(kube: Kube, api: FakeApi) -> None:
    """401 has words of its own, and is nothing to wait for."""
    api.refuse("GET", "", 401, "Unauthorized")

    with pytest.raises(
        RequestRejected, match="401, the API server does not accept these credentials: Unauthorized"
    ) as caught:
        kube.read_version()
    assert "kubectl auth whoami" in caught.value.remedy


@pytest.mark.parametrize(
    ("message", "may_not", "remedy"),
    [
        (
            'pods is forbidden: User "u" cannot list resource "pods" in API group "" in the namespace "default"',
            "these credentials may not list pods in namespace default",
            "kubectl auth can-i list pods --namespace default",
        ),
        (
            'gatewayclasses.gateway.networking.k8s.io "x" is forbidden: User "u" cannot get resource "gatewayclasses" '
            'in API group "gateway.networking.k8s.io" at the cluster scope',
            "these credentials may not get gatewayclasses.gateway.networking.k8s.io: ",
            "kubectl auth can-i get gatewayclasses.gateway.networking.k8s.io`",
        ),
    ],
)
def test_what_credentials_may_not_do(kube: Kube, api: FakeApi, message: str, may_not: str, remedy: str) -> None:
    """403 of the authorizer names the verb, the resource and where, and how to ask for it."""
    api.refuse("GET", "httproutes/", 403, message)

    with pytest.raises(RequestRejected) as caught:
        kube.get("HTTPRoute/default/ratings")
    assert may_not in str(caught.value)
    assert remedy in caught.value.remedy


STRICT = named("PeerAuthentication/default/strict", spec={"mtls": {"mode": "STRICT"}})


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda kube: kube.apply([POLICY, named("Service/team-b/x")]), "Service/team-b/x"),
        (lambda kube: kube.patch("Namespace/team-b", {"metadata": {"labels": {"a": "b"}}}), "Namespace/team-b"),
        (
            lambda kube: kube.patch("Deployment/istio-system/istiod", {"spec": {"replicas": 0}}),
            "Deployment/istio-system/istiod$",
        ),
        (lambda kube: kube.delete(["Pod/default/ours", "Pod/istio-system/ztunnel-1"], force=True), "ztunnel-1"),
        (lambda kube: kube.evict("team-b", "web-1"), "Pod/team-b/web-1"),
    ],
)
def test_what_is_not_ours_is_not_changed(kube: Kube, api: FakeApi, change: Any, what: str) -> None:
    """Each kind of change is refused as a whole, before the server is asked for any of it; the reason is in it."""
    api.put(pod("default/ours", labels={}))
    limited = Kube(kube.kubeconfig, kube.context, not_ours="not ours here")

    with pytest.raises(NotAllowed, match=f"disruptive: not ours here: .*{what}"):
        change(limited)

    assert [seen for seen in api.requests if seen.method != "GET"] == []


def test_what_is_ours_is_changed(kube: Kube, api: FakeApi) -> None:
    """Objects of our own by name are applied and deleted; without the limit all else is too."""
    limited = Kube(kube.kubeconfig, kube.context, not_ours="not ours here")

    limited.apply([POLICY])
    limited.delete(["BackendTrafficPolicy/default/limit"])
    limited.unrestricted.apply([STRICT])

    assert set(api.objects) == {"PeerAuthentication/default/strict"}
