"""The command `mesh-e2e conformance`: runs the Gateway API conformance suite outside and inside the mesh."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness import cluster_records, diagnostics, progress, version_sets
from harness.cluster.choose import choose_cluster
from harness.cluster.protocol import Cluster
from harness.conformance import binary, suite_claims, suite_log
from harness.conformance.run_files import Recording
from harness.conformance.running import VARIANTS, Variant, refuse_others, run_suite
from harness.conformance.suite_verdicts import LONG, Judged, differences, judge, path_of, requests, skips
from harness.errors import BadInput, HarnessError
from harness.install import installation, running_versions
from harness.interruption import shielded
from harness.kube import Kube
from harness.offline_bundle import Bundle, open_bundle
from harness.outcome import FAILURES
from harness.report.results import RunResult, verdict_json, versions_known
from harness.report.run_folder import RunFolder
from harness.report.summary import summary_as_json
from harness.settings import Settings
from harness.text_table import align
from harness.tools import select_programs
from harness.undo.temporary_changes import undo_leftovers
from harness.undo.undo_log import UndoLog
from harness.version_sets import VersionSet

FOLDER, RESULTS = "conformance", "conformance.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    names = ",".join(VARIANTS)
    parser.add_argument("--only", default=names, metavar="RUN,RUN", help=f"only these runs (default: {names})")
    parser.add_argument("--test", default="", metavar="NAME", help="only this test of the suite, such as UDPRoute")
    parser.add_argument("--skip", default="", metavar="NAME,NAME", help="leave out these tests of the suite")
    parser.add_argument("--judge", default="", metavar="RUN", help="judge a run's folder again, without a cluster")


def run(asked: argparse.Namespace, chosen: Settings, row: VersionSet) -> tuple[str, int]:
    """Runs the suite as asked. Returns what is to be printed, and the exit code: 1 if a test did not hold.

    Raises:
        BadInput: it cannot be run as asked; nothing was made.
        SetupFailed: the cluster or the stack did not get ready, or the suite did not end.
    """
    if asked.judge:
        found = judge_folder(Path(asked.judge) / FOLDER)
        return text(found), _code(found)
    variants = _variants(asked.only)
    _refuse(chosen, row)
    row = row.with_conformance()
    bundle = open_bundle(chosen.bundle, row) if chosen.bundle else None
    cluster = choose_cluster(chosen, row, bundle)
    for requirement in cluster.requirements:
        requirement.check()
    assert row.conformance is not None  # _refuse has seen to it
    program = binary.prepare(chosen, row.conformance)
    return _on(cluster, chosen, row, bundle, variants, program, asked.test, _parts(asked.skip))


def judge_folder(folder: Path) -> list[Judged]:
    """Our verdicts on the recordings in a run's folder, in the order of VARIANTS.

    Raises:
        BadInput: there is none.
    """
    found: list[Judged] = []
    for variant in VARIANTS.values():
        if not (folder / variant.name).is_dir():
            continue
        one = Recording.read(folder / variant.name)
        found.append(
            judge(
                variant.name,
                suite_log.parse(one.log),
                one.report,
                requests(one.backends),
                path_of(one.ztunnel, one.pods, one.enrolled),
                meshed=variant.meshed,
                waypoint=variant.mesh,
                twin=next((other for other in found if other.name == "outside" and not variant.mesh), None),
                failure=suite_log.set_up_failure(one.log),
            )
        )
    if not found:
        raise BadInput(f"{folder} has no run of the conformance suite", remedy="name a folder of `make conformance`")
    return found


def verdicts(folder: Path) -> list[dict[str, Any]]:
    """The same as `tests` of results.json.

    Raises:
        BadInput: as `judge_folder`.
    """
    return [verdict_json(one) for one in suite_claims.claims(judge_folder(folder))]


def text(found: Sequence[Judged], head: str = "") -> str:
    """The runs as text: a table of figures, then what did not hold, waits, differences and skips."""
    lines = [head] if head else []
    rows = suite_claims.figures(found)
    lines += align([list(rows[0]), *(list(row.values()) for row in rows)], to_right=True)
    for one in found:
        lines += [f"\n{one.name}: {remark}" for remark in one.remarks]
        wrong = [verdict for verdict in one.verdicts if verdict.outcome in FAILURES]
        lines += _section(f"{one.name}: did not hold", [f"{v.outcome} {v.test}: {v.why}" for v in wrong])
        slow = sorted((v for v in one.verdicts if v.waited >= LONG), key=lambda v: -v.waited)
        waits = [f"{v.waited:5.1f} s  {v.test} ({v.retries} retries): {v.seen[:160]}" for v in slow]
        lines += _section(f"{one.name}: tests that tried for {LONG:.0f} s or more", waits)
        skipped = [f"{why} ({len(names)}): {_some(names)}" for why, names in skips(one.verdicts).items()]
        lines += _section(f"{one.name}: skipped", skipped)
    by_name = {one.name: one for one in found}
    if {"outside", "inside"} <= by_name.keys():
        lines += _section("outside and inside differ", differences(by_name["outside"], by_name["inside"]))
    return "\n".join(lines)


def _some(names: Sequence[str], most: int = 20) -> str:
    return ", ".join(names[:most]) + (f", and {len(names) - most} more" if len(names) > most else "")


def _section(title: str, rows: Sequence[str]) -> list[str]:
    return [f"\n{title}", *(f"  {one}" for one in rows)] if rows else []


def _variants(text: str) -> list[Variant]:
    asked = _parts(text)
    unknown = [name for name in asked if name not in VARIANTS]
    if unknown or not asked:
        raise BadInput(f"--only {text}: no run is named {', '.join(unknown) or 'there'}", remedy=", ".join(VARIANTS))
    return [one for name, one in VARIANTS.items() if name in asked]


def _parts(text: str) -> list[str]:
    """The parts of "one, other"."""
    return [part.strip() for part in text.split(",") if part.strip()]


def _refuse(chosen: Settings, row: VersionSet) -> None:
    if chosen.cluster == "emulated":
        raise BadInput(
            "the emulated cluster has no Envoy Gateway to be tested for conformance",
            remedy="CLUSTER=kind or CLUSTER=existing",
        )
    if row.conformance is None:
        known = ", ".join(version_sets.load().conformance)
        raise BadInput(
            f"no conformance suite is known for Gateway API {row.gateway_api.bundle} (known: {known})",
            remedy="add it to `conformance` in versions.yaml",
        )
    if chosen.registry and chosen.cluster == "kind":
        raise BadInput(
            f"REGISTRY={chosen.registry}: the suite's own manifests name public registries",
            remedy="BUNDLE=folder, made with CONFORMANCE_IMAGES=1; or leave REGISTRY out",
        )
    binary.check(chosen)


def _on(
    cluster: Cluster,
    chosen: Settings,
    row: VersionSet,
    bundle: Bundle | None,
    variants: Sequence[Variant],
    program: Path,
    only: str,
    skip: Sequence[str],
) -> tuple[str, int]:
    held, folder, found, facts = False, list[RunFolder](), list[Judged](), dict[str, str]()
    began = datetime.now(UTC)

    def result(found: Sequence[Judged], **ended: Any) -> RunResult:
        return RunResult(
            cluster=chosen.cluster,
            cluster_name=chosen.cluster_name,
            set_name=row.name,
            versions=versions_known(row, facts, ours=chosen.cluster != "existing"),
            facts=facts,
            started=began.isoformat(timespec="seconds"),
            verdicts=suite_claims.claims(found),
            stages=tuple(progress.PROGRESS.stages),
            tables={suite_claims.TABLE: suite_claims.figures(found)} if found else {},
            sources=suite_claims.sources(found, row.conformance.package if row.conformance else ""),
            **({"exit": _code(found)} | ended),
        )

    def gather(error: Exception) -> None:
        into = folder[0].artifacts / "diagnostics" if folder else None
        if into and chosen.gather and not into.exists():
            diagnostics.gather(cluster, into, str(error), namespace=chosen.suite_namespace)

    try:
        with progress.stage(f"cluster {cluster.kind} {cluster.name}"):
            cluster.create()
    except BadInput:
        raise  # nothing was made, and what is there may be another run's
    except BaseException:
        _leave(cluster, chosen, failed=True)
        raise
    try:
        kube = Kube(cluster.kubeconfig, cluster.context, namespace=chosen.suite_namespace)
        undo_leftovers(kube, UndoLog(cluster.home / cluster_records.APPLIED))
        refuse_others(kube)
        name = f"{row.name}-{FOLDER}"
        made = RunFolder.create(
            chosen.runs, cluster=cluster.kind, set_name=name, now=began, keep=chosen.keep_runs, days=chosen.keep_days
        )
        folder.append(made)
        with progress.stage("stack"):
            _install(cluster, kube, chosen, row, bundle)
        facts |= running_versions.read_versions(kube) | dict(cluster.facts())
        kubectl = select_programs.choose_program("kubectl", chosen).path
        for variant in variants:
            with progress.stage(f"conformance suite: {variant.name}"):
                recorded = run_suite(
                    cluster, kube, row, variant, program, kubectl, only=only, skip=skip, before_undo=gather
                )
                recorded.write(made.path / FOLDER / variant.name)
            found = judge_folder(made.path / FOLDER)
            unknown = sorted({only, *skip} - {"", *(verdict.test for one in found for verdict in one.verdicts)})
            if unknown:
                progress.note(f"the suite has no test named {', '.join(unknown)}")
            shown = _write(made, found, row, result(found))
        held = _code(found) == 0
        return f"{shown}\n\n{made.path}", _code(found)
    except HarnessError as error:
        gather(error)
        for one in folder:
            with suppress(BadInput):  # a full disk: the first error counts
                one.write(one.results, summary_as_json(result(found, exit=error.exit_code, why=str(error))))
        raise
    finally:
        for one in folder:
            one.free_reserve()
        _leave(cluster, chosen, failed=not held)


def _install(cluster: Cluster, kube: Kube, chosen: Settings, row: VersionSet, bundle: Bundle | None) -> None:
    """Installs Istio and Envoy Gateway, or checks those of somebody else's cluster; loads the suite's images."""
    installation.ensure_stack(
        cluster, kube, row, bundle, installs=chosen.install, replicas=chosen.replicas, suites=False
    )
    if bundle and row.conformance:
        roles = ("curl", *row.conformance.images)
        cluster.load_images([bundle.archive(row.images[role]) for role in roles], everywhere=True)


def _write(folder: RunFolder, found: Sequence[Judged], row: VersionSet, result: RunResult) -> str:
    package = row.conformance.package if row.conformance else ""
    shown = text(found, f"set {row.name}   {package}   {row.summary}\n")
    written = {"set": row.name, "suite": package, "facts": dict(result.facts), "runs": [one.as_json() for one in found]}
    folder.write(folder.path / RESULTS, json.dumps(written, indent=1))
    folder.write(folder.results, summary_as_json(result))
    folder.write(folder.summary, f"{shown}\n")
    return shown


def _code(found: Sequence[Judged]) -> int:
    return 0 if all(one.held for one in found) else 1


def _leave(cluster: Cluster, chosen: Settings, *, failed: bool) -> None:
    """Keeps the cluster or deletes it, as KEEP= says."""
    if chosen.keep == "always" or (chosen.keep == "on-failure" and failed):
        progress.note(f"kept: cluster {cluster.kind} {cluster.name}, KUBECONFIG={cluster.kubeconfig}")
        return
    doing = f"deleting cluster {cluster.name}"
    with (
        shielded(lambda: progress.note(f"{doing} goes on; Ctrl-C again leaves it to `make clean`")),
        progress.stage(doing),
    ):
        cluster.delete()
