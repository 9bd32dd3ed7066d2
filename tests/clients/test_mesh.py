"""The client inside the mesh: curl in a pod, over exec."""

import json

import pytest

from harness import observations
from harness.clients.mesh import MeshClient
from harness.errors import Inconclusive, SetupFailed
from harness.http_exchange import get
from harness.kube import Kube
from tests.fakes.api import Exec, FakeApi
from tests.fakes.pods import pod

URL = "http://ratings:9080/ratings/0"


def curl(argv: list[str], *, status: int = 200) -> Exec:
    """What curl in the pod would do."""
    ids = [word.split(": ")[1] for word in argv if word.startswith("x-request-id: ")]
    values = {"response_code": status, "time_total": 0.01, "local_ip": "10.0.0.9", "local_port": 4000}
    return Exec("".join(json.dumps({"id": id_, "curl": values, "headers": {}}) + "\n" for id_ in reversed(ids)))


@pytest.fixture
def client(kube: Kube, api: FakeApi) -> MeshClient:
    """It, with its pod and one that starts."""
    starting = pod("default/mesh-client-2", labels={"app": "mesh-client"})
    del starting["status"]["podIP"]
    api.put(starting, pod("default/mesh-client-1", labels={"app": "mesh-client"}, ip="10.0.0.9"))
    api.execute = curl
    return MeshClient(kube)


def test_request_leaves_from_the_pod(client: MeshClient, api: FakeApi) -> None:
    """curl runs in its own container, and its word is the answer."""
    answer = client.send(get(URL))

    assert (answer.status, answer.local) == (200, "10.0.0.9:4000")
    (seen,) = api.asked("GET", "/exec")
    assert seen.path.endswith("/namespaces/default/pods/mesh-client-1/exec")
    assert seen.query["container"] == "curl"
    assert client.ip == "10.0.0.9"


def test_order_is_the_order_sent(client: MeshClient, api: FakeApi) -> None:
    """A burst is one exec, parallel; its answers are in the order of their ids however they ended."""
    calls: list[list[str]] = []
    api.execute = lambda argv: calls.append(argv) or curl(argv)

    answers = client.send_together(get(URL), 5)

    assert len(answers) == 5
    sent = [word.split(": ")[1] for word in calls[0] if word.startswith("x-request-id: ")]
    assert answers.ids == sent
    assert len(calls) == 1
    assert calls[0][calls[0].index("--parallel-max") + 1] == "5"


def test_in_turn_is_not_parallel(client: MeshClient, api: FakeApi) -> None:
    """Requests in turn, equal or different, are one exec without --parallel."""
    calls: list[list[str]] = []
    api.execute = lambda argv: calls.append(argv) or curl(argv)

    client.send_in_turn(get(URL), 3)
    client.send_each([get(URL), get("http://reviews:9080/")])

    assert all("--parallel" not in argv for argv in calls)
    assert [argv.count("--next") for argv in calls] == [2, 1]


def test_word_of_the_client_is_noted(client: MeshClient) -> None:
    """What came back is in the ledger."""
    client.send_in_turn(get(URL), 2)

    assert [(s.who, s.what) for s in observations.page().sightings] == [
        ("mesh client", f"<2 answers: 200 x 2> to {URL}")
    ]


def test_curl_that_wrote_nothing_is_unjudged(client: MeshClient, api: FakeApi) -> None:
    """Nothing written tells nothing of any request; what curl complained of is quoted."""
    api.execute = lambda _: Exec("", "curl: option --json: is unknown", 2)

    with pytest.raises(Inconclusive, match=r"wrote nothing \(status 2\): curl: option --json: is unknown"):
        client.send(get(URL))


def test_half_the_answers_are_unjudged(client: MeshClient, api: FakeApi) -> None:
    """A request without a word from curl is not taken for refused."""
    api.execute = lambda argv: Exec(curl(argv).stdout.split("\n")[0])

    with pytest.raises(Inconclusive, match="1 of 2 requests have no response"):
        client.send_in_turn(get(URL), 2)


def test_no_pod_is_a_broken_setup(kube: Kube) -> None:
    """Without its pod nothing can be sent: the cluster's fault, not the claim's."""
    with pytest.raises(SetupFailed, match="mesh-client has no running pod"):
        MeshClient(kube).send(get(URL))


def test_fortio_says_how_its_messages_ended(client: MeshClient, api: FakeApi) -> None:
    """fortio runs in a container of its own; what ended in which way is its word, and no result is none."""
    api.execute = lambda argv: Exec('some talk\n{"RetCodes": {"OK": 3}}\n')
    assert client.fortio("tcp://a:9000", times=3) == {"OK": 3}
    (seen,) = api.asked("GET", "/exec")
    assert ("container", "fortio") in seen.query.items()

    api.execute = lambda argv: Exec("", "cannot connect\n", code=1)
    with pytest.raises(Inconclusive, match="fortio wrote no result to tcp://a:9000: cannot connect"):
        client.fortio("tcp://a:9000", times=3)
