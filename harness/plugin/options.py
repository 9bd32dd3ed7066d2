"""The command line options of pytest, and the settings that they override.

A *run* is a call of pytest whose arguments reach the suites (ini `e2e_suites`, by default suites/ in the root folder):
only then is there a run folder, live lines and a summary. Any other call, the harness's own tests included, passes as
if this plugin were not loaded. Listing things (--collect-only, --fixtures, --setup-plan) is not a run either.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from harness import settings
from harness.errors import BadInput
from harness.plugin import pytest_kind_options
from harness.settings import Settings

# pytest offers the class only as an attribute of the function, which type checkers do not see.
_Exit: type[Any] = pytest.exit.Exception
SETTINGS = pytest.StashKey[Settings]()
LISTING = ("collectonly", "showfixtures", "show_fixtures_per_test", "setupplan", "help", "version")


class UsageError(_Exit):  # type: ignore[misc]  # see above: its base is typed nowhere public
    """Bad input, as pytest ends for it: the message and its remedy, no traceback, exit status 2."""

    def __init__(self, error: BadInput, *, printed: bool = False) -> None:
        super().__init__("bad input, see above" if printed else str(error), returncode=error.exit_code)
        self.error = error


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("mesh-e2e", "mesh-e2e: Envoy Gateway on Istio ambient, end to end")

    for field, info in Settings.model_fields.items():
        if field in settings.OPTIONS:
            continue  # pytest-kind's: see kind_options
        theirs = ("--keep-cluster", "--kind-image")  # pytest-kind's as well
        aliases = [one for one in settings.ALIASES.get(field, ()) if one.startswith("--") and one not in theirs]
        _, name, variable = settings.setting_names(field)
        how: dict[str, Any] = {"metavar": field.upper()}
        if info.annotation is bool and info.default is False:
            how = {"action": "store_const", "const": "true"}
        text = f"{info.description} ({variable})"
        group.addoption(name, *aliases, dest=f"e2e_{field}", default=None, help=text, **how)
    conformance = "also write conformance.yaml; not for an emulated cluster"
    group.addoption("--conformance", default=None, help=conformance, action="store_true")
    text = "judge this run folder again, from what it recorded (mesh-e2e judge)"
    group.addoption("--records", default=None, help=text, metavar="RUN")
    parser.addini("e2e_suites", "folders whose tests need a cluster", type="paths", default=["suites"])


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any]) -> Generator[None, object, object]:
    """Bad input found by a session fixture ends the run at once: no other test could do better."""
    try:
        return (yield)
    except BadInput as error:
        if fixturedef.scope != "session":
            raise
        raise UsageError(error) from None


def settings_of(config: pytest.Config) -> Settings:
    """The settings with this command line applied: read once, then remembered.

    Raises:
        BadInput: a value is not allowed.
    """
    found = config.stash.get(SETTINGS, None)
    if found is None:
        found = config.stash[SETTINGS] = settings.read_settings(**overrides(config))
    return found


def overrides(config: pytest.Config) -> dict[str, object]:
    """Settings that the command line sets; None where it says nothing. Relative paths are the caller's.

    Raises:
        BadInput: two options contradict each other.
    """
    kind = pytest_kind_options.read_kind_options(config)
    given = {field: config.getoption(f"e2e_{field}", default=None) for field in Settings.model_fields}
    if kind.keep and given["keep"] not in (None, "always"):
        raise BadInput(f"--keep {given['keep']} and --keep-cluster contradict each other", remedy="give one of them")
    if kind.image and given["node_image"] not in (None, kind.image):
        raise BadInput("--node-image and --kind-image name two images", remedy="give one of them")
    given |= {
        "cluster_name": kind.cluster_name,
        "keep": "always" if kind.keep else given["keep"],
        "node_image": kind.image or given["node_image"],
        "kind_bin": str(kind.kind) if kind.kind else None,
        "kubectl_bin": str(kind.kubectl) if kind.kubectl else None,
        "kubeconfig": kind.kubeconfig,
    }
    paths = ("bundle", "fault", "kubeconfig", "runs", "state", "tools", "tools_file", "registry_ca")
    return {field: _from_caller(config, value) if field in paths else value for field, value in given.items()}


def runs_folder(config: pytest.Config) -> Path:
    """Where run folders are made: as asked, a relative one from the environment being the root folder's."""
    return config.rootpath / settings_of(config).runs


def suites(config: pytest.Config) -> list[Path]:
    """The folders whose tests need a cluster, resolved; only those that exist."""
    folders = [(config.rootpath / folder).resolve() for folder in config.getini("e2e_suites")]
    return [folder for folder in folders if folder.is_dir()]


def reaches_suites(config: pytest.Config) -> bool:
    """Whether an argument of this call lies in a folder of suites, or holds one."""
    asked = [(config.invocation_params.dir / arg.partition("::")[0]).resolve() for arg in config.args]
    return any(path.is_relative_to(s) or s.is_relative_to(path) for path in asked for s in suites(config))


def is_run(config: pytest.Config) -> bool:
    """Whether this call of pytest runs suites, and does not only list them."""
    return not any(getattr(config.option, name, False) for name in LISTING) and reaches_suites(config)


def _from_caller(config: pytest.Config, path: str | Path | None) -> Path | None:
    return config.invocation_params.dir / Path(path).expanduser() if path else None
