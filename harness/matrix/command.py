"""The command `mesh-e2e matrix plan|run|show|issues|merge`."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from harness import progress, settings, version_sets, version_sets_from_names
from harness.errors import BadInput
from harness.matrix import output
from harness.matrix.cells import Cell, conditions
from harness.matrix.durations import read_durations
from harness.matrix.folder import Ended, Folder, Matrix, PlannedCell, read_plan
from harness.matrix.issue_texts import issues
from harness.matrix.merging import merge
from harness.matrix.plan import Plan, candidates, plan, shards, upgrades
from harness.matrix.running import run_cells
from harness.outcome import VERDICTS, Outcome
from harness.report.results_file import read_results
from harness.settings import ROOT, Settings
from harness.version_sets_from_names import Product

ARTICLE = tuple(f"suites/{area}" for area in ("install", "ingress", "rate_limit", "waypoint", "circuit_breaker"))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The subcommands and their options."""
    commands = parser.add_subparsers(dest="action", required=True)
    planned = commands.add_parser("plan", help="which cells there are, what each will take, what is refused and why")
    ran = commands.add_parser("run", help="run the cells that have not ended, each on a cluster of its own")
    for one in (planned, ran):
        _selection(one)
    planned.add_argument("--format", choices=("table", "json", "github"), default="table")
    planned.add_argument("--shards", type=int, default=1, metavar="N", help="balance the cells over N shards")
    ran.add_argument(
        "--folder", default="matrix", help="the matrix's folder (default: matrix); one that is there goes on"
    )
    ran.add_argument("--abreast", type=int, default=1, metavar="N", help="cells at a time, on clusters of their own")
    ran.add_argument(
        "--plan", default="", metavar="FILE", help="the cells of `matrix plan --format json`, not a selection"
    )
    ran.add_argument("--shard", default="1/1", metavar="I/N", help="only the I-th of N shards")
    ran.add_argument("--most", type=int, default=0, metavar="N", help="at most N cells now")
    ran.add_argument("--retry-errors", action="store_true", help="run cells in error again")
    shown = commands.add_parser("show", help="the cells of a matrix's folder and what became of them")
    shown.add_argument("folder")
    shown.add_argument("--markdown", action="store_true")
    reported = commands.add_parser("issues", help="an issue's text for each cause of cells that did not hold")
    reported.add_argument("folder")
    reported.add_argument("--into", default="issues", metavar="FOLDER", help="where, as KEY.md (default: issues)")
    reported.add_argument("--url", default="", help="the page of the build")
    merged = commands.add_parser("merge", help="merge the folders of a matrix's shards into one")
    merged.add_argument("into")
    merged.add_argument("sources", nargs="+")


def _selection(parser: argparse.ArgumentParser) -> None:
    which = parser.add_mutually_exclusive_group()
    for name, text in (
        ("all", "every known minor of Istio, Envoy Gateway and Kubernetes, each in its newest patch"),
        ("newest", "the newest Envoy Gateway with the newest Istio and Kubernetes that it runs with"),
        ("pairwise", "few cells with every possible pair of minors of two products"),
        ("supported", "all that their projects support today"),
        ("sets", "the sets of versions.yaml (default), or those of the default set with --istio, --eg, --k8s"),
    ):
        which.add_argument(f"--{name}", dest="selection", action="store_const", const=name, help=text)
    parser.set_defaults(selection="sets")
    for product in ("istio", "eg", "k8s"):
        parser.add_argument(
            f"--{product}",
            default="",
            metavar="V,V",
            help=f"only these versions of {version_sets_from_names.PRODUCTS[product]}",
        )
    parser.add_argument(
        "--only", action="append", default=[], metavar="CONDITION", help="such as 'istio>=1.29,eg!=1.8'"
    )
    parser.add_argument(
        "--upgrades",
        nargs="?",
        const="also",
        choices=("also", "only"),
        help="also, or only, upgrades between these cells, there and back",
    )
    parser.add_argument(
        "--changed-since",
        default="",
        metavar="RUN",
        help="leave out what that matrix or run judged, unless the suites differ",
    )
    parser.add_argument(
        "--tests", nargs="+", default=list(ARTICLE), metavar="PATH", help="the suites (default: the article's)"
    )
    parser.add_argument(
        "--history", action="append", default=[], metavar="FOLDER", help="where durations are (default: runs, matrix)"
    )


def run_matrix(asked: argparse.Namespace, chosen: Settings) -> tuple[str, int]:
    """Runs a subcommand. Returns what it prints and its exit code.

    Raises:
        BadInput: something is asked that cannot be; the message says what.
    """
    match asked.action:
        case "plan":
            planned = _plan(asked)
            shards(planned.cells, asked.shards)  # a number that is none is refused, whatever is printed
            if asked.format == "github":
                return output.as_github(planned, asked.shards), 0
            if asked.format == "json":
                return json.dumps(output.as_json(planned, asked.shards), indent=1), 0
            return output.as_text(planned, asked.shards), 0
        case "run":
            return _run(asked, chosen)
        case "show":
            folder = Folder(Path(asked.folder))
            show = output.markdown if asked.markdown else output.state
            return show(folder.matrix(), folder.all_ended()), 0
        case "issues":
            return _issues(Folder(Path(asked.folder)), Path(asked.into), asked.url), 0
        case _:
            merge(Path(asked.into), [Path(one) for one in asked.sources])
            folder = Folder(Path(asked.into))
            return output.state(folder.matrix(), folder.all_ended()), 0


def _issues(folder: Folder, into: Path, url: str) -> str:
    texts = issues(folder.all_ended(), (ROOT / ".github/nightly-issue.md").read_text(), url)
    try:
        into.mkdir(parents=True, exist_ok=True)
        for key, text in texts.items():
            (into / f"{key}.md").write_text(text)
    except OSError as error:
        raise BadInput(f"cannot write {into}: {error.strerror or error}", remedy="--into another folder") from error
    return f"{len(texts)} causes"


def _plan(asked: argparse.Namespace) -> Plan:
    axes: dict[Product, list[str]] = {}
    for product in ("istio", "eg", "k8s"):
        if given := getattr(asked, product):
            axes[product] = _axis(product, given)
    known, data = version_sets.load(), version_sets_from_names.load()
    cells = candidates(known, data, asked.selection, axes)
    if asked.upgrades:
        cells = [*(cells if asked.upgrades == "also" else ()), *upgrades(cells)]
    history = [Path(one) for one in asked.history] or [settings.ROOT / "runs", Path("matrix")]
    return plan(
        cells,
        known,
        data,
        read_durations(history, asked.tests),
        selection=asked.selection,
        only=[condition for text in asked.only for condition in conditions(text)],
        known=_judged(Path(asked.changed_since)) if asked.changed_since else (),
        today=datetime.now(UTC).date(),
    )


def _axis(product: str, text: str) -> list[str]:
    found = [part.strip().removeprefix("v") for part in text.split(",")]
    wrong = [part for part in found if not re.fullmatch(r"\d+\.\d+(\.\d+)?", part)]
    if wrong:
        raise BadInput(f"--{product} {text}: {wrong[0]!r} is not a version", remedy=f"--{product} 1.29.1,1.30")
    return found


def _judged(path: Path) -> Iterable[str]:
    """The cells that a matrix or a run has judged: none of them if the suites have changed since."""
    if (path / "matrix.json").exists():
        folder = Folder(path)
        if folder.matrix().suites != digest():
            progress.note(f"the suites have changed since {path}: all cells are planned")
            return ()
        return [name for name, ended in folder.all_ended().items() if ended.outcome in VERDICTS]
    found = read_results(path)["versions"]
    cell = Cell(*(str(found.get(name, "")).partition(" ")[0] for name in ("istio", "envoy-gateway", "kubernetes")))
    return (cell.name,)


def _run(asked: argparse.Namespace, chosen: Settings) -> tuple[str, int]:
    number, count = _shard(asked.shard)
    if asked.abreast < 1:
        raise BadInput(f"--abreast {asked.abreast}", remedy="--abreast 1, or more")
    planned = read_plan(Path(asked.plan)) if asked.plan else _plan(asked)
    if not planned.cells:
        why = f": {planned.refused[0].name}: {planned.refused[0].reason}" if planned.refused else ""
        raise BadInput(f"there is no cell to run{why}", remedy="`mesh-e2e matrix plan` with the same options shows why")
    folder = Folder(Path(asked.folder))
    with folder.held():
        matrix = folder.begin(_matrix(planned, tuple(asked.tests), chosen))
        mine = {one.cell.name for one in shards(planned.cells, count)[number - 1]}
        cells = [cell for cell in matrix.cells if cell.name in mine]
        ended = run_cells(
            folder,
            cells,
            abreast=asked.abreast,
            again=(Outcome.ERROR,) if asked.retry_errors else (),
            most=asked.most,
            on_end=_report_end,
        )
    summary = output.state(matrix, folder.all_ended())
    return summary, 0 if len(ended) == len(cells) and all(one.outcome == Outcome.HELD for one in ended) else 1


def _matrix(planned: Plan, tests: tuple[str, ...], chosen: Settings) -> Matrix:
    cells = tuple(
        PlannedCell(
            name=one.cell.name,
            slug=one.cell.slug,
            versions=one.cell.versions,
            upgrade=one.cell.upgrade,
            seconds=round(one.seconds, 1),
        )
        for one in planned.cells
    )
    refused = tuple((one.name, one.reason) for one in planned.refused)
    return Matrix(cluster=chosen.cluster, tests=tests, suites=digest(), cells=cells, refused=refused)


def _shard(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d+)/(\d+)", text)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise BadInput(f"--shard {text} is not the number of a shard", remedy="--shard 1/4 to --shard 4/4")
    return int(found[1]), int(found[2])


def _report_end(cell: PlannedCell, ended: Ended) -> None:
    progress.note(f"{cell.name}: {ended.outcome} in {ended.seconds:.0f} s{f': {ended.why}' if ended.why else ''}")


def digest(root: Path = ROOT) -> str:
    """A digest of the tests and manifests: matrices of one digest ran the same claims."""
    found = sha256()
    for folder in ("suites", "manifests"):
        for file in sorted((root / folder).rglob("*")):
            if file.suffix in (".py", ".yaml"):
                found.update(f"{file.relative_to(root)} ".encode())
                found.update(file.read_bytes())
    return found.hexdigest()[:16]
