"""Reads tools.yaml: the release, URL and SHA-256 of each program."""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from harness import strict_yaml
from harness.pydantic_message import validate_file
from harness.version_sets import Version

FILE = Path(__file__).resolve().parents[2] / "tools.yaml"
ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Numbers = tuple[int, ...]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Tool(_Strict):
    """One program. `member` is its path inside a .tar.gz; empty where the URL gives the program itself."""

    version: Version
    url: str
    member: str = ""
    source: str
    sha256: Mapping[str, Sha256]

    def url_for(self, of: str) -> str:
        """The release's URL for a platform such as "linux-amd64"."""
        return self._filled(self.url, of)

    def member_for(self, of: str) -> str:
        """The program's path in the archive; empty where there is none."""
        return self._filled(self.member, of)

    def _filled(self, text: str, of: str) -> str:
        system, _, architecture = of.partition("-")
        return text.format(version=self.version, os=system, arch=architecture)


class Published(_Strict):
    """All of tools.yaml."""

    tools: Mapping[str, Tool]
    node_images: Mapping[str, Version]

    def kind_for(self, image: str) -> str:
        """The oldest kind release that a node image of this name works with; empty when its tag does not say."""
        found = re.search(r":v(\d+\.\d+)(\.\d+)", image)
        if not found:
            return ""
        minor, patch = found[1], found[1] + found[2]
        newest = max(self.node_images, key=version_numbers)
        if (
            version_numbers(minor) > version_numbers(newest)[:2]
        ):  # what comes after the newest that is known needs no less than that
            minor = newest
        return self.node_images.get(patch) or self.node_images.get(minor, "")


def load_published(file: Path = FILE) -> Published:
    """Reads and checks tools.yaml.

    Raises:
        BadInput: it cannot be read, is not YAML, or a field is wrong.
    """
    remedy = "restore it: git checkout tools.yaml"
    return validate_file(Published, strict_yaml.read_yaml(file, remedy=remedy), file, remedy=remedy)


def this_platform() -> str:
    """The platform as releases name it, "linux-amd64"; other systems and processors by their own names."""
    machine = platform.machine().lower()
    return f"{sys.platform}-{ARCHITECTURES.get(machine, machine)}"


def version_numbers(version: str) -> Numbers:
    """(0, 31, 0) of "kind v0.31.0 go1.25.5 linux/amd64", from the first dotted number; empty when there is none."""
    found = re.search(r"\d+(?:\.\d+)+", version)
    return tuple(int(part) for part in found[0].split(".")) if found else ()
