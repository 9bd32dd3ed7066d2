"""What a kubelet says of its containers."""

import json

import pytest

from harness.proxy.kubelet_stats import parse
from tests.recordings import text


def test_recorded_page() -> None:
    """Each container has its processor seconds and working set, as of the moment of its own measurement."""
    found = parse(text("kubelet/summary.json"))
    envoy = found["default", "waypoint-6f9dd744b5-qhqwj", "envoy"]

    assert envoy.cpu_seconds == pytest.approx(0.98760289)
    assert envoy.memory_bytes == 18_702_336
    assert envoy.at.isoformat() == "2026-11-27T23:59:34+00:00"
    assert {name for _, pod, name in found if pod.startswith("ztunnel-")} == {"istio-proxy"}


def test_container_without_figures_is_left_out() -> None:
    """One that was just started has none; what is no such page is an error."""
    new = {"podRef": {"namespace": "a", "name": "b"}, "containers": [{"name": "c", "cpu": {}}]}

    assert parse(json.dumps({"pods": [new]})) == {}
    assert parse("{}") == {}
    with pytest.raises(ValueError, match="Expecting value"):
        parse("no page")
