"""Limits what is judged on a shared cluster to the run's own pods, connections and log lines. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from harness.logs.ztunnel import ZtunnelLine
from harness.objects.kind_namespace_name import Ref
from harness.objects.unstructured import Json, text
from harness.objects.workloads import OWNING_GATEWAY


@dataclass(frozen=True, slots=True)
class OracleScope:
    """`namespaces` that the run applied to or installed, and the `gateways` that it applied, as (namespace, name).

    `everything`: the cluster is the run's own, and all in it is judged.
    """

    namespaces: frozenset[str] = frozenset()
    gateways: frozenset[tuple[str, str]] = frozenset()
    everything: bool = False

    def has_pod(self, pod: Json) -> bool:
        """Whether it is in one of these namespaces; a Gateway's proxy, whether that Gateway is one of these too."""
        namespace, gateway = text(pod, "metadata", "namespace"), text(pod, "metadata", "labels", OWNING_GATEWAY)
        ours = namespace in self.namespaces and (not gateway or (namespace, gateway) in self.gateways)
        return self.everything or ours

    def has_connection(self, line: ZtunnelLine) -> bool:
        """Whether one of ours opened it; where it is unknown who did, whether it is to one of ours."""
        return self.everything or (line.src.namespace or line.dst.namespace) in self.namespaces

    def is_named_in(self, line: str, *, writer: bool, others: Collection[str] = ()) -> bool:
        """Whether a component's log line or counter is about ours: it names one of these namespaces; or its `writer` is
        ours, and it names no namespace of `others`."""
        return (
            self.everything
            or is_namespace_named(line, self.namespaces)
            or (writer and not is_namespace_named(line, others))
        )


EVERYTHING = OracleScope(everything=True)


def applied_and_installed(applied: Iterable[Ref], installed: Collection[str]) -> OracleScope:
    """What is ours by the objects that the run has applied and the namespaces that it installed into."""
    refs = list(applied)
    named = {one.name if one.kind == "Namespace" else one.namespace for one in refs}
    gateways = frozenset((one.namespace, one.name) for one in refs if one.kind == "Gateway")
    return OracleScope(frozenset({*named, *installed} - {""}), gateways)


def is_namespace_named(line: str, namespaces: Collection[str]) -> bool:
    """Whether a line names one of these namespaces: "ns/name", "name.ns.svc", "httproute/ns/name", or quoted alone."""
    if not namespaces:
        return False
    one = "|".join(map(re.escape, sorted(namespaces)))
    return bool(re.search(rf"(?<![\w.-])(?:{one})/|[/.](?:{one})(?![\w-])|[\"'=](?:{one})(?![\w./-])", line))
