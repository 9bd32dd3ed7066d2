"""Writes all files at the end of a run."""

from __future__ import annotations

from pathlib import Path

from harness.errors import BadInput
from harness.report import allure, conformance_yaml, summary
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
    """Writes results.json, summary.txt, and where asked conformance.yaml, Allure's files beside its results, and the
    Markdown page of a CI system (appended: other steps write there too). Returns what could not be written, and why.
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
