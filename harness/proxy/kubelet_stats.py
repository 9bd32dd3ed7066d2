"""Parses the kubelet's /stats/summary: CPU and memory use of containers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from harness.objects.unstructured import mapping, maybe_number, objects, text


@dataclass(frozen=True, slots=True)
class Usage:
    """One container's use: processor seconds since it started, and the working set in bytes, each as of `at`."""

    cpu_seconds: float
    memory_bytes: int
    at: datetime


def parse(page: str) -> Mapping[tuple[str, str, str], Usage]:
    """By (namespace, pod, container), of those that have both figures.

    Raises:
        ValueError: the page is no such JSON.
    """
    found = {}
    for pod in objects(json.loads(page), "pods"):
        for container in objects(pod, "containers"):
            used = maybe_number(container, "cpu", "usageCoreNanoSeconds")
            memory = maybe_number(container, "memory", "workingSetBytes")
            if used is not None and memory is not None:
                at = datetime.fromisoformat(text(container, "cpu", "time"))
                ref = mapping(pod, "podRef")
                name = (text(ref, "namespace"), text(ref, "name"), text(container, "name"))
                found[name] = Usage(used / 1e9, memory, at)
    return found
