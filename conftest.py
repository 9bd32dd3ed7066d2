"""The root conftest: pytester for the harness's own tests, and a word if the plugin itself is missing.

Options, fixtures and reports come from the plugin `mesh_e2e` (harness/plugin), which installing the project registers.
"""

import pytest

pytest_plugins = ["pytester"]


def pytest_configure(config: pytest.Config) -> None:
    if not config.pluginmanager.has_plugin("mesh_e2e"):
        raise pytest.UsageError("the harness is not installed here: run `make test`, or `pip install -e .`")
