"""Until when versions are supported. Pure data, with its source."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

SOURCE = "https://gateway.envoyproxy.io/news/releases/matrix/ (End of Life), as in Envoy Gateway 1.9.0's sources"

ENVOY_GATEWAY_ENDS: Mapping[str, date] = {
    "1.5": date(2026, 2, 13),
    "1.6": date(2026, 5, 13),
    "1.7": date(2026, 8, 5),
    "1.8": date(2026, 11, 8),
    "1.9": date(2027, 2, 14),
}
