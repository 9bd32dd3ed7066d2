"""Reads from the cluster what preflight needs, without changes: lists, ConfigMaps, access reviews."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from harness import version_sets
from harness.audit.read import read_controller_config, read_mesh_configs
from harness.audit.state import AuditState, Unread, namespace_of
from harness.audit.waypoint_bindings import controllers
from harness.cluster.protocol import Capability
from harness.errors import HarnessError
from harness.kube.read_only_client import ReadOnlyClient
from harness.objects.unstructured import Json
from harness.preflight.facts import Facts
from harness.preflight.required_rights import READ, Part, Right, Scope, of_parts, parts_of, reviews

DEFAULT = {"mesh": "istio-system", "control": "envoy-gateway-system", "store": "redis-system"}


def read_facts(
    reader: ReadOnlyClient,
    namespaces: Sequence[str],
    *,
    installs: bool,
    disruptive: bool,
    lacking: Mapping[Capability, str],
) -> Facts:
    """Reads a cluster for a run with these settings in these namespaces, the suites' own first.

    Raises:
        ApiUnavailable: the server did not answer its version: nothing is known.
    """
    kubernetes = reader.read_version()
    found = reader.read(READ)
    objects, unread = found.objects, found.unread
    config, why = read_controller_config(reader, AuditState(objects, unread))
    state = AuditState(
        objects,
        unread,
        frozenset(found.not_served),
        config=config,
        config_unread=why,
        kubernetes=kubernetes,
        now=datetime.now(UTC),
        limits=version_sets.load().limits,
    )
    facts = Facts(state, namespaces[0], installs, disruptive, clock=reader.clock, lacking=lacking)
    mesh, mesh_unread = _mesh(reader, facts)
    denied, unasked = _denied(reader, parts_of(installs=installs, disruptive=disruptive), scopes(facts, namespaces))
    return Facts(state, namespaces[0], installs, disruptive, mesh, mesh_unread, reader.clock, denied, unasked, lacking)


def read_nodes(reader: ReadOnlyClient, namespace: str) -> Facts:
    """Reads nodes and clocks alone."""
    kubernetes = reader.read_version()
    found = reader.read({kind: READ[kind] for kind in ("Node", "Lease")})
    state = AuditState(found.objects, found.unread, kubernetes=kubernetes, now=datetime.now(UTC))
    return Facts(state, namespace, clock=reader.clock)


def scopes(facts: Facts, ours: Sequence[str]) -> dict[Scope, Sequence[str]]:
    """The namespaces of each scope of rights: where the components are, else where the harness installs them."""
    try:
        mesh = {namespace_of(one) for one in (*facts.istiods, *facts.ztunnels, *facts.cnis)}
        control = {namespace_of(one) for one in controllers(facts.state)}
    except Unread:
        mesh, control = set(), set()
    return {
        "ours": tuple(ours),
        "mesh": sorted(mesh) or [DEFAULT["mesh"]],
        "control": sorted(control) or [DEFAULT["control"]],
        "store": [DEFAULT["store"]],
        "cluster": [""],
    }


def _mesh(reader: ReadOnlyClient, facts: Facts) -> tuple[dict[str, Json], dict[str, str]]:
    """Istio's mesh configuration of each revision."""
    try:
        return read_mesh_configs(reader, facts.istiods)
    except Unread:
        return {}, {}


def _denied(
    reader: ReadOnlyClient, parts: Sequence[Part], namespaces: Mapping[Scope, Sequence[str]]
) -> tuple[tuple[Right, ...], str]:
    """The rights that these credentials lack, each with what is denied of it alone; or why that is not known."""
    lacking: dict[tuple[Right, str], list[str]] = {}
    try:
        for right, request in reviews(of_parts(*parts), namespaces):
            if not reader.is_allowed(request):
                lacking.setdefault((right, request.resource), []).append(request.verb)
    except HarnessError as error:
        return (), f"the authorizer could not be asked: {error.args[0]}"
    alike: dict[tuple[Right, tuple[str, ...]], list[str]] = {}
    for (one, resource), verbs in lacking.items():
        alike.setdefault((one, tuple(dict.fromkeys(verbs))), []).append(resource)
    denied = [replace(one, resources=tuple(those), verbs=verbs) for (one, verbs), those in alike.items()]
    return tuple(denied), ""
