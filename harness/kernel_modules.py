"""Finds which netfilter modules this machine's kernel has."""

from __future__ import annotations

import gzip
import platform
from collections.abc import Sequence
from pathlib import Path

# What istio-cni's rules in each pod's network need, and the kernel's option for each. One of the last two is enough.
CONNECTION_MARKS = {"xt_connmark": "CONFIG_NETFILTER_XT_CONNMARK", "xt_mark": "CONFIG_NETFILTER_XT_MARK"}
TABLES = {"nf_tables": "CONFIG_NF_TABLES", "ip_tables": "CONFIG_IP_NF_IPTABLES"}


def missing_modules(root: Path = Path("/"), release: str = "") -> list[str] | None:
    """Modules that istio-cni needs and this kernel has neither built in nor as a file; None if neither is readable."""
    module_lists = _listed(root, release or platform.release()), _configured(root)
    if module_lists == (None, None):
        return None
    modules, options = (known or set() for known in module_lists)

    def has(pair: tuple[str, str]) -> bool:
        return pair[0] in modules or pair[1] in options

    missing = [pair[0] for pair in CONNECTION_MARKS.items() if not has(pair)]
    return missing if any(map(has, TABLES.items())) else [*missing, " or ".join(TABLES)]


def _listed(root: Path, release: str) -> set[str] | None:
    """Module names that are loaded, built in or to be loaded; None when no list of the kernel's is there."""
    folder = root / "lib/modules" / release
    lists = [_lines(folder / "modules.builtin"), _lines(folder / "modules.dep")]
    if lists == [None, None]:
        return None
    paths = [line.partition(":")[0] for lines in lists for line in lines or ()]
    loaded = [line.partition(" ")[0] for line in _lines(root / "proc/modules") or ()]
    return {Path(path).name.partition(".ko")[0].replace("-", "_") for path in paths} | set(loaded)


def _configured(root: Path) -> set[str] | None:
    """Options that the kernel was built with, as code or module; None when it does not tell."""
    try:
        text = gzip.decompress((root / "proc/config.gz").read_bytes()).decode(errors="replace")
    except (OSError, EOFError):
        return None
    return {line.partition("=")[0] for line in text.splitlines() if line.endswith(("=y", "=m"))}


def _lines(file: Path) -> Sequence[str] | None:
    try:
        return file.read_text(errors="replace").splitlines()
    except OSError:
        return None
