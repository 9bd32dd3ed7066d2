"""Settings: read in one place, refused aloud."""

import shlex
import subprocess
from pathlib import Path

import pytest

from harness import cli, settings, settings_table
from harness.errors import BadInput


def test_defaults_need_no_environment() -> None:
    """Without any variable a kind cluster with the default version set is asked for."""
    found = settings.read_settings()

    assert (found.cluster, found.versions, found.keep, found.waypoint, found.workers) == (
        "kind", "", "never", "binding", 1,
    )  # fmt: skip
    assert found.install is False


def test_package_without_the_files_beside_it_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wheel holds no manifests, suites or versions: every command ends with 2 and says how it is installed."""
    monkeypatch.setattr(settings, "ROOT", tmp_path)

    assert [cli.main([command]) for command in ("doctor", "images", "clean")] == [2, 2, 2]
    assert capsys.readouterr().err.count("runs from a clone of its repository") == 3


def test_variables_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """E2E_<NAME> is read for each field."""
    for name, value in {
        "CLUSTER": "existing",
        "CONTEXT": "prod",
        "INSTALL": "1",
        "BUNDLE": "/b",
        "WORKERS": "3",
    }.items():
        monkeypatch.setenv(f"E2E_{name}", value)

    found = settings.read_settings()

    assert (found.cluster, found.context, found.install, found.bundle, found.workers) == (
        "existing", "prod", True, Path("/b"), 3,
    )  # fmt: skip


def test_empty_variables_are_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    """make passes variables that nobody set as empty ones: they mean the default."""
    for name in settings.Settings.model_fields:
        monkeypatch.setenv(f"E2E_{name.upper()}", "")

    assert settings.read_settings().model_dump(exclude={"state"}) == settings.Settings().model_dump(exclude={"state"})


def test_options_come_before_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """An override wins; one that is None was not given."""
    monkeypatch.setenv("E2E_CLUSTER", "existing")
    monkeypatch.setenv("E2E_KEEP", "always")

    found = settings.read_settings(cluster="emulated", keep=None)

    assert (found.cluster, found.keep) == ("emulated", "always")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cluster", "minikube"),
        ("cluster_name", "Has_Capitals"),
        ("cluster_name", "-a"),
        ("cluster_name", "a" * 60),
        ("cluster_name", "../up"),
        ("keep", "sometimes"),
        ("waypoint", "sidecar"),
        ("workers", "many"),
        ("workers", "-1"),
        ("workers", "99"),
        ("install", "perhaps"),
        ("delay_factor", "0.5"),
        ("delay_factor", "fast"),
    ],
)
def test_wrong_values_name_their_variable(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """A value that is not allowed is bad input that names the variable, the value and what is allowed."""
    monkeypatch.setenv(f"E2E_{name.upper()}", value)

    with pytest.raises(BadInput) as caught:
        settings.read_settings()

    assert f"{name}={value!r}" in str(caught.value)
    assert f"set E2E_{name.upper()}" in caught.value.remedy
    assert caught.value.exit_code == 2


def test_wrong_option_is_bad_input_too() -> None:
    """An override is checked like a variable."""
    with pytest.raises(BadInput, match="one of kind, existing, emulated, did you mean 'kind'"):
        settings.read_settings(cluster="kindly")


def test_settings_do_not_change() -> None:
    """Settings are a value."""
    with pytest.raises(ValueError, match="frozen"):
        settings.read_settings().keep = "always"  # type: ignore[misc]  # that is what is tested


@pytest.mark.parametrize(
    ("value", "expected"), [("", False), ("false", False), ("0", False), ("true", True), ("1", True)]
)
def test_ci_is_known_by_its_variable(monkeypatch: pytest.MonkeyPatch, value: str, expected: bool) -> None:
    """CI says of itself that it is one."""
    monkeypatch.setenv("CI", value)

    assert settings.is_ci() is expected


def test_github_is_reported_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """On GitHub the summary file and the build are known, elsewhere neither."""
    for name in ("GITHUB_STEP_SUMMARY", "GITHUB_RUN_ID"):
        monkeypatch.delenv(name, raising=False)
    assert settings.github_summary() is None
    assert settings.ci_build() is None

    variables = {
        "STEP_SUMMARY": "/s.md", "RUN_ID": "77", "RUN_NUMBER": "5", "WORKFLOW": "conformance",
        "SERVER_URL": "https://github.com", "REPOSITORY": "me/it",
    }  # fmt: skip
    for name, value in variables.items():
        monkeypatch.setenv(f"GITHUB_{name}", value)

    assert settings.github_summary() == Path("/s.md")
    assert settings.ci_build() == ("GitHub Actions", "conformance #5", 5, "https://github.com/me/it/actions/runs/77")


def test_make_is_given_what_the_run_was_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variables of the command that a failure prints bring about the same settings; defaults are left out."""
    asked = settings.Settings(
        cluster="existing",
        cluster_name="theirs",
        versions="istio-1.29-eg-1.9",
        waypoint="listener",
        workers=3,
        node_image="kindest/node:v1",
        bundle=Path("a folder"),
        kubeconfig=Path("/x/kube config"),
        context="team's",
        install=True,
    )
    assert settings.as_make_variables(settings.Settings()) == ["CLUSTER=kind"]
    variables = settings.as_make_variables(asked)
    make = ["make", "--no-print-directory", "--eval", "show: ; @env", "show", *(shlex.split(" ".join(variables)))]
    root = Path(settings.__file__).parents[1]

    shown = subprocess.run(make, cwd=root, capture_output=True, text=True, check=True).stdout

    for line in shown.splitlines():
        if line.startswith("E2E_"):
            monkeypatch.setenv(*line.split("=", 1))
    assert settings.read_settings() == asked


def test_every_setting_is_in_the_table_and_in_the_makefile() -> None:
    """docs/settings.md is what `mesh-e2e settings` prints, and make passes every setting on."""
    root = Path(__file__).parents[2]
    listed = (root / "Makefile").read_text().partition("SETTINGS := ")[2].partition("$(foreach")[0].replace("\\", "")

    assert (root / "docs" / "settings.md").read_text() == settings_table.settings_page()
    assert sorted(listed.split()) == sorted(
        settings.setting_names(field)[0] for field in settings.Settings.model_fields
    )


def test_unread_variables_are_reported_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the name that was meant."""
    monkeypatch.setenv("E2E_CLUSTR", "kind")

    assert settings.unused_variables() == ["E2E_CLUSTR is no setting, did you mean 'E2E_CLUSTER'?"]
