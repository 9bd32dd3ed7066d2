"""Parses Envoy's admin page /clusters: current endpoints. Pure.

Recorded in tests/recordings/waypoint-clusters.txt.
"""

from __future__ import annotations

import re

_ENDPOINT = re.compile(r"^(?P<cluster>.+?)::(?P<address>\[?[0-9a-fA-F.:]+\]?:\d+)::health_flags::(?P<health>.*)$")


def parse_endpoints(text: str, cluster: str) -> dict[str, str]:
    """The endpoints of a cluster, "ip:port" to its health flags ("healthy"); {} when it has none or is unknown."""
    found = (_ENDPOINT.match(line) for line in text.split("\n"))
    return {m["address"]: m["health"] for m in found if m and m["cluster"] == cluster}
