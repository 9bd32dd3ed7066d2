"""`mesh-e2e`: commands outside a test run. Exit codes: 0 success, 1 a problem was found, 2 usage error.

130 is Ctrl-C, 143 SIGTERM, 129 SIGHUP, 131 SIGQUIT: each ends what was begun, also a run inside, which gathers its
evidence and takes down what it made before. 141: the reader of the output is gone (`| head`).
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from harness import (
    chosen_versions,
    cluster_diff,
    container_engine_checks,
    doctor,
    judge_again,
    no_proxy,
    progress,
    reaper,
    reproduction_folder,
    settings,
    settings_table,
    support_command,
    version_sets,
    versions_command,
)
from harness.audit import command as audit
from harness.cluster import registry_caches
from harness.conformance import command as conformance
from harness.errors import BadInput, HarnessError, SetupFailed
from harness.helm import Helm
from harness.history import command as history
from harness.interruption import exit_code, signals_as_interrupts
from harness.matrix import command as matrix
from harness.preflight import command as preflight
from harness.recordings import record_command as recordings
from harness.report_page import command as page
from harness.settings import Settings
from harness.standard_output import Output, is_broken_pipe
from harness.tools import select_programs
from harness.version_sets import VersionSet

# Commands that need no version set, or many.
WITHOUT_SET = {"matrix": matrix.run_matrix, "history": history.run_history, "repeat": history.run_repeat}
OUT, ERR = Output(highlight=False), Output(stderr=True, highlight=False)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; every failure of ours is one clear sentence, never a traceback. A reader that leaves early
    (`| head`) ends it without a word."""
    return is_broken_pipe(lambda: _run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    asked = _parser().parse_args(arguments)
    progress.show()
    no_proxy.extend_no_proxy()
    try:
        with signals_as_interrupts():
            for remark in settings.unused_variables():
                ERR.print(f"note: {remark}", markup=False, soft_wrap=True)
            if asked.command == "settings":
                OUT.print(settings_table.settings_page(), end="", markup=False, soft_wrap=True)
                return 0
            chosen = settings.read_settings()
            if asked.command in WITHOUT_SET:
                return _print(WITHOUT_SET[asked.command](asked, chosen))
            if asked.command == "clean":  # which needs no version set
                return _clean(chosen)
            return int(asked.act(asked, chosen, _versions(chosen)))
    except HarnessError as error:
        ERR.print(f"mesh-e2e {asked.command}: {error}", markup=False, soft_wrap=True)
        return error.exit_code
    except KeyboardInterrupt as interrupt:
        return exit_code(interrupt)


def _versions(chosen: Settings) -> VersionSet:
    """The run's version set; what was assumed of it is a note."""
    row = chosen_versions.version_set(chosen)
    for remark in row.remarks:
        ERR.print(f"note: {remark}", markup=False, soft_wrap=True)
    return row


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="mesh-e2e", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    def command(name: str, act: object, text: str) -> argparse.ArgumentParser:
        one = commands.add_parser(name, help=text, description=text)
        one.set_defaults(act=act)
        return one

    command("doctor", _doctor, "what this machine lacks for a run, each with its remedy")
    command("tools", _tools, "kind, helm and kubectl: PATH's when they fit, else fetched into .tools/")
    command("versions", _releases, "the releases that VERSIONS= can name, their support, and what the chosen set is")
    command("images", _images, "every image that the version set needs, the node image first")
    made = command("bundle", _bundle, "charts and images into a folder, for runs without a network")
    made.add_argument("folder")
    made.add_argument("--index", action="store_true", help="only index the archives that lie in the folder already")
    checked = command("check-references", _check_references, "ask the registries whether each image and chart exists")
    checked.add_argument("--registry", default="", metavar="HOST[:PORT]", help="ask this one for all of them")
    checked.add_argument("--any-digest", action="store_true", help="private builds: compare no digests")
    mirror = command("mirror", _mirror, "fill the registry that REGISTRY= names with all charts and images of the set")
    mirror.add_argument(
        "--from", dest="source", default="", help="another registry that holds them, host[:port][/prefix]"
    )
    audited = command("audit", _audit, "a read-only check of a cluster that others made (docs/audit/README.md)")
    audit.add_arguments(audited)
    before = command("preflight", _preflight, "what a run can judge on a cluster, and what it cannot, with the reasons")
    preflight.add_arguments(before)
    granted = command("rbac", _rbac, "the least Role and ClusterRole that a run needs, for kubectl apply")
    preflight.add_rbac_arguments(granted)
    matrix.add_arguments(command("matrix", None, "plan, run, show and merge the version matrix (docs/matrix.md)"))
    listed = command("listing", _listing, "list every object of a cluster as JSON, or what has changed since")
    cluster_diff.add_arguments(listed)
    history.add_history_arguments(command("history", None, "every test's outcomes over many runs (docs/history.md)"))
    repeated = command("repeat", None, "run new or changed tests several times, until they are stable or flaky")
    history.add_repeat_arguments(repeated)
    command("clean", None, "take away what kept or killed runs left")
    command("settings", None, "every setting: make variable, pytest option, environment, default, meaning")
    bench = command("bench", _bench, "run the suites and print the seconds of each stage, and the harness's own cost")
    bench.add_argument("tests", nargs="*", default=["suites"])
    recordings.add_arguments(command("record", _record, "record what a running cluster writes, for the readers' tests"))
    judged = command("judge", _judge, "judge a run again from its folder alone, and name each claim that differs")
    judged.add_argument("run", help="the run's folder, for instance runs/latest")
    judged.add_argument("--json", action="store_true", help="print JSON")
    reproduction_folder.add_arguments(
        command("reproduce", reproduction_folder.run, "a test of a run, as a folder that needs none of ours")
    )
    suite = command("conformance", _conformance, "the Gateway API's own conformance suite, outside and inside the mesh")
    conformance.add_arguments(suite)
    page.add_arguments(command("report", _report, "one page of HTML from runs: matrix, claims, evidence, changes"))
    support_command.add_arguments(command("support", _support, "each feature by place and version set, from runs"))
    faults = command("faults", _faults, "plant each fault of the catalogue and see which tests catch it")
    faults.add_argument("names", nargs="*", help="only these faults")
    faults.add_argument("--third", type=int, choices=(1, 2, 3), help="only this third of the catalogue")
    return parser


def _doctor(_: argparse.Namespace, chosen: Settings, row: VersionSet) -> int:
    findings = doctor.run_checks(chosen, row)
    OUT.print(f"for CLUSTER={chosen.cluster}, version set {row.name}")
    OUT.print("\n".join(doctor.results_as_lines(findings)), markup=False, soft_wrap=True)
    return 1 if any(found.grade == "missing" for found in findings) else 0


def _tools(_: argparse.Namespace, chosen: Settings, row: VersionSet) -> int:
    for name in select_programs.NAMES:
        OUT.print(
            f"{name} {select_programs.choose_program(name, chosen, kind_least=row.node_image.kind)}", soft_wrap=True
        )
    return 0


def _releases(_: argparse.Namespace, _chosen: Settings, row: VersionSet) -> int:
    (OUT if OUT.is_terminal else Output(highlight=False, width=160)).print(versions_command.table())
    OUT.print(f"\n{row.name}: {row.summary}  envoy {row.envoy}  ratelimit {row.ratelimit}", soft_wrap=True)
    return 0


def _images(_: argparse.Namespace, chosen: Settings, row: VersionSet) -> int:
    images = [image for one in chosen_versions.with_target(row, chosen) for image in one.with_helpers().images.values()]
    OUT.print("\n".join(dict.fromkeys([chosen.node_image or row.node, *images])), soft_wrap=True)
    return 0


def _bundle(asked: argparse.Namespace, chosen: Settings, row: VersionSet) -> int:
    from harness import offline_bundle

    if not asked.folder.strip():
        raise BadInput("the bundle's folder has no name", remedy="mesh-e2e bundle FOLDER, or make bundle BUNDLE=folder")
    folder, rows = Path(asked.folder), chosen_versions.with_target(row, chosen)
    if asked.index:
        made = offline_bundle.write_index(folder, row)
        for one in rows:
            offline_bundle.open_bundle(folder, one.taken_from(None))
    else:
        container_engine_checks.check_engine()
        container_engine_checks.check_save(container_engine_checks.read_engine())
        select_programs.choose_program("helm", chosen)
        for one in rows:
            at = row.registry.rewrite if row.registry else str
            made = offline_bundle.make_bundle(folder, one.taken_from(None), _helm(chosen).pull, at)
    names = " and ".join(one.name for one in rows)
    OUT.print(f"{folder}: {len(made.charts)} charts, {len(made.images)} images for version set {names}")
    return 0


def _check_references(asked: argparse.Namespace, chosen: Settings, row: VersionSet) -> int:
    from harness import public_artifact_sources

    sets = version_sets.load().sets
    rows = [row] if chosen.versions else list(sets.values())
    known = public_artifact_sources.load().pulled()
    wanted = public_artifact_sources.pulled_by(rows)
    if asked.any_digest:
        wanted, known = [replace(one, digest="") for one in wanted], []
    elif not asked.registry:  # what the harness itself pulls, beside the sets
        named = {replace(one, digest="") for one in public_artifact_sources.pulled_by(sets.values())}
        wanted += [one for one in known if replace(one, digest="") not in named]
    registries = public_artifact_sources.make_registries()
    answers = public_artifact_sources.check_references(
        wanted, public_artifact_sources.known_digests(known), registry=asked.registry, registries=registries
    )
    table = Table("reference", "", "", box=None)
    for one in answers:
        table.add_row(escape(str(one.reference)), one.state, escape(one.reason))
    (OUT if OUT.is_terminal else Output(highlight=False, width=200)).print(table)
    for registry, left in registries.remaining.items():
        OUT.print(f"{registry}: {left}")
    counts = Counter(one.state for one in answers)
    OUT.print(
        f"{len(answers)} references: "
        + ", ".join(f"{counts[s]} {s}" for s in public_artifact_sources.STATES if counts[s])
    )
    missed = public_artifact_sources.group_by_reason(answers)
    for (state, reason), those in missed.items():
        names = ", ".join(those) if state != "not asked" else f"{len(those)} references"
        ERR.print(f"{public_artifact_sources.STATE_TEXT[state]}: {names}: {reason}", markup=False, soft_wrap=True)
    return 1 if missed else 0


def _mirror(asked: argparse.Namespace, chosen: Settings, row: VersionSet) -> int:
    from harness import mirror
    from harness.registry import private

    if row.registry is None:
        raise BadInput("no registry to fill is named", remedy=f"make mirror REGISTRY={private.FORM}")
    rows = chosen_versions.with_target(row, chosen)
    if asked.source and chosen.bundle:
        raise BadInput("--from and BUNDLE= are two sources", remedy="leave one of them out")
    if chosen.bundle:
        select_programs.choose_program("helm", chosen)
        helm = _helm(chosen)
        done = [mirror.mirror_from_bundle(one, row.registry, chosen.bundle, helm, chosen.node_image) for one in rows]
    else:
        source = private.parse_registry(asked.source) if asked.source else None
        done = [mirror.mirror_from_registries(one, row.registry, source, chosen.node_image) for one in rows]
    OUT.print("\n".join(str(one) for each in done for one in each), soft_wrap=True, markup=False)
    return 0


def _audit(asked: argparse.Namespace, chosen: Settings, _: VersionSet) -> int:
    if asked.watch is not None and not asked.rbac:
        audit.watch(asked, chosen, lambda text: print(text, flush=True))
    return _print(audit.run(asked, chosen))


def _preflight(asked: argparse.Namespace, chosen: Settings, row: VersionSet) -> int:
    return _print(preflight.run(asked, chosen, row))


def _conformance(asked: argparse.Namespace, chosen: Settings, row: VersionSet) -> int:
    return _print(conformance.run(asked, chosen, row))


def _rbac(asked: argparse.Namespace, chosen: Settings, _: VersionSet) -> int:
    return _print(preflight.rbac(asked, chosen))


def _listing(asked: argparse.Namespace, chosen: Settings, _: VersionSet) -> int:
    return _print(cluster_diff.run(asked, *audit.cluster_of(asked, chosen)))


def _print(found: tuple[str, int]) -> int:
    """Prints a text as it is, since JSON and SARIF are for programs. Returns the exit code that comes with it."""
    print(found[0])
    return found[1]


def _helm(chosen: Settings) -> Helm:
    return Helm(Path(), "", chosen.state / "helm", chosen.private)


def _clean(chosen: Settings) -> int:
    reaped = reaper.delete_left_clusters(chosen)
    for one in reaped:
        OUT.print(f"{one.record.kind} cluster {one.record.name}: {one.outcome}", soft_wrap=True)
    removed: list[str] | None = []
    try:
        removed = registry_caches.remove_caches(chosen.state)
    except SetupFailed as error:
        removed = None
        ERR.print(f"mesh-e2e clean: {error}", markup=False, soft_wrap=True)
    for name in removed or []:
        OUT.print(f"registry cache {name}: gone (its volume stays)")
    if not reaped and removed == []:
        OUT.print("nothing of ours was left")
    return 1 if removed is None or any(one.outcome.startswith("not") for one in reaped) else 0


def _bench(asked: argparse.Namespace, chosen: Settings, row: VersionSet) -> int:
    from harness.run_benchmark import run_benchmark

    return run_benchmark(chosen, row, asked.tests, OUT)


def _record(asked: argparse.Namespace, chosen: Settings, _: VersionSet) -> int:
    OUT.print(recordings.run(asked, chosen), markup=False, soft_wrap=True)
    return 0


def _judge(asked: argparse.Namespace, _chosen: Settings, _row: VersionSet) -> int:
    run = Path(asked.run)
    suite = run / conformance.FOLDER
    found = (
        judge_again.compare_verdicts(run, conformance.verdicts(suite)) if suite.is_dir() else judge_again.judge_run(run)
    )
    OUT.print(
        judge_again.judgement_as_json(found) if asked.json else judge_again.differences_as_text(found),
        markup=False,
        soft_wrap=True,
    )
    return 1 if found.differing else 0


def _report(asked: argparse.Namespace, chosen: Settings, _: VersionSet) -> int:
    OUT.print(page.run(asked, chosen), markup=False, soft_wrap=True)
    return 0


def _support(asked: argparse.Namespace, chosen: Settings, _row: VersionSet) -> int:
    OUT.print(support_command.run(asked, chosen), markup=False, soft_wrap=True)
    return 0


def _faults(asked: argparse.Namespace, chosen: Settings, row: VersionSet) -> int:
    from harness.faults import run_catalogue

    return run_catalogue(chosen, row, asked.names, asked.third, OUT)


if __name__ == "__main__":
    sys.exit(main())
