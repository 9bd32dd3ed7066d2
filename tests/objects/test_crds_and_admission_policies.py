"""Definitions of the Gateway API say which one it is."""

import pytest

from harness.objects.crds_and_admission_policies import gateway_api_version

VERSION, CHANNEL = "gateway.networking.k8s.io/bundle-version", "gateway.networking.k8s.io/channel"


@pytest.mark.parametrize(
    ("annotations", "message"),
    [
        ({VERSION: "v1.4.1", CHANNEL: "experimental", "other": "x"}, "v1.4.1 experimental"),
        ({VERSION: "v1.4.1"}, "v1.4.1"),
        ({"other": "x"}, ""),
        (None, ""),
    ],
)
def test_version_and_channel_are_reported(annotations: dict[str, str] | None, message: str) -> None:
    """Version first; another's definition tells nothing."""
    assert gateway_api_version({"metadata": {"annotations": annotations}}) == message
