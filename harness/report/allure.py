"""A wrapper of Allure that does nothing without allure-pytest or --alluredir."""

from __future__ import annotations

import importlib
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from harness.observations import Attachment
from harness.progress import Stage
from harness.report.redact import redact
from harness.report.results import EMULATED
from harness.settings import CiBuild

try:
    _found: Any = importlib.import_module("allure")
except ImportError:  # optional: JUnit and results.json tell the same
    _found = None
allure = _found  # untyped on purpose: its own annotations are partial

# Allure matches the whole message, `.` including line ends; a result joins every category that fits, so the
# expressions shut each other out. Messages are pytest's: "module.Class: text" (bare "assert ..." for assertions).
_ERROR = r"(?i).*harness\.errors\."
_LIMITER = r"[^\n]*\blimiter\b[^\n]*\b(down|unreachable|not running|did not answer|no answer)\b"
_ENFORCED = r"[^\n]*\benforce"
_TRANSPORT = (
    r"(httpx2?\.|httpcore\.|urllib3\.|connectionerror|connectionreseterror|connectionrefusederror|"
    r"connection reset|connection refused|broken pipe)"
)
CATEGORIES: Sequence[Mapping[str, Any]] = (
    {
        "name": "Setup error",
        "matchedStatuses": ["broken"],
        "messageRegex": rf"{_ERROR}(SetupFailed|CommandFailed|NotReady|Terminal|BadInput): "
        rf"(?!{_LIMITER})(?!{_ENFORCED})(?!.*{_TRANSPORT}).*",
    },
    {
        "name": "Policy not enforced",
        "matchedStatuses": ["broken"],
        "messageRegex": rf"{_ERROR}(NotReady|Terminal|SetupFailed): (?!{_LIMITER}){_ENFORCED}.*",
    },
    {
        "name": "Limiter down",
        "matchedStatuses": ["broken", "failed"],
        "messageRegex": rf"{_ERROR}\w+: {_LIMITER}.*",
    },
    {
        "name": "Transport",
        "matchedStatuses": ["broken"],
        "messageRegex": rf"(?i)(?!.*harness\.errors\.\w+: {_LIMITER})(?!.*harness\.errors\.\w+: {_ENFORCED})"
        rf"(?!.*harness\.errors\.Inconclusive).*{_TRANSPORT}.*",
    },
    {"name": "Unknown: could not be judged", "messageRegex": rf"{_ERROR}Inconclusive: (?!{_LIMITER}).*"},
    {"name": "Claim broken", "matchedStatuses": ["failed"]},
)


def describe(*, claim: str, area: str, cluster: str, versions: Mapping[str, str]) -> None:
    """Names the running test by its claim, files it under its area, and distinguishes matrix cells by parameters."""
    if allure is None:
        return
    allure.dynamic.title(claim)
    allure.dynamic.parent_suite(f"mesh-e2e ({EMULATED})" if cluster == "emulated" else "mesh-e2e")
    allure.dynamic.suite(area)
    allure.dynamic.feature(area)
    allure.dynamic.parameter("cluster", cluster)
    for name, version in versions.items():
        allure.dynamic.parameter(name, version)


def attach(attachments: Sequence[Attachment]) -> None:
    """Attaches texts to the running test, by the type that their names end in; secrets are taken out."""
    if allure is None:
        return
    kinds = {"yaml": allure.attachment_type.YAML, "json": allure.attachment_type.JSON}
    for one in attachments:
        kind = kinds.get(one.name.rpartition(".")[2], allure.attachment_type.TEXT)
        allure.attach(redact(one.text), name=one.name, attachment_type=kind)


def steps() -> Callable[[Stage, str], None]:
    """A progress listener that shows each stage of the main thread as a step.

    Allure keeps steps a thread: stages that run side by side in others would end up nowhere.
    """
    opened: dict[int, Any] = {}

    def listen(stage: Stage, event: str) -> None:
        if allure is None or threading.current_thread() is not threading.main_thread():
            return
        if event == "started":
            opened[id(stage)] = allure.step(stage.name)
            opened[id(stage)].__enter__()
        elif event in ("done", "failed") and id(stage) in opened:
            error = AssertionError(stage.failed) if stage.failed else None
            opened.pop(id(stage)).__exit__(type(error) if error else None, error, None)

    return listen


def environment(*, cluster: str, set_name: str, versions: Mapping[str, str], facts: Mapping[str, str]) -> str:
    """environment.properties."""
    known = {"cluster": f"{cluster} ({EMULATED})" if cluster == "emulated" else cluster, "set": set_name}
    pairs = known | dict(versions) | {name: text for name, text in facts.items() if name not in versions}
    return "".join(f"{_key(name)}={_value(text)}\n" for name, text in pairs.items())


def categories() -> str:
    """categories.json."""
    return json.dumps(list(CATEGORIES), indent=2) + "\n"


def executor(build: CiBuild) -> str:
    """executor.json for a run by a CI system."""
    return (
        json.dumps(
            {
                "name": build.system,
                "type": build.system.lower().replace(" ", ""),
                "buildName": build.name,
                "buildOrder": build.number,
                "buildUrl": build.url,
            },
            indent=2,
        )
        + "\n"
    )


def _key(text: str) -> str:
    return text.strip().replace("\\", "\\\\").replace(" ", "_").replace("=", "\\=").replace(":", "\\:")


def _value(text: str) -> str:
    return " ".join(str(text).replace("\\", "\\\\").split())
