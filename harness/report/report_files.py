"""Writes all files at the end of a run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.errors import BadInput
from harness.report import allure, allure_history, conformance_yaml, summary
from harness.report.results import RunResult
from harness.report.run_folder import RunFolder
from harness.settings import CiBuild


def write(
    run: RunResult,
    folder: RunFolder,
    *,
    conformant: bool = False,
    allure_results: Path | None = None,
    page: Path | None = None,
    build: CiBuild | None = None,
) -> list[str]:
    """Writes results.json, summary.txt, and where asked conformance.yaml, Allure's files beside its results (with the
    history of the earlier runs in the same folder), and the Markdown page of a CI system (appended: other steps write
    there too). Returns what could not be written, and why.
    """
    texts = {folder.results: summary.summary_as_json(run), folder.summary: summary.summary_as_text(run)}
    failed = []
    if conformant:
        try:
            texts[folder.conformance] = conformance_yaml.text(run)
        except BadInput as error:
            failed.append(str(error))
    if allure_results is not None:
        known = {"cluster": run.cluster, "set_name": run.set_name}
        environment = allure.environment(**known, versions=run.versions, facts=run.facts)
        texts[allure_results / "environment.properties"] = environment
        texts[allure_results / "categories.json"] = allure.categories()
        texts |= {allure_results / "history" / name: text for name, text in _allure_history(folder).items()}
        if build is not None:
            texts[allure_results / "executor.json"] = allure.executor(build)
    for path, text in texts.items():
        try:
            folder.write(path, text)
        except BadInput as error:
            failed.append(str(error))
    if page is not None:
        try:
            with page.open("a") as shared:
                shared.write(summary.summary_as_markdown(run))
        except OSError as error:
            failed.append(f"cannot write {page}: {error.strerror}")
    return failed


def _allure_history(folder: RunFolder) -> Mapping[str, str]:
    """Allure's history files by name: those of the previous run, with that run's results added."""
    previous = folder.previous()
    if previous is None:
        return {}
    held = previous.allure / "history"
    names = (allure_history.TESTS, allure_history.TOTALS, allure_history.DURATIONS)
    history = {name: found for name in names if (found := _read_json(held / name)) is not None}
    results = [found for file in previous.allure.glob("*-result.json") if isinstance(found := _read_json(file), dict)]
    return {name: json.dumps(content) + "\n" for name, content in allure_history.add_run(history, results).items()}


def _read_json(path: Path) -> Any:
    """None if the file is not there, or was cut off by the end of its run."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None
