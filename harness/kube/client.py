"""A Kubernetes API client over the official DynamicClient that takes and returns plain dicts."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import kubernetes
import urllib3
import yaml
from kubernetes.client.exceptions import ApiException
from kubernetes.dynamic import DynamicClient
from kubernetes.dynamic.exceptions import DynamicApiError, NotFoundError, ResourceNotFoundError

from harness import no_proxy, timeouts
from harness.errors import BadInput
from harness.kube.errors import (
    ApiUnavailable,
    Conflict,
    ObjectMissing,
    RequestRejected,
    server_message,
    translate_error,
    unanswered_error,
)
from harness.kube.exec import ExecResult, run_in_pod
from harness.kube.request_log import CountingClient
from harness.kube.transport import BoundedClient, Discoverer, OnceMore, bounds
from harness.objects.effect_on_others import check_affects_no_others
from harness.objects.kind_namespace_name import KINDS, Ref, parse_ref, ref_of
from harness.objects.manifests import Document
from harness.objects.namespace_mapping import WRITTEN, Placement
from harness.objects.objects_as_applied import ExpectedObjects
from harness.objects.stack_places import DEFAULT_PLACES, StackPlaces
from harness.record_replay import node_time, recorded, refuse_when_replaying
from harness.wait import until

FIELD_MANAGER = "mesh-e2e"
MERGE = "application/merge-patch+json"

T = TypeVar("T")


class Kube:
    """The API behind one context of one kubeconfig file. Safe to use from several threads."""

    def __init__(
        self,
        kubeconfig: Path,
        context: str,
        *,
        not_ours: str = "",
        namespace: str = WRITTEN,
        places: StackPlaces = DEFAULT_PLACES,
    ) -> None:
        """`namespace` is the one that the run's suites use, `places` are where the stack runs. With `not_ours`, the
        reason why others must not be touched, every change that would concern more than this run's own objects raises
        NotAllowed (harness/objects/effect_on_others.py says which)."""
        self.kubeconfig, self.context, self.namespace, self.places = kubeconfig, context, namespace, places
        self._not_ours = not_ours
        self.wanted = ExpectedObjects()  # what was applied, patched and deleted through this client
        self._local = threading.local()
        self._host = "the kubeconfig's server"

    @cached_property
    def unrestricted(self) -> Kube:
        """The same API without that limit: to install when asked to, and to undo what was noted as ours."""
        if not self._not_ours:
            return self
        free = self._again(not_ours="")
        free._local, free.wanted = self._local, self.wanted
        return free

    def apart(self) -> Kube:
        """The same API, for changes that are not what the harness wants: those of a planted fault."""
        return self._again(self._not_ours)

    def _again(self, not_ours: str) -> Kube:
        return Kube(self.kubeconfig, self.context, not_ours=not_ours, namespace=self.namespace, places=self.places)

    def check_allowed(self, changes: Iterable[Ref]) -> None:
        """Checks the names of what is to be changed, before any of it is.

        Raises:
            NotAllowed: some concern others, on a cluster where that was not asked for; all are named.
        """
        if self._not_ours:
            check_affects_no_others(changes, Placement(self.namespace), self._not_ours)

    # -- objects ------------------------------------------------------------------------------------------------

    @recorded("get")
    def get(self, name: str | Ref) -> Document:
        """The object.

        Raises:
            ObjectMissing: it, or its kind, does not exist.
            ApiUnavailable: the server did not answer.
        """
        named = parse_ref(name) if isinstance(name, str) else name
        return self.call(str(named), lambda: self._resource(named).get(**_where(named)).to_dict())

    def find(self, name: str | Ref) -> Document | None:
        """The object, or None."""
        try:
            return self.get(name)
        except ObjectMissing:
            return None

    @recorded("list")
    def list_objects(self, kind: str, namespace: str = "", *, labels: str = "", fields: str = "") -> list[Document]:
        """All objects of a kind, of one namespace or (empty) of all, by label and field selector. The kind exists."""
        resource = self._resource(Ref(kind, "", namespace, KINDS[kind][0]))
        asked = {"namespace": namespace, "label_selector": labels, "field_selector": fields}
        where = {key: value for key, value in asked.items() if value}
        found = self.call(f"{kind} in {namespace or 'all namespaces'}", lambda: resource.get(**where).to_dict())
        # Items of a list carry no kind of their own.
        return [{"apiVersion": KINDS[kind][0], "kind": kind} | item for item in found.get("items") or []]

    @recorded("apply")
    def apply(self, documents: Iterable[Document], *, force: bool = False) -> None:
        """Server-side apply, in order.

        Raises:
            Conflict: another manager owns a field; the message names it. `force` takes the field over.
            RequestRejected: the server finds the object wrong; its message is quoted.
            NotAllowed: some of it concerns others; nothing was applied.
        """
        documents = list(documents)
        self.check_allowed(map(ref_of, documents))
        for document in documents:
            named = ref_of(document)
            self.call(
                str(named),
                lambda document=document, named=named: self._client().server_side_apply(  # type: ignore[misc]  # defaults bind the loop's values
                    self._resource(named),
                    body=document,
                    **_where(named),
                    field_manager=FIELD_MANAGER,
                    force_conflicts=force or None,
                    _request_timeout=bounds(timeouts.API),
                ),
            )
            self.wanted.applied(document)

    @recorded("patch")
    def patch(self, name: str | Ref, body: Mapping[str, Any]) -> Document:
        """A JSON merge patch; None deletes a field.

        Raises:
            NotAllowed: the object is not ours to change.
        """
        named = parse_ref(name) if isinstance(name, str) else name
        self.check_allowed([named])
        found: Document = self.call(
            str(named),
            lambda: (
                self._resource(named)
                .patch(body=body, content_type=MERGE, **_where(named), field_manager=FIELD_MANAGER)
                .to_dict()
            ),
        )
        self.wanted.patched(named, body)
        return found

    @recorded("delete")
    def delete(self, names: Iterable[str | Ref | Document], *, gone: bool = True, force: bool = False) -> None:
        """Deletes in reverse order what is there; with `gone`, waits until each is gone. `force` leaves no grace.

        A server that is away for a moment is asked again: deleting twice does no harm, leaving something behind does.

        Raises:
            RequestRejected: the server keeps some of it; all of that is named, and all else was deleted.
            NotAllowed: some of it is not ours to delete; nothing was deleted.
        """
        refs = [parse_ref(n) if isinstance(n, str) else n if isinstance(n, Ref) else ref_of(n) for n in names]
        self.check_allowed(refs)
        refused: dict[Ref, str] = {}
        for named in reversed(refs):
            try:
                self._delete(named, force)
                self.wanted.deleted(named)
            except (RequestRejected, Conflict) as error:
                refused[named] = error.args[0]
        try:
            for named in refs:
                if gone and named not in refused:
                    self._await_gone(named)
        finally:
            if refused:
                raise RequestRejected("; ".join(refused.values()))

    def _delete(self, named: Ref, force: bool) -> None:
        how = {"grace_period_seconds": 0} if force else {}

        def taken() -> bool:
            with suppress(ObjectMissing):
                self.call(str(named), lambda: self._resource(named).delete(**_where(named), **how))
            return True

        what = f"the API server takes the deletion of {named}"
        until(taken, bool, what=what, within=timeouts.DELETE, transient=(ApiUnavailable,))

    def _await_gone(self, named: Ref) -> None:
        until(
            lambda: self.find(named),
            lambda found: found is None,
            what=f"{named} is gone",
            within=timeouts.DELETE,
            every=0.2,
            transient=(ApiUnavailable,),
            show=lambda found: f"finalizers {found['metadata'].get('finalizers')}" if found else "gone",
        )

    # -- pods ---------------------------------------------------------------------------------------------------

    def list_pods(self, namespace: str, labels: str) -> list[Document]:
        """Pods by label selector, those on their way out left out."""
        found = self.list_objects("Pod", namespace, labels=labels)
        return [pod for pod in found if not pod["metadata"].get("deletionTimestamp")]

    @recorded("log")
    def read_log(
        self, namespace: str, pod: str, container: str, *, since: datetime | None = None, previous: bool = False
    ) -> str:
        """A container's log; with `since` at least all that was written after it (the API counts whole seconds)."""
        seconds = max(1, int((node_time() - since).total_seconds()) + 2) if since else None
        core: Any = kubernetes.client.CoreV1Api(self._client().client)
        response = self.call(
            f"log of {namespace}/{pod}/{container}",
            lambda: core.read_namespaced_pod_log(
                name=pod,
                namespace=namespace,
                container=container,
                previous=previous,
                _preload_content=False,
                since_seconds=seconds,
                _request_timeout=bounds(timeouts.API),
            ),
        )
        return str(response.data.decode(errors="replace"))

    @recorded("node stats")
    def read_node_stats(self, node: str) -> str:
        """The kubelet's page /stats/summary of a node: JSON.

        Raises:
            ApiUnavailable: the kubelet did not answer.
        """
        core: Any = kubernetes.client.CoreV1Api(self._client().client)
        ask = core.connect_get_node_proxy_with_path
        response = self.call(
            f"kubelet of {node}",
            lambda: ask(node, "stats/summary", _preload_content=False, _request_timeout=bounds(timeouts.API)),
        )
        return str(response.data.decode())

    @recorded("exec", pack=asdict, unpack=lambda ended: ExecResult(**ended))
    def exec_in_pod(
        self,
        namespace: str,
        pod: str,
        container: str,
        argv: Sequence[str],
        *,
        within: float,
        on_output: Callable[[], None] = lambda: None,
        stop: threading.Event | None = None,
    ) -> ExecResult:
        """Runs a program in a container for at most `within` seconds; `on_output` is called when it first writes.
        With `stop` it has a terminal, and gets Ctrl-C once that is set.

        Raises:
            ApiUnavailable: the stream could not be opened: nothing was run.
            Inconclusive: it broke or ran out of time: what the program did is not known.
        """
        # A stream patches the ApiClient that opens it, so each has a client of its own (kubernetes#1534).
        api = self.new_api_client()
        where = f"exec in {namespace}/{pod}/{container}"
        return self.call(
            where,
            lambda: run_in_pod(api, namespace, pod, container, argv, within=within, on_output=on_output, stop=stop),
        )

    @recorded("evict")
    def evict(self, namespace: str, pod: str) -> None:
        """Asks for the pod to leave its node, as a drain does; one that is gone is fine.

        Raises:
            ApiUnavailable: not now (429): its PodDisruptionBudget has nothing to spare.
            NotAllowed: the pod is not ours to evict.
        """
        self.check_allowed([parse_ref(f"Pod/{namespace}/{pod}")])
        core: Any = kubernetes.client.CoreV1Api(self._client().client)
        body, evict = {"metadata": {"name": pod, "namespace": namespace}}, core.create_namespaced_pod_eviction
        with suppress(ObjectMissing):
            self.call(f"eviction of {pod}", lambda: evict(pod, namespace, body, _request_timeout=bounds(timeouts.API)))
        self.wanted.deleted(parse_ref(f"Pod/{namespace}/{pod}"))

    # -- server -------------------------------------------------------------------------------------------------

    @recorded("version")
    def read_version(self) -> str:
        """The server's version: "v1.34.4". Bounded by API_FIRST: it is the first that an unknown server is asked."""
        api = self.new_api_client()
        code = kubernetes.client.VersionApi(api).get_code
        return str(self.call("/version", lambda: code(_request_timeout=bounds(timeouts.API_FIRST)).git_version))

    def _client(self) -> DynamicClient:
        if not hasattr(self._local, "dynamic"):
            self._local.dynamic = self.call("discovery", self._discover)
        return self._local.dynamic  # type: ignore[no-any-return]  # threading.local is untyped

    def _discover(self) -> DynamicClient:
        return BoundedClient(self.new_api_client(), discoverer=Discoverer)  # type: ignore[no-untyped-call]  # not annotated

    def new_api_client(self) -> kubernetes.client.ApiClient:
        """A client of the official library for this context, with bounded retries and the proxies of this harness.

        Raises:
            BadInput: the kubeconfig cannot be read, or has no such context.
        """
        refuse_when_replaying("a call of the Kubernetes API")
        try:
            configuration = kubernetes.client.Configuration()
            kubernetes.config.load_kube_config(
                str(self.kubeconfig), context=self.context or None, client_configuration=configuration
            )
        except (kubernetes.config.ConfigException, yaml.YAMLError, OSError, TypeError, ValueError) as error:
            raise BadInput(
                f"kubeconfig {self.kubeconfig}, context {self.context!r}: {' '.join(str(error).split())[:300]}",
                remedy="`kubectl config get-contexts --kubeconfig FILE` lists the contexts",
            ) from None
        self._host, configuration.retries = configuration.host, OnceMore(total=1)
        if no_proxy.is_loopback(urlsplit(self._host).hostname):
            configuration.proxy = None  # kubectl uses none either
        return CountingClient(configuration)

    def _resource(self, named: Ref) -> Any:
        return self.call(
            f"kind {named.kind}", lambda: self._client().resources.get(api_version=named.api_version, kind=named.kind)
        )

    def call(self, what: str, act: Callable[[], T]) -> T:
        """What `act` returns; each error of the client library becomes one of harness.kube.errors that names `what`.

        Raises:
            ObjectMissing: the object, or its kind, does not exist.
            RequestRejected: the server rejected the request.
            ApiUnavailable: the server did not answer, or what answered is no Kubernetes API server.
        """
        try:
            return act()
        except (NotFoundError, ResourceNotFoundError) as error:
            raise ObjectMissing(f"{what} does not exist: {server_message(error)}") from error
        except (DynamicApiError, ApiException) as error:
            raise translate_error(what, error) from error
        except urllib3.exceptions.HTTPError as error:
            raise unanswered_error(what, self._host, error) from error
        except (ValueError, TypeError, AttributeError, KeyError) as error:  # by the libraries that read the answer
            raise ApiUnavailable(
                f"{what}: what answers at {self._host} is not a Kubernetes API server",
                remedy="is the kubeconfig's server address right, and is there no proxy or login page in front of it?",
            ) from error


def _where(named: Ref) -> dict[str, str]:
    return {"name": named.name} | ({"namespace": named.namespace} if named.namespace else {})
