"""The commands `mesh-e2e preflight` and `mesh-e2e rbac`, and the preflight of a run."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from harness import record_replay
from harness.cluster.choose import choose_cluster
from harness.cluster.protocol import Capability, Cluster
from harness.errors import BadInput
from harness.kube import Kube
from harness.kube.read_only_client import ReadOnlyClient
from harness.kube.request_log import ApiRequest
from harness.objects.namespace_mapping import MANAGED_BY, Placement
from harness.objects.stack_places import DEFAULT_PLACES, StackPlaces
from harness.preflight import catalogue, output, required_rights
from harness.preflight.read import DEFAULT, read_facts, read_nodes
from harness.preflight.required_rights import Right, Scope
from harness.preflight.row import Row
from harness.settings import Settings
from harness.version_sets import VersionSet

PER_SECOND = 40.0  # requests: most are access reviews, which read nothing


@dataclass(frozen=True, slots=True)
class Preflight:
    """The table of one cluster, and what reading it cost."""

    rows: tuple[Row, ...]
    denied: tuple[Right, ...]
    calls: int
    seconds: float
    places: StackPlaces = DEFAULT_PLACES

    @property
    def lacking(self) -> dict[Capability, str]:
        """The capabilities that the cluster lacks, with the reasons."""
        return catalogue.lacking(self.rows)

    @property
    def text(self) -> str:
        """The table, and its cost."""
        return f"{output.as_text(self.rows)}; {self.calls} API calls, {self.seconds:.1f} s"

    def check_rights(self) -> None:
        """Sees that nothing is missing without which no test can be judged.

        Raises:
            BadInput: rights are; each is named.
        """
        missing = [str(one) for one in self.denied if one.needed]
        if missing:
            raise BadInput(
                f"these credentials lack rights that every run needs: {'; '.join(missing)}",
                remedy="`mesh-e2e rbac | kubectl apply -f -` with credentials that may grant them, then bind the roles",
            )


def examine(cluster: Cluster, settings: Settings) -> Preflight:
    """Reads an existing cluster and judges what a run with these settings can judge there; of a cluster of our own,
    which is empty yet, its nodes and its clock.

    Raises:
        ApiUnavailable: the API server does not answer.
    """
    began = time.monotonic()
    reader = ReadOnlyClient(Kube(cluster.kubeconfig, cluster.context), per_second=PER_SECOND)
    if cluster.kind != "existing":
        facts = read_nodes(reader, settings.suite_namespace)
        record_replay.set_nodes_ahead(facts.nodes_ahead)
        cheap = tuple(catalogue.cheap_rows(facts))
        return Preflight(cheap, (), reader.calls, time.monotonic() - began)
    facts = read_facts(
        reader,
        suite_namespaces(settings),
        installs=settings.install,
        disruptive=settings.disruptive,
        lacking=cluster.cannot_judge,
    )
    record_replay.set_nodes_ahead(facts.nodes_ahead)
    return Preflight(tuple(catalogue.rows(facts)), facts.denied, reader.calls, time.monotonic() - began, facts.places)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `preflight`."""
    parser.add_argument("--kubeconfig", type=Path, help="the file (default: KUBECONFIG_FILE, then ~/.kube/config)")
    parser.add_argument("--context", default="", help="the context's exact name (default: CONTEXT); never assumed")
    parser.add_argument("--format", choices=("text", "json"), default="text")


def run(asked: argparse.Namespace, chosen: Settings, versions: VersionSet) -> tuple[str, int]:
    """What is printed, and the exit code: 1 when something cannot be judged.

    Raises:
        BadInput: no context, no such file.
    """
    given = {"kubeconfig": asked.kubeconfig, "context": asked.context, "cluster": "existing"}
    settings = chosen.model_copy(update={name: value for name, value in given.items() if value})
    found = examine(choose_cluster(settings, versions), settings)
    code = int(any(row.verdict == "not judged" and not row.subject.startswith("capability ") for row in found.rows))
    if asked.format == "json":
        return output.as_json(found.rows, context=settings.context, calls=found.calls, seconds=found.seconds), code
    return found.text, code


def add_rbac_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `rbac`."""
    parser.add_argument(
        "--mesh", nargs="+", default=[DEFAULT["mesh"]], metavar="NAMESPACE", help="where istiod, ztunnel and CNI are"
    )
    parser.add_argument("--control", default=DEFAULT["control"], metavar="NAMESPACE", help="where Envoy Gateway is")
    parser.add_argument("--store", default=DEFAULT["store"], metavar="NAMESPACE", help="where Redis is")
    parser.add_argument(
        "--check", type=Path, metavar="RUN", help="compare with the requests that a run made: its folder"
    )


def rbac(asked: argparse.Namespace, chosen: Settings) -> tuple[str, int]:
    """The namespaces of a run with these settings, which its Roles need, the Roles and the ClusterRole; or how a run's
    requests compare with them.

    Raises:
        BadInput: the folder has no record of requests.
    """
    ours = suite_namespaces(chosen if asked.check else chosen.model_copy(update={"cluster": "existing"}))
    namespaces = scopes(ours, asked.mesh, asked.control, asked.store)
    if asked.check:
        return _checked(asked.check, namespaces)
    if chosen.install:
        text = "# INSTALL=1: Helm makes roles, webhooks and definitions, which needs the ClusterRole cluster-admin\n"
    else:
        text = ""
    those = required_rights.of_parts(*required_rights.parts_of(installs=False, disruptive=chosen.disruptive))
    made = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": n, "labels": dict(MANAGED_BY)}} for n in ours
    ]
    return text + str(
        yaml.safe_dump_all([*made, *required_rights.roles(those, namespaces)], sort_keys=False)
    ).rstrip(), 0


def suite_namespaces(settings: Settings) -> list[str]:
    """The namespaces that a run uses, its own first."""
    return sorted(Placement(settings.suite_namespace).namespaces)


def scopes(ours: Sequence[str], mesh: Sequence[str], control: str, store: str) -> dict[Scope, Sequence[str]]:
    """The namespaces of each scope; cluster has none."""
    return {"cluster": [""], "ours": ours, "mesh": mesh, "control": [control], "store": [store]}


def _checked(folder: Path, namespaces: dict[Scope, Sequence[str]]) -> tuple[str, int]:
    """Requests of a run that no right allows. Those of an installation are Helm's and ours, and need cluster-admin."""
    file = folder / "setup" / "api-requests.json"
    try:
        made = [ApiRequest(*(one[key] for key in ApiRequest._fields)) for one in json.loads(file.read_text())]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{file}: {error}", remedy="name the folder of a finished run") from None
    those = required_rights.of_parts("run", "features", "preflight", "evidence", "disruptive", "install")
    denied = required_rights.not_allowed(those, made, namespaces)
    optional = [one for one in denied if required_rights.is_done_without(one, namespaces)]
    lines = [f"not declared, done without: {' '.join(filter(None, one))}" for one in optional]
    lines += [f"not allowed: {' '.join(filter(None, one))}" for one in denied if one not in optional]
    missing = len(denied) - len(optional)
    return "\n".join([*lines, f"{len(made)} kinds of requests, {missing} not allowed by the declared rights"]), int(
        missing > 0
    )
