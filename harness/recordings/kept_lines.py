"""Selects the lines, conditions and counters that a recording keeps: one of each kind. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from harness.logs import envoy_access, ztunnel
from harness.objects.unstructured import Json, mapping, text

MOST = 60  # lines of one kind of log
# What the readers of harness/proxy look for, in Envoy's names and in Prometheus'.
ENVOY_COUNTERS = re.compile(
    r"^(cluster_manager\.(cds\.update_|warming)|listener_manager\.(lds\.update_|total_listeners)|http\..*\.rds\..*update_"
    r"|cluster\.(httproute|tcproute)/.*\.(membership_total|upstream_rq_|upstream_cx_(total|active)|circuit_breakers\.default))"
)
METRICS = {
    "limiter": re.compile(r"^(# TYPE )?ratelimit_service_"),
    "istiod": re.compile(r"^(# TYPE )?(pilot_xds_pushes|pilot_total_xds_rejects|istio_build)"),
    "Envoy Gateway": re.compile(r"^(# TYPE )?(xds_snapshot_|xds_nack|watchable_\w*(total|depth))"),
}
_VARIES = re.compile(r"\d+|[0-9a-f]{8,}")
_BRACES = re.compile(r"\{.*\}")


def access_lines(log: str) -> Iterator[tuple[str, str]]:
    """Lines of Envoy's access log with their kind: status, flags, details. What looks like one and cannot be read is a
    kind of its own: that is what a recording is made for."""
    for raw in log.split("\n"):
        if raw.lstrip().startswith("{"):
            line = envoy_access.parse_access_line(raw)
            if line is None:
                yield "unreadable", raw
            else:
                details = _BRACES.sub("{}", line.details or "")
                answered = "answered" if line.upstream_host else "own"
                yield f"{line.status} {line.flags} {_VARIES.sub('#', details)} {answered}", raw


def ztunnel_lines(log: str) -> Iterator[tuple[str, str]]:
    """Lines of ztunnel's access log with their kind: message, direction, HBONE, error; and its bind failures."""
    for raw in log.split("\n"):
        line = ztunnel.parse_ztunnel_line(raw)
        if line is not None:
            named = "service" if line.dst.service else "pod"
            error = _VARIES.sub("#", line.error or "")
            yield f"{line.message} {line.direction} {line.is_hbone} {named} {error}", raw
        elif ztunnel.parse_ztunnel_log(raw).unreadable:
            yield "unreadable", raw
        elif failures := ztunnel.parse_bind_failures(raw):
            yield f"bind {failures[0].address}", raw


def one_of_each(found: Iterable[tuple[str, str]], seen: dict[str, str]) -> None:
    """Adds to `seen` the first line of each kind that it lacks, up to MOST."""
    for kind, line in found:
        if kind not in seen and len(seen) < MOST:
            seen[kind] = line


def status(obj: Json) -> dict[str, Any] | None:
    """The object's name and status, as a recording has it; None for one without conditions anywhere."""
    if "'conditions'" not in str(obj.get("status")):
        return None
    meta = mapping(obj, "metadata")
    kept = {name: meta[name] for name in ("name", "namespace", "generation") if name in meta}
    labels = {k: v for k, v in mapping(meta, "labels").items() if k.startswith(("istio.io/", "gateway."))}
    return {
        "apiVersion": text(obj, "apiVersion"),
        "kind": text(obj, "kind"),
        "metadata": kept | ({"labels": labels} if labels else {}),
        "status": obj["status"],
    }


def counters(page: str, wanted: re.Pattern[str]) -> str:
    """The lines of a page of counters that begin so, as they are."""
    return "".join(f"{line}\n" for line in page.split("\n") if wanted.match(line))
