"""Which modules a kernel has, by whatever of /proc and /lib/modules is there."""

import gzip
from pathlib import Path

import pytest

from harness import kernel_modules

ALL = "CONFIG_NETFILTER_XT_CONNMARK=m\nCONFIG_NETFILTER_XT_MARK=y\nCONFIG_NF_TABLES=m\n"


def tree(root: Path, **files: str) -> Path:
    """A root folder with these files; config is packed as the kernel packs it."""
    places = {
        "loaded": "proc/modules",
        "builtin": "lib/modules/6.1/modules.builtin",
        "dep": "lib/modules/6.1/modules.dep",
    }
    for name, text in files.items():
        path = root / places.get(name, "proc/config.gz")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(text.encode()) if name == "config" else text.encode())
    return root


@pytest.mark.parametrize(
    ("files", "lacks"),
    [
        ({}, None),
        ({"config": ALL}, []),
        ({"config": ALL.replace("XT_CONNMARK=m", "XT_CONNMARK is not set")}, ["xt_connmark"]),
        ({"config": ALL.replace("CONFIG_NF_TABLES=m", "CONFIG_IP_NF_IPTABLES=y")}, []),
        ({"config": ALL.replace("CONFIG_NF_TABLES=m", "")}, ["nf_tables or ip_tables"]),
        (
            {
                "builtin": "kernel/net/netfilter/xt_mark.ko\n",
                "dep": "kernel/net/netfilter/xt_connmark.ko.zst: kernel/net/x_tables.ko.zst\n",
                "loaded": "nf_tables 356352 0 - Live 0x0\n",
            },
            [],
        ),
        ({"dep": "kernel/net/netfilter/xt_mark.ko: \nkernel/net/ip_tables.ko.xz:\n"}, ["xt_connmark"]),
    ],
)
def test_modules_that_are_lacking(tmp_path: Path, files: dict[str, str], lacks: list[str] | None) -> None:
    """Built in, loaded or to be loaded all count; where nothing tells, nothing is reported."""
    assert kernel_modules.missing_modules(tree(tmp_path, **files), "6.1") == lacks
