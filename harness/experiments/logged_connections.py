"""Sends requests, and waits until ztunnel has logged their connections."""

from __future__ import annotations

from collections.abc import Mapping

from harness import record_replay
from harness.clients.mesh import MeshClient
from harness.components import Envoy, Ztunnels
from harness.http_exchange import Answer, Answers, Request, get, unique_name

Paths = Mapping[str, tuple[MeshClient, Request]]  # by a path's name, who sends what
Served = tuple[list[int | None], set[str]]  # statuses in the order sent, and the flags of their access lines


def send_logged(client: MeshClient, ztunnel: Ztunnels, request: Request, times: int) -> Answers:
    """Sends a request so many times and waits until ztunnel has logged the connection of each."""
    since = record_replay.now()
    answers = client.send_in_turn(request, times)
    ztunnel.wait_for_connections(answers, since)
    return answers


def send_on_paths(paths: Paths, ztunnel: Ztunnels) -> dict[str, Answer]:
    """Sends one request on each path and waits until ztunnel has logged the connection of each."""
    since = record_replay.now()
    answers = {name: client.send(request) for name, (client, request) in paths.items()}
    ztunnel.wait_for_connections(Answers(tuple(answers.values())), since)
    return answers


def send_to_each(client: MeshClient, envoy: Envoy, urls: Mapping[str, str], times: int) -> dict[str, Served]:
    """Sends requests of one user to each URL, `times` in turn, and waits for their lines in the proxy's access log."""
    since, user = record_replay.now(), unique_name("caller")
    sent = {name: client.send_in_turn(get(url, x_user_id=user), times) for name, url in urls.items()}
    lines = {name: envoy.wait_for_lines(answers, since) for name, answers in sent.items()}
    return {name: (answers.statuses, {line.flags for line in lines[name]}) for name, answers in sent.items()}
