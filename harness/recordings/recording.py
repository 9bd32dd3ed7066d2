"""A recording in progress, and its files with their provenance."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from harness.errors import SetupFailed
from harness.objects.kind_namespace_name import ref_of
from harness.objects.unstructured import Json, text
from harness.recordings import kept_lines
from harness.report.redact import redact
from harness.version_ranges import numbers
from harness.version_sets import UNKNOWN


class Recording:
    """What was read so far of one cluster."""

    def __init__(self) -> None:
        self._access: dict[str, str] = {}
        self._ztunnel: dict[str, str] = {}
        self._statuses: dict[str, dict[str, Any]] = {}
        self._counters: dict[str, str] = {}
        self.envoy = UNKNOWN  # its version, by its own word

    def add_access_log(self, log: str) -> None:
        """The log of a Gateway's proxy."""
        kept_lines.one_of_each(kept_lines.access_lines(log), self._access)

    def add_ztunnel_log(self, log: str) -> None:
        """The log of a node's ztunnel."""
        kept_lines.one_of_each(kept_lines.ztunnel_lines(log), self._ztunnel)

    def add_object(self, obj: Json) -> None:
        """An object as it is now; without conditions it is left out."""
        if kept := kept_lines.status(obj):
            self._statuses[str(ref_of(kept))] = kept

    def add_stats(self, gateway: str, page: str) -> None:
        """Envoy's page /stats of a Gateway."""
        self._counters[f"{gateway}-stats.txt"] = kept_lines.counters(page, kept_lines.ENVOY_COUNTERS)

    def add_server_info(self, page: str) -> None:
        """Envoy's page /server_info, whose version is "<commit>/1.37.5/Clean/RELEASE/BoringSSL"."""
        self.envoy = text(json.loads(page), "version").partition("/")[2].partition("/")[0] or UNKNOWN

    def add_metrics(self, component: str, page: str) -> None:
        """The page /metrics of a component of kept_lines.METRICS."""
        file = f"{component.lower().replace(' ', '-')}-metrics.prom"
        self._counters[file] = kept_lines.counters(page, kept_lines.METRICS[component])

    def write(self, into: Path, *, day: str, cluster: str, versions: Mapping[str, str], images: object) -> Path:
        """Writes the files into a folder that is named after the versions that run; returns it. `day` and `cluster`, a
        kind of cluster, are its provenance.

        Raises:
            SetupFailed: the cluster wrote no access line or no ztunnel line, or does not say what runs there.
        """
        if not self._access or not self._ztunnel:
            missing = "no access line of a proxy" if not self._access else "no access line of ztunnel"
            raise SetupFailed(f"nothing was recorded: {missing} was read", remedy="did the tests send requests?")
        try:
            istio, gateway = (".".join(map(str, numbers(versions[one])[:2])) for one in ("istio", "envoy-gateway"))
        except (KeyError, ValueError):
            raise SetupFailed(
                f"nothing was recorded: the versions that run are not known ({versions})",
                remedy="a recording needs its provenance; may the Deployments of istiod and Envoy Gateway be read?",
            ) from None
        folder = into / f"istio-{istio}-eg-{gateway}"
        folder.mkdir(parents=True, exist_ok=True)
        for old in (one for one in folder.iterdir() if one.is_file()):
            old.unlink()
        run = {"envoy": self.envoy} if self.envoy != UNKNOWN else {}
        provenance = {"recorded": day, "cluster": cluster, "versions": {**versions, **run}, "images": images}
        texts = {
            "access.jsonl": "".join(f"{line}\n" for line in self._access.values()),
            "ztunnel.log": "".join(f"{line}\n" for line in self._ztunnel.values()),
            "statuses.yaml": yaml.safe_dump_all(self._statuses.values(), sort_keys=False),
            "provenance.yaml": yaml.safe_dump(provenance, sort_keys=False),
            **{name: page for name, page in self._counters.items() if page},
        }
        for name, content in texts.items():
            (folder / name).write_text(redact(content))
        return folder
