"""Reads the options of pytest-kind, with the same meaning.

The one module that knows pytest-kind. That package is under GPL-3.0-or-later, and none of it is imported, copied or
linked: pytest loads it beside us, and its options reach us as values. Where it is not installed, or is blocked with
`-p no:pytest-kind`, every option is at its default and nothing else changes. Our `kind_cluster` fixture takes the place
of its own (see `harness.plugin`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

PLUGIN = "pytest-kind"  # its entry point's name; `-p no:kind` blocks nothing
_DEFAULT_NAME = "pytest-kind"  # what --cluster-name is when it is not given


@dataclass(frozen=True, slots=True)
class KindOptions:
    """What was asked for by pytest-kind's options; None (False for `keep`) is "not asked"."""

    cluster_name: str | None = None
    keep: bool = False
    kubeconfig: Path | None = None
    image: str | None = None
    kind: Path | None = None
    kubectl: Path | None = None


def read_kind_options(config: pytest.Config) -> KindOptions:
    """The options of this run."""
    if not config.pluginmanager.has_plugin(PLUGIN):
        return KindOptions()

    def text(name: str) -> str | None:
        value = config.getoption(name, default=None)
        return str(value) if value else None

    def path(name: str) -> Path | None:
        value = text(name)
        return Path(value).expanduser() if value else None

    name = text("cluster_name")
    return KindOptions(
        cluster_name=name if name != _DEFAULT_NAME else None,
        keep=bool(config.getoption("keep_cluster", default=False)),
        kubeconfig=path("kubeconfig"),
        image=text("kind_image"),
        kind=path("kind_bin"),
        kubectl=path("kind_kubectl_bin"),
    )
