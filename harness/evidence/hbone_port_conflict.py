"""Finds in logs which process holds port 15008 of a waypoint pod. Pure.

ztunnel needs it to take HBONE for the pod; a Gateway with a TCP listener on 15008 makes Envoy want it as well
(docs/port-15008.md). When Envoy has it every call is reset while every status stays True. Two witnesses tell of it:
ztunnel's log (`failed to bind to address [::]:15008`, every 5 s, with the pod's uid), and Envoy's access log, where
what was meant for ztunnel ends in `EmptyCluster`. Recorded in tests/recordings/eg-1.9.0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from harness.logs.envoy_access import AccessLine
from harness.logs.ztunnel import BindFailure

REMEDY = (
    "delete the waypoint pod (its Deployment makes a new one, in which ztunnel is first); then leave the TCP listener "
    "on 15008 out of its Gateway: WAYPOINT=binding, docs/port-15008.md"
)


def describe_port_conflict(
    failures: Iterable[BindFailure],
    lines: Iterable[AccessLine],
    by_uid: Mapping[str, str],
    by_ip: Mapping[str, str] | None = None,
) -> str:
    """Says that Envoy has port 15008 of a pod, which pod, and who says so; "" when no log does.

    by_uid and by_ip name pods ("namespace/name"); one that is gone is named by its uid or IP. A bind failure of a pod
    that is gone is over: it says nothing.
    """
    wanted = [f for f in failures if f.address.endswith(":15008") and (not f.uid or f.uid in by_uid)]
    taken = [a for a in lines if a.upstream_cluster == "EmptyCluster" and a.downstream_local_address.endswith(":15008")]
    if not wanted and not taken:
        return ""
    pods = [by_uid[f.uid] for f in wanted if f.uid] + [(by_ip or {}).get(a.proxy_ip, a.proxy_ip) for a in taken]
    findings = []
    if wanted:
        last = wanted[-1]
        findings.append(
            f"ztunnel failed to bind {last.address} there {len(wanted)} times, last {last.time:%H:%M:%S}: {last.text}"
        )
    if taken:
        findings.append(f"Envoy itself took {len(taken)} connections on it and dropped them (EmptyCluster)")
    who = " and ".join(dict.fromkeys(pods)) or "an unnamed pod"
    return f"port 15008 of {who} is not ztunnel's: {'; '.join(findings)}"
