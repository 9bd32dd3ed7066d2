"""Lists all objects of a cluster, and compares two such lists: what is new, changed or gone."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from harness.errors import BadInput, HarnessError
from harness.kube import Kube
from harness.kube.read_only_client import ReadOnlyClient
from harness.objects.listing_diff import KINDS_THAT_CHURN, Listing, differences, listing

FORMAT = "mesh-e2e/listing/v1"


class Read(NamedTuple):
    """The objects by name; kinds that could not be listed, each with the reason."""

    objects: Listing
    unread: Sequence[str]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("--compare", type=Path, metavar="FILE", help="print what differs from this listing; 1 if any")
    parser.add_argument("--kubeconfig", type=Path, help="the file (default: KUBECONFIG_FILE, then ~/.kube/config)")
    parser.add_argument("--context", default="", help="the context's exact name (default: CONTEXT); never assumed")


def run(asked: argparse.Namespace, kubeconfig: Path, context: str) -> tuple[str, int]:
    """What is printed, and the exit code: the listing, or what differs from the one in a file.

    Raises:
        BadInput: that file is no listing.
    """
    found = read_listing(kubeconfig, context)
    if not asked.compare:
        return as_json(found), 0
    differing = compare_listings(asked.compare, found)
    totals = f"{len(found.objects)} objects, {len(differing)} differences"
    return "\n".join([*differing, totals]), int(bool(differing))


def read_listing(kubeconfig: Path, context: str) -> Read:
    """Every object of the cluster that can be listed, in pages and at a bounded rate.

    Raises:
        ApiUnavailable: the server does not answer.
    """
    reader = ReadOnlyClient(Kube(kubeconfig, context))
    objects: dict[str, object] = {}
    unread = []
    for group, kind in reader.read_kinds():
        if kind in KINDS_THAT_CHURN:
            continue
        try:
            objects |= listing(reader.list_objects(group, kind))
        except HarnessError as error:
            unread.append(f"{kind} of {group or 'the core group'}: {error.args[0]}")
    return Read(objects, unread)  # type: ignore[arg-type]  # each is JSON


def as_json(found: Read) -> str:
    """{format, objects: {name: object}, unread: [text]}"""
    return json.dumps({"format": FORMAT, "objects": found.objects, "unread": found.unread}, indent=0)


def compare_listings(file: Path, now: Read) -> list[str]:
    """What differs between a listing in a file and now, a line each; what could not be listed is named.

    Raises:
        BadInput: the file is no listing.
    """
    try:
        held = json.loads(file.read_text())
        if held["format"] != FORMAT:
            raise BadInput(f"{file} is a listing of another format: {held['format']}", remedy="write it again")
        before = Read(held["objects"], held["unread"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{file} is not a listing: {error}", remedy="mesh-e2e listing > FILE writes one") from None
    unread = [f"not compared: {one}" for one in sorted({*before.unread, *now.unread})]
    return [*differences(before.objects, now.objects), *unread]
