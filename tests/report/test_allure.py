"""Allure's files, and the face without Allure behind it."""

from __future__ import annotations

import json
import re

import pytest

from harness.observations import Attachment
from harness.report import allure
from harness.settings import CiBuild


@pytest.mark.parametrize(
    ("status", "message", "category"),
    [
        ("broken", "harness.errors.SetupFailed: pod istiod: ImagePullBackOff\n  remedy: x", "Setup error"),
        ("broken", "harness.errors.CommandFailed: `helm install` ended with status 1: x", "Setup error"),
        ("broken", "harness.errors.NotReady: Envoy enforces quota: not within 45s", "Policy not enforced"),
        ("broken", "harness.errors.NotReady: Gateway/x Accepted: not within 60s", "Setup error"),
        ("broken", "harness.errors.SetupFailed: the limiter is down: 0 of 1 pods", "Limiter down"),
        ("broken", "httpx.ConnectError: [Errno 111] Connection refused", "Transport"),
        ("broken", "harness.errors.SetupFailed: API: Connection reset by peer", "Transport"),
        ("broken", "harness.errors.Inconclusive: no line for 127.0.0.1:1", "Unknown: could not be judged"),
        ("failed", "AssertionError: assert [200] == [429]\n  At index 0", "Claim broken"),
    ],
)
def test_each_error_has_one_category(status, message, category):
    """Allure files a result under every category that fits: exactly one does."""
    fitting = [
        one["name"]
        for one in json.loads(allure.categories())
        if status in one.get("matchedStatuses", [status])
        and re.fullmatch(one.get("messageRegex", ".*"), message, re.DOTALL)
    ]

    assert fitting == [category]


def test_nothing_is_needed_of_allure(monkeypatch):
    """Without the package every call passes."""
    monkeypatch.setattr(allure, "allure", None)

    allure.describe(claim="A.", area="ingress", cluster="kind", versions={"istio": "1"})
    allure.attach([Attachment("a.yaml", "x")])
    allure.steps()(None, "started")


def test_environment_is_a_properties_file():
    """One line a fact, whatever the fact holds."""
    text = allure.environment(
        cluster="emulated", set_name="s", versions={"istio": "1.29.1"}, facts={"node image": "a\nb", "istio": "no"}
    )

    assert text == "cluster=emulated (EMULATED: not conformance)\nset=s\nistio=1.29.1\nnode_image=a b\n"


def test_the_executor_names_the_build():
    """For CI systems."""
    found = json.loads(allure.executor(CiBuild("GitHub Actions", "e2e #7", 7, "https://x/7")))

    assert found == {
        "name": "GitHub Actions",
        "type": "githubactions",
        "buildName": "e2e #7",
        "buildOrder": 7,
        "buildUrl": "https://x/7",
    }
