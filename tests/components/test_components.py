"""What proxies say: joined to our requests one by one, or not judged at all."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from harness import observations, timeouts
from harness.components import Counters, Envoy, Istiod, RateLimitService, Ztunnels
from harness.errors import Absent, CannotJudge, Inconclusive, SetupFailed
from harness.http_exchange import Answer, Answers
from harness.kube import Kube
from harness.logs import envoy_access, ztunnel
from harness.logs.ztunnel import ZtunnelLine
from harness.objects.stack_places import StackPlaces
from tests import recordings
from tests.fakes.api import FakeApi
from tests.fakes.clock import Clock
from tests.fakes.pods import pod

SINCE = datetime.now(UTC) - timedelta(seconds=5)
GATEWAY = {"gateway.envoyproxy.io/owning-gateway-name": "waypoint"}
LIMITER = {"app.kubernetes.io/name": "envoy-ratelimit"}
LOG = ("default", "wp-1", "envoy")


class Pages:
    """Stands in for Admin: pages by path, a list is given one after another."""

    def __init__(self) -> None:
        self.pages: dict[str, Any] = {}
        self.asked: list[tuple[str, str, int]] = []

    def get(self, namespace: str, pod: str, port: int, path: str) -> str:
        self.asked.append((namespace, pod, port))
        page = self.pages.get(f"{pod}{path}", self.pages.get(path))
        if isinstance(page, list):
            page = page.pop(0) if len(page) > 1 else page[0]
        if page is None:
            raise Inconclusive(f"{path}: nobody answers")
        return page if isinstance(page, str) else json.dumps(page)


@pytest.fixture
def pages() -> Pages:
    """Admin pages."""
    return Pages()


@pytest.fixture
def envoy(kube: Kube, api: FakeApi, pages: Pages) -> Envoy:
    """The waypoint's Envoy, with one ready pod."""
    api.put(pod("default/wp-1", labels=GATEWAY, ip="10.0.0.31"), pod("default/wp-0", labels=GATEWAY, ready=False))
    api.logs[LOG] = ""
    return Envoy(kube, pages, "default", "waypoint")  # type: ignore[arg-type]  # Pages stands in for Admin


def test_version_is_envoys_own_word(envoy: Envoy, pages: Pages) -> None:
    """Not its image's tag, which says what somebody called it."""
    pages.pages["/server_info"] = {"version": "dc2d3098/1.37.0/Clean/RELEASE/BoringSSL", "state": "LIVE"}

    assert envoy.version == "1.37.0"


@pytest.mark.parametrize(("runtime", "has"), [("envoy.wasm.runtime.v8", True), ("envoy.wasm.runtime.null", False)])
def test_wasm_runtime_is_among_what_envoy_was_built_with(envoy: Envoy, pages: Pages, runtime: str, has: bool) -> None:
    """Every Envoy has the filter and a null runtime; modules run in V8 alone."""
    extensions = [{"name": "envoy.filters.http.wasm"}, {"name": runtime}]
    pages.pages["/server_info"] = {"node": {"extensions": extensions}}

    assert envoy.has_wasm_runtime() is has


def answers(*ids: str) -> Answers:
    """Answers of these ids."""
    return Answers(tuple(Answer(id_, 200, {}, 1.0) for id_ in ids))


def line(id_: str, **changes: Any) -> str:
    """An access line of that request."""
    found = {"start_time": "2026-11-21T00:38:50.752Z", "response_code": 200, "response_flags": "-", "duration": 3,
             "user-agent": f"e2e/{id_}", "route_name": f"route of {id_}"}  # fmt: skip
    return json.dumps(found | changes) + "\n"


def growing(api: FakeApi, where: tuple[str, ...], *texts: str) -> None:
    """Each look at a log finds one more of the texts in it."""
    left = list(texts)

    class Logs(dict[tuple[str, ...], str]):
        def __getitem__(self, key: tuple[str, ...]) -> str:
            if key == where and left:
                self[where] = dict.__getitem__(self, where) + left.pop(0)
            return dict.__getitem__(self, key)

    api.logs = Logs(api.logs)


# -- Envoy ---------------------------------------------------------------------------------------------------------


def test_one_ready_pod_is_the_proxy(envoy: Envoy) -> None:
    """Its name and address are those of the pod that is ready."""
    assert (envoy.name, envoy.ips) == ("wp-1", ["10.0.0.31"])


def test_no_ready_pod_is_a_broken_setup(envoy: Envoy, api: FakeApi) -> None:
    """Nothing can be asked; of several, what is done to one is not judged."""
    api.objects.clear()
    with pytest.raises(SetupFailed, match="Gateway default/waypoint has 0 ready proxy pods"):
        _ = envoy.pod

    api.put(*(pod(f"default/wp-{n}", labels=GATEWAY) for n in range(2)))
    with pytest.raises(CannotJudge, match="one replica: Gateway default/waypoint has 2 ready proxy pods"):
        _ = envoy.pod


# -- several replicas


@pytest.fixture
def replicas(envoy: Envoy, api: FakeApi, pages: Pages) -> Envoy:
    """The same with a second ready pod, and counters of both."""
    api.put(pod("default/wp-2", labels=GATEWAY, ip="10.0.0.32"))
    api.logs[("default", "wp-2", "envoy")] = ""
    for name, sent in (("wp-1", 3), ("wp-2", 4)):
        pages.pages[f"{name}/stats"] = stats(sent)
    return envoy


def stats(sent: int, cluster: str = "c") -> str:
    return f"cluster.{cluster}.membership_total: 1\ncluster.{cluster}.upstream_rq_total: {sent}\n"


def replace_pod(api: FakeApi, pages: Pages) -> None:
    """wp-2 goes, and wp-3 comes."""
    del api.objects["Pod/default/wp-2"]
    new = pod("default/wp-3", labels=GATEWAY)
    new["metadata"]["creationTimestamp"] = "2999-01-01T00:00:00Z"
    api.put(new)
    api.logs[("default", "wp-3", "envoy")] = ""
    pages.pages["wp-3/stats"] = stats(0)


@pytest.mark.parametrize(
    ("before", "after", "moved"),
    [
        (["a.over: 1\nb.over: 5"] * 2, ["a.over: 3\nb.over: 5", "a.over: 1\nb.over: 6"], 3),
        (["a.other: 1"] * 2, ["a.over: 2", "a.other: 1"], 2),
        (["a.other: 1"] * 2, ["a.other: 9"] * 2, 0),
    ],
    ids=["all that end so", "one that was made meanwhile", "none"],
)
def test_counters_of_one_ending_are_counted_together(
    replicas: Envoy, pages: Pages, before: list[str], after: list[str], moved: int
) -> None:
    """Of all listeners and replicas; one that Envoy has not made yet is at 0."""
    for pod_name, first, second in zip(("wp-1", "wp-2"), before, after, strict=True):
        pages.pages[f"{pod_name}/stats"] = [first, second]

    with replicas.counting(".over") as change:
        pass

    assert change.moved == moved


def test_counter_that_falls_is_not_judged(replicas: Envoy, pages: Pages) -> None:
    """A proxy was restarted: what it had counted is gone. Nor is one whose replica was replaced."""
    pages.pages["wp-1/stats"] = ["a.over: 4", "a.over: 1"]
    with pytest.raises(Inconclusive, match=r"counters \.over of Gateway waypoint fell"), replicas.counting(".over"):
        pass


def test_lines_of_a_server_name(envoy: Envoy, api: FakeApi) -> None:
    """Connections that are passed through have no request id: those to one TLS server name since then."""
    names = {"requested_server_name": "a.example", "start_time": "2999-01-01T00:00:00Z"}
    old = names | {"start_time": "2026-11-21T00:00:00Z"}
    api.logs[LOG] = line("-", **old) + line("-", **names) + line("-", **(names | {"requested_server_name": "b"}))

    found = envoy.lines_of_server_name("a.example", SINCE, count=1)

    assert [one.start_time.year for one in found] == [2999]


def test_metrics_of_all_pods(replicas: Envoy, pages: Pages) -> None:
    """Envoy's of each replica; a page that is no Prometheus text is not judged."""
    pages.pages["/stats/prometheus"] = 'a_total{x="1"} 2\n'
    found = replicas.read_metrics()
    assert [(one.name, dict(one.labels), one.value) for one in found] == [("a_total", {"x": "1"}, 2.0)] * 2

    pages.pages["/stats/prometheus"] = "no metrics {"
    with pytest.raises(Inconclusive, match="metrics of default/wp-1"):
        replicas.read_metrics()


def test_lines_are_gathered_from_all_replicas(replicas: Envoy, api: FakeApi) -> None:
    """Also from one that is on its way out."""
    leaving = pod("default/wp-9", labels=GATEWAY, ready=False)
    leaving["metadata"]["deletionTimestamp"] = "2026-11-21T00:00:00Z"
    api.put(leaving)
    api.logs[LOG] = line("b")
    api.logs[("default", "wp-2", "envoy")] = line("a")
    api.logs[("default", "wp-9", "envoy")] = line("c")

    found = replicas.wait_for_lines(answers("a", "b", "c"), SINCE)

    assert [one.user_agent for one in found] == ["e2e/a", "e2e/b", "e2e/c"]


def test_requests_that_one_replica_answered_say_nothing_of_others(replicas: Envoy, api: FakeApi) -> None:
    """Which wrote a line is reported by the address at which it was reached."""
    at = {name: {"downstream_local_address": f"10.0.0.{name}:10080"} for name in ("31", "32")}
    api.logs[LOG] = line("a", **at["31"]) + line("b", **at["31"])
    with pytest.raises(Inconclusive, match="all 2 requests went to one replica of Gateway waypoint"):
        replicas.wait_for_lines_of_replicas(answers("a", "b"), SINCE)

    api.logs[("default", "wp-2", "envoy")] = line("c", **at["32"])
    assert len(replicas.wait_for_lines_of_replicas(answers("a", "b", "c"), SINCE)) == 3


def test_counters_are_sums_over_replicas(replicas: Envoy, pages: Pages) -> None:
    """Of a block too; a replica that lacks the cluster is named."""
    with replicas.counting_requests_sent("c") as sent:
        pages.pages["wp-2/stats"] = stats(9)
    assert sent.moved == 5
    pages.pages["wp-1/stats"] = stats(0, "other")
    with pytest.raises(Absent, match="Envoy wp-1 has no cluster c"):
        replicas.counting_requests_sent("c").__enter__()


def test_a_replica_that_was_replaced_is_named(replicas: Envoy, api: FakeApi, pages: Pages, clock: Clock) -> None:
    """Its counters and lines are gone: nothing is judged, and nothing is taken for 0."""
    with (
        pytest.raises(Inconclusive, match=r"replaced in the middle, .*: wp-2 is gone, wp-3 is new"),
        replicas.counting_requests_sent("c"),
    ):
        replace_pod(api, pages)

    api.put(pod("default/wp-2", labels=GATEWAY))
    api.logs[LOG] = line("a")
    replicas.read_access_log(SINCE)
    replace_pod(api, pages)
    with pytest.raises(Inconclusive, match="proxy pod wp-2 is gone, proxy pod wp-3 is new: "):
        replicas.wait_for_lines(answers("a", "lost"), SINCE)


def test_replicas_that_differ_are_named(replicas: Envoy, pages: Pages) -> None:
    """One that lags behind has another configuration: what all have together is not known."""
    broken = recordings.dump("admin/waypoint-config_dump.json")
    text = json.dumps(broken).replace('"max_pending_requests": 0', '"max_pending_requests": 5')
    assert text != json.dumps(broken)
    pages.pages |= {"wp-1/config_dump": broken, "wp-2/config_dump": text}
    cluster = "httproute/default/ratings/rule/0"

    assert replicas.read_max_pending_requests_by_replica(cluster) == {"wp-1": 0, "wp-2": 5}
    with pytest.raises(Inconclusive, match="'wp-2': 5"):
        replicas.read_max_pending_requests(cluster)
    pages.pages["wp-2/config_dump"] = broken
    assert replicas.read_max_pending_requests(cluster) == 0


def test_lines_are_joined_in_the_order_of_answers(envoy: Envoy, api: FakeApi) -> None:
    """Each answer has its own line, in its place; other lines, and Envoy's own messages, are left out."""
    api.logs[LOG] = line("c") + "[info] not JSON\n" + line("x") + line("a") + line("b")

    found = envoy.wait_for_lines(answers("a", "b", "c"), SINCE)

    assert [one.route_name for one in found] == ["route of a", "route of b", "route of c"]
    assert observations.page().sightings[0].who == "waypoint access log"


def test_lines_are_awaited(envoy: Envoy, api: FakeApi, clock: Clock) -> None:
    """Envoy writes its log now and then: a line may come later."""
    growing(api, LOG, line("a"), "", line("b"))

    assert len(envoy.wait_for_lines(answers("a", "b"), SINCE)) == 2
    assert clock.slept > 0


def test_missing_line_is_unjudged(envoy: Envoy, api: FakeApi, clock: Clock) -> None:
    """A request without a line was refused, lost or never sent: nobody knows."""
    api.logs[LOG] = line("a")

    with pytest.raises(Inconclusive, match=r"has no line for some requests: .*2 requests .*last seen: lines of 1"):
        envoy.wait_for_lines(answers("a", "b"), SINCE)

    assert clock.slept <= timeouts.LOG_LINE + 1


def test_double_line_is_unjudged(envoy: Envoy, api: FakeApi) -> None:
    """Two lines of one request: it was tried twice, or is not alone of its name."""
    api.logs[LOG] = line("a") + line("b") + line("a", response_code=503)

    with pytest.raises(Inconclusive, match="1 requests have more than one access line, first e2e/a"):
        envoy.wait_for_lines(answers("a", "b"), SINCE)


def test_no_answers_are_unjudged(envoy: Envoy, api: FakeApi) -> None:
    """Of no requests no line says anything: an empty set is not all of them."""
    api.logs[LOG] = line("a")

    with pytest.raises(Inconclusive, match="no answers"):
        envoy.wait_for_lines(answers(), SINCE)


def test_longer_id_is_another_request(envoy: Envoy, api: FakeApi, clock: Clock) -> None:
    """Ids are compared whole."""
    api.logs[LOG] = line("ab")

    with pytest.raises(Inconclusive):
        envoy.wait_for_lines(answers("a"), SINCE)


def test_silent_about(envoy: Envoy, api: FakeApi) -> None:
    """Whether a request was never seen."""
    api.logs[LOG] = line("a")

    assert envoy.has_no_line_of(answers("b", "c"), SINCE)
    assert not envoy.has_no_line_of(answers("b", "a"), SINCE)


def test_silence_of_a_log_that_cannot_be_read_is_inconclusive(envoy: Envoy, api: FakeApi, clock: Clock) -> None:
    """Neither "no such line" nor "nothing was refused" rests on it; a line that is there counts all the same."""
    api.logs[LOG] = line("a") + '{"startTime": "x"}\n'

    assert not envoy.has_no_line_of(answers("a"), SINCE)
    with pytest.raises(Inconclusive, match=r"1 line of this log could not be read.*startTime"):
        envoy.has_no_line_of(answers("b"), SINCE)
    with pytest.raises(Inconclusive, match=r"lines of 0.*; 1 line of this log could not be read"):
        envoy.wait_for_lines(answers("b"), SINCE)


def test_related_lines_are_any_lines(envoy: Envoy, api: FakeApi, clock: Clock) -> None:
    """Of several requests, some of which call here more than once, whatever was read counts, but something must be."""
    api.logs[LOG] = line("a") + line("z") + line("a")

    assert [one.user_agent for one in envoy.wait_for_related_lines(answers("a", "b"), SINCE)] == ["e2e/a", "e2e/a"]
    with pytest.raises(Inconclusive):
        envoy.wait_for_related_lines(answers("b"), SINCE)


def test_refused_is_the_logs_word_and_the_dumps(envoy: Envoy, api: FakeApi, pages: Pages) -> None:
    """The recorded clash of port 15008 is found in Envoy's log though every status is green."""
    api.logs[LOG] = recordings.text("port-15008-clash/waypoint-envoy.log")
    pages.pages["/config_dump"] = recordings.dump("admin/waypoint-config_dump.json")

    refused = envoy.read_rejected_resources()

    assert len(refused) == 1
    assert refused[0].endswith("fake-hbone-port")


def test_nothing_refused(envoy: Envoy, pages: Pages) -> None:
    """An Envoy that took everything refused nothing."""
    pages.pages["/config_dump"] = recordings.dump("admin/waypoint-config_dump.json")

    assert envoy.read_rejected_resources() == []


def test_silent_admin_page_is_unjudged(envoy: Envoy) -> None:
    """Without its configuration nothing is known of it."""
    for ask in (
        envoy.read_rejected_resources,
        envoy.read_stats,
        envoy.read_config_dumps,
        lambda: envoy.read_max_pending_requests("x"),
    ):
        with pytest.raises(Inconclusive):
            ask()


def test_stats_and_breaker_are_read(envoy: Envoy, pages: Pages) -> None:
    """Counters by name, and the threshold of an active cluster; None where Envoy's default holds."""
    pages.pages["/stats"] = recordings.text("admin/waypoint-stats.txt")
    pages.pages["/config_dump"] = recordings.dump("admin/waypoint-config_dump.json")

    assert len(envoy.read_stats()["wp-1"]) > 10
    assert envoy.read_max_pending_requests("httproute/default/ratings/rule/0") == 0
    with pytest.raises(Inconclusive, match="Envoy wp-1 has no active cluster other"):
        envoy.read_max_pending_requests("other")
    assert pages.asked[0] == ("default", "wp-1", 19000)


@pytest.mark.parametrize(
    ("recorded", "cluster", "sent"),
    [
        ("admin/waypoint-stats.txt", "httproute/default/ratings/rule/0", 406),
        ("eg-1.9.0/stats-untouched-cluster.txt", "httproute/default/ratings-refused/rule/0", 0),
    ],
)
def test_requests_that_were_sent_are_counted(
    envoy: Envoy, pages: Pages, recorded: str, cluster: str, sent: int
) -> None:
    """A counter may be missing before the first (`unused_cluster_counters`); an unknown cluster has none."""
    pages.pages["/stats"] = stats(0, cluster)
    with envoy.counting_requests_sent(cluster) as counted:
        pages.pages["/stats"] = recordings.text(recorded)

    assert counted.moved == sent
    with pytest.raises(Inconclusive, match="Envoy wp-1 has no cluster other"):
        envoy.counting_requests_sent("other").__enter__()


def test_endpoints_of_a_cluster(envoy: Envoy, pages: Pages) -> None:
    """The addresses that Envoy calls now; none of a cluster that it does not know."""
    pages.pages["/clusters"] = recordings.text("waypoint-clusters.txt")

    found = envoy.read_endpoints("httproute/default/ratings/rule/0")["wp-1"]
    assert found
    assert all(":" in address for address in found)
    assert envoy.read_endpoints("nobody") == {"wp-1": set()}


# -- ztunnel -------------------------------------------------------------------------------------------------------

ZTUNNEL = {"app": "ztunnel"}
MESH = recordings.text("variants/ztunnel-two-nodes.log")
REQUEST = envoy_access.parse_access_log(recordings.text("variants/waypoint2-envoy.log")).lines[0]
OUTBOUND = next(
    row for row in MESH.split("\n") if f"src.addr={REQUEST.upstream_local_address} " in row and "outbound" in row
)


@pytest.fixture
def ztunnels(kube: Kube, api: FakeApi, pages: Pages) -> Ztunnels:
    """ztunnel on two nodes."""
    for node in ("n1", "n2"):
        made = pod(f"istio-system/zt-{node}", labels=ZTUNNEL)
        made["spec"]["nodeName"] = node
        api.put(made)
        api.logs["istio-system", f"zt-{node}", "istio-proxy"] = ""
    return Ztunnels(kube, pages)  # type: ignore[arg-type]  # Pages stands in for Admin


def z(api: FakeApi, node: str, text: str) -> None:
    """That node's log."""
    api.logs["istio-system", f"zt-{node}", "istio-proxy"] = text


def leg(ztunnels: Ztunnels, **changes: str | None) -> ZtunnelLine:
    """The leg behind the waypoint of the recorded request."""
    asked = {"source": REQUEST.upstream_local_address, "reaches": REQUEST.upstream_host} | changes
    return ztunnels.wait_for_connection(SINCE, asked["source"], REQUEST, asked["reaches"])


def test_the_stack_is_read_where_it_is(kube: Kube, api: FakeApi) -> None:
    """ztunnel and the rate limit service in other namespaces than their charts'."""
    places = StackPlaces(ztunnel="kube-system/ztunnel", rate_limit_service="edge/envoy-ratelimit")
    there = Kube(kube.kubeconfig, kube.context, places=places)
    made = pod("kube-system/zt", labels=ZTUNNEL)
    made["spec"]["nodeName"] = "n1"
    api.put(made, pod("edge/limiter-1", labels={"app.kubernetes.io/name": "envoy-ratelimit"}))
    api.logs["kube-system", "zt", "istio-proxy"] = "of kube-system"

    assert Ztunnels(there, Pages()).read_logs() == {"n1": "of kube-system"}  # type: ignore[arg-type]  # as above
    assert RateLimitService(there, Pages()).names == ["limiter-1"]  # type: ignore[arg-type]  # as above
    assert Ztunnels(kube, Pages()).read_logs() == {}  # type: ignore[arg-type]  # as above


def test_lines_of_all_nodes_oldest_first(ztunnels: Ztunnels, api: FakeApi) -> None:
    """Every node's access lines, by time."""
    rows = [row for row in MESH.split("\n") if "\taccess\t" in row]
    z(api, "n1", "\n".join(rows[1::2]))
    z(api, "n2", "\n".join(rows[::2]))

    found = ztunnels.read_lines(SINCE)

    assert len(found) == len(rows)
    assert [one.time for one in found] == sorted(one.time for one in found)


def test_connections_of_a_log_that_cannot_be_read_are_not_all(ztunnels: Ztunnels, api: FakeApi) -> None:
    """No failed connection, and no other way, can be known from such a log."""
    z(api, "n2", "".join(f"{row}\n".replace("\t", "  ") for row in MESH.split("\n") if "\taccess\t" in row))

    for read in (ztunnels.read_lines, lambda since: ztunnels.read_destinations(since, "ratings")):
        with pytest.raises(Inconclusive, match=r"ztunnel log: \d+ lines of this log could not be read"):
            read(SINCE)


def test_ways_to_a_service_are_the_workloads_that_took_its_callers(ztunnels: Ztunnels, api: FakeApi) -> None:
    """The waypoint's alone, of the callers' side only; one that went past it shows."""
    rows = [row for row in MESH.split("\n") if "\taccess\t" in row]
    to_waypoint = next(row for row in rows if 'dst.workload="waypoint' in row and 'direction="outbound"' in row)
    past = to_waypoint.replace('dst.workload="waypoint-', 'dst.workload="ratings-v1-')
    z(api, "n1", "\n".join(rows))
    assert ztunnels.read_destinations(SINCE, "ratings") == {"waypoint"}

    z(api, "n2", past)
    assert ztunnels.read_destinations(SINCE, "ratings") == {"waypoint", "ratings-v1"}
    assert ztunnels.read_destinations(SINCE, "ratings-binding") == set()


def test_connections_of_answers_are_found_by_the_clients_address(
    ztunnels: Ztunnels, api: FakeApi, clock: Clock
) -> None:
    """The source's line; of a client outside of the mesh the destination's, whose HBONE lines have another's port. Each
    answer has it as a witness."""
    rows = [row for row in MESH.split("\n") if "\taccess\t" in row]
    outbound = next(line for row in rows if (line := ztunnel.parse_ztunnel_line(row)) and line.direction == "outbound")
    hbone_in = next(
        line
        for row in rows
        if (line := ztunnel.parse_ztunnel_line(row)) and line.direction == "inbound" and line.is_hbone
    )
    plain_in = hbone_in.raw.replace(hbone_in.src.addr, "10.9.9.9:4711").replace(
        f"dst.hbone_addr={hbone_in.dst.hbone_addr} ", ""
    )
    z(api, "n1", "\n".join([*rows, plain_in]))
    answers = Answers(
        tuple(Answer(id, None, {}, 1.0, local=at) for id, at in (("a", outbound.src.addr), ("b", "10.9.9.9:4711")))
    )

    found = ztunnels.wait_for_connections(answers, SINCE)

    assert {line.src.addr for line in found} == {outbound.src.addr, "10.9.9.9:4711"}
    assert [set(sighting.of) for sighting in observations.current().sightings] == [{"a"}, {"b"}]
    alone = Answers((Answer("c", 200, {}, 1.0, local=hbone_in.src.addr),))
    with pytest.raises(Inconclusive, match="ztunnel's log has no line for some connections"):
        ztunnels.wait_for_connections(alone, SINCE)


def test_leg_is_the_line_of_the_source(ztunnels: Ztunnels, api: FakeApi) -> None:
    """The connection that a proxy dialled has one outbound line, on whatever node."""
    z(api, "n2", MESH)

    line = leg(ztunnels)

    assert (line.src.addr, line.direction) == (REQUEST.upstream_local_address, "outbound")
    assert line.dst.hbone_addr == REQUEST.upstream_host
    assert observations.page().sightings[-1].who == "ztunnel log"


def test_leg_is_awaited_until_the_connection_closes(ztunnels: Ztunnels, api: FakeApi, clock: Clock) -> None:
    """ztunnel writes a line when a connection ends."""
    growing(api, ("istio-system", "zt-n1", "istio-proxy"), "", "", OUTBOUND + "\n")

    assert leg(ztunnels).src.addr == REQUEST.upstream_local_address
    assert clock.slept > 0


@pytest.mark.parametrize("changes", [{"source": "10.99.0.1:1"}, {"reaches": "10.99.0.1:9080"}])
def test_leg_without_a_line_is_unjudged(
    ztunnels: Ztunnels, api: FakeApi, clock: Clock, changes: dict[str, str | None]
) -> None:
    """A line that does not come, or is of another connection, proves nothing."""
    z(api, "n1", MESH)

    with pytest.raises(Inconclusive, match=r"ztunnel says nothing of it: .*10\.99\.0\.1"):
        leg(ztunnels, **changes)


def test_leg_with_two_lines_is_unjudged(ztunnels: Ztunnels, api: FakeApi) -> None:
    """Two lines fit: which one is not known."""
    z(api, "n1", OUTBOUND)
    z(api, "n2", OUTBOUND)

    with pytest.raises(Inconclusive, match="2 lines of ztunnel fit the connection from"):
        leg(ztunnels)


@pytest.mark.parametrize("changes", [{"source": None}, {"source": ""}, {"reaches": None}, {"reaches": ""}])
def test_leg_of_an_unknown_address_is_unjudged(ztunnels: Ztunnels, changes: dict[str, str | None]) -> None:
    """Without the connection's own addresses no line can be its."""
    with pytest.raises(Inconclusive, match="no ztunnel line can be matched to this connection"):
        leg(ztunnels, **changes)


def test_leg_whose_port_the_kernel_changed_is_reported(ztunnels: Ztunnels, api: FakeApi) -> None:
    """A line of the same source, destination and time is taken where the port is not found, and that is noted."""
    z(api, "n1", OUTBOUND)
    port = str(REQUEST.upstream_local_address).replace(":", ":9")[:-1]

    line = leg(ztunnels, source=port)

    assert line.src.addr == REQUEST.upstream_local_address
    assert f"the kernel had given {port} another port" in observations.page().sightings[-1].what


def test_mirror_is_the_other_side(ztunnels: Ztunnels, api: FakeApi) -> None:
    """The destination's line of the same connection is found on its node."""
    z(api, "n2", MESH)
    out = leg(ztunnels)

    mirror = ztunnels.wait_for_destination_line(SINCE, out)

    assert mirror.direction == "inbound"
    assert (mirror.dst.addr, mirror.src.ip) == (out.dst.addr, out.src.ip)


def test_mirror_without_a_line_is_unjudged(ztunnels: Ztunnels, api: FakeApi, clock: Clock) -> None:
    """The source's word alone is not the destination's."""
    z(api, "n1", OUTBOUND)
    out = leg(ztunnels)

    with pytest.raises(Inconclusive, match="the other side of"):
        ztunnels.wait_for_destination_line(SINCE, out)


def test_ready_nodes(ztunnels: Ztunnels, api: FakeApi) -> None:
    """A node whose ztunnel is not ready does not count."""
    assert ztunnels.read_ready_nodes() == {"n1", "n2"}
    api.objects["Pod/istio-system/zt-n2"]["status"]["conditions"][0]["status"] = "False"

    assert ztunnels.read_ready_nodes() == {"n1"}


def test_views_are_each_nodes_own(ztunnels: Ztunnels, pages: Pages) -> None:
    """Every node is asked itself; a node that does not answer leaves no view at all."""
    whole = recordings.dump("admin/ztunnel-config_dump.json")
    pages.pages = {"zt-n1/config_dump": whole, "zt-n2/config_dump": whole | {"workloads": []}}

    views = ztunnels.read_views()

    assert {node: bool(view.workloads) for node, view in views.items()} == {"n1": True, "n2": False}
    del pages.pages["zt-n2/config_dump"]
    with pytest.raises(Inconclusive):
        ztunnels.read_views()


# -- istiod --------------------------------------------------------------------------------------------------------

PUSHES = '# TYPE pilot_push_triggers counter\npilot_push_triggers{type="endpoint"} 7\n'
REJECT = '# TYPE pilot_total_xds_rejects counter\npilot_total_xds_rejects{type="lds"} 2\n'


def istiod(kube: Kube, api: FakeApi, pages: Pages, replicas: int = 1) -> Istiod:
    """istiod with that many pods."""
    api.put(*(pod(f"istio-system/istiod-{n}", labels={"app": "istiod"}) for n in range(replicas)))
    return Istiod(kube, pages)  # type: ignore[arg-type]  # Pages stands in for Admin


def test_pushes_without_rejections(kube: Kube, api: FakeApi, pages: Pages) -> None:
    """istiod has pushed, and nothing was rejected."""
    pages.pages["/metrics"] = PUSHES + REJECT.replace("} 2", "} 0")

    assert istiod(kube, api, pages).read_rejections() == {}


def test_rejections_are_reported_by_type(kube: Kube, api: FakeApi, pages: Pages) -> None:
    """Each kind of rejection with its number."""
    pages.pages["/metrics"] = PUSHES + REJECT

    assert istiod(kube, api, pages).read_rejections() == {"pilot_total_xds_rejects{'type': 'lds'}": 2.0}


def test_rejections_of_every_replica(kube: Kube, api: FakeApi, pages: Pages) -> None:
    """Proxies connect to any istiod: all are asked."""
    pages.pages = {"istiod-0/metrics": PUSHES, "istiod-1/metrics": PUSHES + REJECT, "istiod-2/metrics": PUSHES + REJECT}

    assert istiod(kube, api, pages, 3).read_rejections() == {"pilot_total_xds_rejects{'type': 'lds'}": 4.0}


@pytest.mark.parametrize("text", ["", REJECT, "# TYPE pilot_services gauge\npilot_services 3\n"])
def test_no_pushes_are_unjudged(kube: Kube, api: FakeApi, pages: Pages, text: str) -> None:
    """An istiod that counts no push would count no rejection either."""
    pages.pages["/metrics"] = text

    with pytest.raises(Inconclusive, match="istiod counts no pushes"):
        istiod(kube, api, pages).read_rejections()


def test_no_istiod_is_unjudged(kube: Kube, api: FakeApi, pages: Pages) -> None:
    """Nobody counts: nothing is known."""
    with pytest.raises(Inconclusive):
        istiod(kube, api, pages, 0).read_rejections()


# -- the rate limit service ----------------------------------------------------------------------------------------


@pytest.fixture
def limiter(kube: Kube, api: FakeApi, pages: Pages) -> RateLimitService:
    """The limiter, up."""
    api.put(pod("envoy-gateway-system/rl-1", labels=LIMITER))
    return RateLimitService(kube, pages)  # type: ignore[arg-type]  # Pages stands in for Admin


def counters(**values: int) -> str:
    """Its metrics with these counters, each in two rules, and neighbours of nearly the same name."""
    rows = []
    for name, value in values.items():
        full = f"ratelimit_service_rate_limit_{name}"
        rows += [f"# TYPE {full} counter", f'{full}{{key1="a"}} {value - 1}', f'{full}{{key1="b"}} 1']
        rows += [f"# TYPE {full}_with_local_cache counter", f'{full}_with_local_cache{{key1="a"}} 1000']
    return "\n".join(rows) + "\n"


@pytest.mark.parametrize(
    "use",
    [
        lambda one: one.pods,
        lambda one: one.read_rules(),
        lambda one: one.read_counter_by_replica("over_limit"),
        lambda one: one.wait_for_settled_counters(),
    ],
    ids=["pods", "rules", "counted", "settled"],
)
def test_limiter_that_is_down_is_a_broken_setup(
    limiter: RateLimitService, api: FakeApi, use: Callable[[RateLimitService], Any]
) -> None:
    """Envoy lets all pass without a limiter: that is reported to be the limiter, not the limit."""
    api.objects["Pod/envoy-gateway-system/rl-1"]["status"]["conditions"][0]["status"] = "False"

    with pytest.raises(SetupFailed) as caught:
        use(limiter)

    assert "the rate limit service is down" in str(caught.value)
    assert "this does not mean that the limit is not enforced" in str(caught.value)
    assert "Redis" in caught.value.remedy


def test_rules_are_read(limiter: RateLimitService, pages: Pages) -> None:
    """The limiter's own list."""
    pages.pages["/rlconfig"] = recordings.text("admin/ratelimit-rlconfig.txt")

    (rule,) = limiter.read_rules()

    assert (rule.requests, rule.unit, rule.is_in_domain("default/bookinfo-ingress/ingress")) == (3, "HOUR", True)
    assert pages.asked == [("envoy-gateway-system", "rl-1", 6070)]
    assert observations.page().sightings[-1].who == "rate limit service rules"


def test_recorded_counters(limiter: RateLimitService, pages: Pages) -> None:
    """Counters of all rules are summed; one that does not exist yet is 0."""
    pages.pages["/metrics"] = recordings.text("admin/ratelimit-metrics.prom")

    names = ("total_hits", "within_limit", "over_limit", "shadow_mode")
    hits, within, over, shadow = (limiter.read_counter_by_replica(name)["rl-1"] for name in names)
    assert hits == within + over > 0
    assert shadow == 0


def test_counters_of_nearly_the_same_name_are_others(limiter: RateLimitService, pages: Pages) -> None:
    """over_limit is not over_limit_with_local_cache."""
    pages.pages["/metrics"] = counters(over_limit=5)

    assert limiter.read_counter_by_replica("over_limit") == {"rl-1": 5}


def test_limits_of_others_are_not_counted(limiter: RateLimitService, pages: Pages) -> None:
    """Gateways of other namespaces share the service: their rules' counters are left out."""
    of = 'ratelimit_service_rate_limit_total_hits{{domain="{}/gateway/http"}} {}\n'
    pages.pages["/metrics"] = "# TYPE ratelimit_service_rate_limit_total_hits counter\n" + "".join(
        of.format(namespace, hits) for namespace, hits in (("default", 3), ("team-b", 40))
    )

    assert limiter.read_counter_by_replica("total_hits") == {"rl-1": 3}


def test_counters_are_read_once_they_stand_still(limiter: RateLimitService, pages: Pages, clock: Clock) -> None:
    """The limiter writes its counters now and then: they are believed after they have not moved for a while."""
    pages.pages["/metrics"] = [counters(total_hits=n, over_limit=n) for n in (5, 5, 6, 6, 9)]

    assert limiter.wait_for_settled_counters() == Counters(9, 9, ("rl-1",), (9,))
    assert clock.slept > timeouts.LIMITER_SETTLED


def test_counters_that_moved_late_are_not_taken_early(limiter: RateLimitService, pages: Pages, clock: Clock) -> None:
    """A value is not believed before it has stood for the whole while, though the look began long ago."""
    seen: list[float] = []

    class Moving(list[str]):
        def pop(self, _: int = 0) -> str:
            seen.append(clock.now)
            return counters(total_hits=1 if clock.now < 1003 else 2)

    pages.pages["/metrics"] = Moving(["", ""])
    clock.now = 1002.0

    assert limiter.wait_for_settled_counters().hits == 2
    assert seen[-1] - 1003 >= timeouts.LIMITER_SETTLED - 0.3


def test_counters_that_never_stand_still_are_unjudged(limiter: RateLimitService, pages: Pages, clock: Clock) -> None:
    """Somebody else sends: what is ours cannot be reported."""
    pages.pages["/metrics"] = [counters(total_hits=n) for n in range(1, 1000)]

    with pytest.raises(Inconclusive, match="the limiter's counters stand still"):
        limiter.wait_for_settled_counters()


def test_all_replicas_of_the_limiter_are_counted(
    limiter: RateLimitService, api: FakeApi, pages: Pages, clock: Clock
) -> None:
    """Hits are the sum; how many replicas were asked is known; one that was replaced meanwhile is named."""
    api.put(pod("envoy-gateway-system/rl-2", labels=LIMITER))
    pages.pages |= {"rl-1/metrics": counters(total_hits=1), "rl-2/metrics": counters(total_hits=2)}

    with limiter.counting_requests() as moved:
        pages.pages |= {"rl-1/metrics": counters(total_hits=4), "rl-2/metrics": counters(total_hits=3)}
    assert (moved.hits, moved.asked) == (4, 2)
    with limiter.counting_requests() as moved:
        pages.pages["rl-2/metrics"] = counters(total_hits=9)
    assert (moved.hits, moved.asked) == (6, 1)
    with pytest.raises(Inconclusive, match="rl-2 is gone"), limiter.counting_requests():
        del api.objects["Pod/envoy-gateway-system/rl-2"]


def test_replicas_of_the_limiter_with_other_rules_are_named(
    limiter: RateLimitService, api: FakeApi, pages: Pages
) -> None:
    """What the service limits is known when all replicas limit the same."""
    api.put(pod("envoy-gateway-system/rl-2", labels=LIMITER))
    pages.pages["rl-1/rlconfig"] = recordings.text("admin/ratelimit-rlconfig.txt")
    pages.pages["rl-2/rlconfig"] = ""

    with pytest.raises(Inconclusive, match=r"different rules .*rl-2: 0"):
        limiter.read_rules()
    pages.pages["rl-2/rlconfig"] = pages.pages["rl-1/rlconfig"]
    assert limiter.read_rules()
