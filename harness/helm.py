"""Runs the Helm program (versions 3 and 4), without `--wait` (docs/waiting.md says why)."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from harness import progress, timeouts
from harness.cluster.protocol import Release
from harness.command import Output, run
from harness.errors import BadInput, CommandFailed, HarnessError
from harness.objects.crds_and_admission_policies import DEFINITIONS
from harness.objects.manifests import Document, parse_documents
from harness.objects.unstructured import mapping
from harness.registry.private import PrivateRegistry

SUPPORTED = (3, 4)


class Helm:
    """Helm against one context. `home` keeps its caches and settings away from the user's.

    Charts of a private registry are pulled as it asks for. Credentials are those of `docker login`: Helm reads Docker's
    configuration where its own has none.
    """

    def __init__(self, kubeconfig: Path, context: str, home: Path, registry: PrivateRegistry | None = None) -> None:
        self._registry, self._archives = registry, home / "charts"
        self._env = {
            "KUBECONFIG": str(kubeconfig),
            "HELM_CACHE_HOME": str(home / "cache"),
            "HELM_CONFIG_HOME": str(home / "config"),
            "HELM_DATA_HOME": str(home / "data"),
        }
        self._context = ["--kube-context", context] if context else []

    def upgrade_install(self, release: Release) -> None:
        """Installs or upgrades a release; its CRDs are ours to apply, and its readiness ours to await.

        One that is deployed already, of the same chart and with the same values, is left as it is. An upgrade takes
        back what controllers wrote into chart-owned fields (istiod writes its webhook's failurePolicy): helm 4
        applies server-side and would stop at that conflict.

        Raises:
            CommandFailed: helm failed; its own message is included.
        """
        if self._deployed(release):
            progress.note(f"helm release {release.name} is deployed already, with these values: left as it is")
            return
        conflicts = ["--force-conflicts"] if read_helm_version()[0] >= 4 else []
        self._run(
            ["upgrade", "--install", release.name, *self._chart(release), "--namespace", release.namespace],
            ["--create-namespace", "--skip-crds", "--values", "-", "--timeout", f"{timeouts.HELM:.0f}s", *conflicts],
            self._context,
            values=release,
        )

    def _deployed(self, release: Release) -> bool:
        where = ["--namespace", release.namespace, "--output", "json"]
        found = json.loads(self._run(["list", "--filter", f"^{release.name}$", *where], self._context).stdout or "[]")
        chart = release.chart.rsplit("/", 1)[-1].removesuffix(".tgz").removesuffix(f"-{release.version}")
        if not any(f["chart"] == f"{chart}-{release.version}" and f["status"] == "deployed" for f in found):
            return False
        values = json.loads(self._run(["get", "values", release.name, *where], self._context).stdout or "null")
        return bool(values == dict(release.values))

    def uninstall(self, release: Release) -> None:
        """Removes a release; one that does not exist is fine."""
        self._run(["uninstall", release.name, "--namespace", release.namespace, "--ignore-not-found"], self._context)

    def render_documents(self, release: Release) -> list[Document]:
        """What a release would apply, CRDs included, as documents."""
        output = self._run(
            ["template", release.name, *self._chart(release), "--namespace", release.namespace],
            ["--include-crds", "--values", "-"],
            values=release,
        )
        return parse_documents(output.stdout)

    def definitions(self, release: Release) -> list[Document]:
        """The definitions and admission policies that a chart brings, wherever it keeps them.

        In a crds folder, or in a sub-chart switched by `crds.enabled`: `chart_definitions` of version_differences.yaml.
        """
        return [document for document in self._whole(release) if document["kind"] in DEFINITIONS]

    def list_left_behind(self, release: Release) -> list[Document]:
        """What uninstalling a release leaves: its definitions, and what its hooks make."""
        return [one for one in self._whole(release) if one["kind"] in DEFINITIONS or _hook(one)]

    def _whole(self, release: Release) -> list[Document]:
        return self.render_documents(replace(release, values={**release.values, "crds": {"enabled": True}}))

    def list_releases(self) -> list[str]:
        """Names of all releases in all namespaces, as "namespace/name"."""
        found = json.loads(self._run(["list", "--all-namespaces", "--output", "json"], self._context).stdout or "[]")
        return [f"{item['namespace']}/{item['name']}" for item in found]

    def pull(self, reference: str, version: str, into: Path) -> None:
        """Fetches a chart's archive into a folder."""
        self._run(["pull", *self._remote(reference, version), "--destination", str(into)])

    def pull_ahead(self, reference: str, version: str) -> None:
        """Pulls a chart ahead of its use: from now on its archive is taken instead, by every Helm of this home."""
        folder = self._fetched(reference, version)
        shutil.rmtree(folder, ignore_errors=True)  # of another run: the registry may have another now
        folder.mkdir(parents=True)
        self.pull(reference, version, folder)

    def pull_all_ahead(self, charts: Iterable[tuple[str, str]]) -> None:
        """Fetches charts by reference and version. Never raises: whoever needs one pulls it again, and says why not."""
        try:
            for reference, version in charts:
                self.pull_ahead(reference, version)
        except (HarnessError, OSError) as failed:
            progress.note(f"charts could not be pulled ahead: {str(failed).splitlines()[0]}")

    def _fetched(self, reference: str, version: str) -> Path:
        return self._archives / hashlib.sha256(f"{reference} {version}".encode()).hexdigest()[:12]

    def push(self, archive: Path, to: str) -> None:
        """Puts a chart's archive into a registry: `to` is oci:// and the repository above the chart's own name."""
        self._run(["push", str(archive), to, *self._transport(f"{to}/")])

    def _chart(self, release: Release) -> list[str]:
        if not release.chart.startswith("oci://"):
            return [release.chart]
        fetched = sorted(self._fetched(release.chart, release.version).glob("*.tgz"))
        return [str(fetched[0])] if fetched else self._remote(release.chart, release.version)

    def _remote(self, reference: str, version: str) -> list[str]:
        return [reference, "--version", version, *self._transport(reference)]

    def _transport(self, reference: str) -> list[str]:
        if not self._registry or not reference.startswith("oci://") or not self._registry.contains(reference):
            return []
        ca = ["--ca-file", str(self._registry.ca)] if self._registry.ca else []
        return [*ca, *(["--plain-http"] if self._registry.plain_http else [])]

    def _run(self, *parts: list[str], values: Release | None = None) -> Output:
        argv = ["helm", *(word for part in parts for word in part)]
        stdin = json.dumps(dict(values.values)) if values else None  # JSON is YAML
        try:
            return run(argv, within=timeouts.HELM + 20, env=self._env, stdin=stdin)
        except CommandFailed as failed:
            if self._registry and self._registry.host in failed.output:
                failed.remedy = (
                    f"`make mirror REGISTRY={self._registry}` puts in what a version set needs; `docker login`"
                )
            elif "no such host" in failed.output or "FetchReference" in failed.output:
                failed.remedy = (
                    "no way to the chart's registry: use a bundle (BUNDLE=folder, `make bundle`), or REGISTRY="
                )
            raise


def read_helm_version() -> tuple[int, str]:
    """Helm's major version and its whole version text.

    Raises:
        BadInput: helm is missing, or of a major version that is not supported.
    """
    output = run(["helm", "version", "--template", "{{.Version}}"]).stdout.strip()
    found = re.match(r"v?(\d+)\.", output)
    if not found or int(found[1]) not in SUPPORTED:
        raise BadInput(f"helm {output or '(unknown)'} is not supported", remedy="install Helm 3 or 4")
    return int(found[1]), output


def _hook(document: Document) -> bool:
    return "helm.sh/hook" in mapping(document, "metadata", "annotations")
