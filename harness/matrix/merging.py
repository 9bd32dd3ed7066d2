"""Merges the folders of a matrix's shards."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from harness.errors import BadInput, SetupFailed
from harness.matrix.folder import Folder, Matrix
from harness.outcome import Outcome


def merge(into: Path, sources: Sequence[Path]) -> Matrix:
    """Copies the ended cells of folders of one matrix into another folder, which may hold some already. A cell that two
    of them hold is taken once: a judged one before one in error.

    Raises:
        BadInput: a source is not a matrix's folder, they are of different matrices, or two of them judged a cell
            differently; nothing was copied.
        SetupFailed: something could not be copied.
    """
    folders = [Folder(path) for path in sources]
    plans = [folder.matrix() for folder in folders]
    for path, plan in zip(sources[1:], plans[1:], strict=True):
        if apart := plans[0].differs(plan):
            raise BadInput(
                f"{sources[0]} and {path} are of different matrices: {apart}", remedy="merge shards of one plan"
            )
    target = Folder(into)
    chosen: dict[str, Folder] = {}
    with target.held():
        target.begin(plans[0])
        for cell in plans[0].cells:
            for folder in (target, *folders):
                found, before = folder.ended(cell.slug), chosen.get(cell.slug)
                earlier = before.ended(cell.slug) if before else None
                if found is None:
                    continue
                if earlier is None or (earlier.outcome == Outcome.ERROR and found.outcome != Outcome.ERROR):
                    chosen[cell.slug] = folder
                elif before is not None and found.outcome not in (Outcome.ERROR, earlier.outcome):
                    raise BadInput(
                        f"{cell.name} is {earlier.outcome} in {before.path} and {found.outcome} in {folder.path}",
                        remedy="it ran twice: leave out the wrong folder",
                    )
        for slug, folder in chosen.items():
            if folder is not target:
                _copy(folder.cell(slug), target.cell(slug))
    return plans[0]


def _copy(source: Path, target: Path) -> None:
    try:
        shutil.rmtree(target, ignore_errors=True)
        partial = target.with_name(f"partial-{target.name}")
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(source, partial, symlinks=True)
        partial.rename(target)
    except (OSError, shutil.Error) as error:
        raise SetupFailed(f"cannot copy {source} to {target}: {error}", remedy="free some space there") from None
