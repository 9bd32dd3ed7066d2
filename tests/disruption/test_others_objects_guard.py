"""What of others a suite touches follows from its source, and each that touches something asks for it."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

from harness.components import Ztunnels
from harness.disruption import hbone_port_takeover, helm_upgrade, nodes, others_objects_guard, restarts
from harness.errors import NotAllowed
from harness.kube import Kube
from harness.undo.temporary_changes import Manifests
from harness.undo.undo_log import UndoLog
from harness.version_sets import load
from tests.fakes.api import FakeApi, named
from tests.fakes.cluster import FakeCluster
from tests.fakes.pods import pod
from tests.sources import tree

ROOT = Path(others_objects_guard.__file__).parents[2]
SUITES = sorted((ROOT / "suites").glob("*/test_*.py"))
FIXTURES = [*sorted((ROOT / "harness" / "plugin").glob("fixtures*.py")), *(ROOT / "suites").rglob("conftest.py")]
NOT_OURS = "not ours here"
REDIS = ["Deployment/redis-system/redis", "Namespace/redis-system (cluster-wide)", "Service/redis-system/redis"]
HEAD = "from harness.disruption import nodes, restarts\n"


def asks(suite: Path) -> bool:
    """Whether the whole file carries needs("disruptive")."""
    for node in tree(suite).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark":
            calls = [one for one in ast.walk(node.value) if isinstance(one, ast.Call)]
            return any(
                ast.unparse(call.func) == "pytest.mark.needs" and "disruptive" in map(ast.literal_eval, call.args)
                for call in calls
            )
    return False


def test_each_suite_that_touches_others_asks_for_it() -> None:
    """The mark is on exactly the files whose source says so, so that they are skipped before anything is set up."""
    wrong = [
        f"{file.parent.name}/{file.name}"
        for file in SUITES
        if bool(others_objects_guard.describe_touched(file)) != asks(file)
    ]

    assert len([file for file in SUITES if asks(file)]) > 6
    assert wrong == []


def test_no_fixture_touches_others() -> None:
    """What every suite gets by name needs no mark."""
    assert {str(file): found for file in FIXTURES if (found := others_objects_guard.describe_touched(file))} == {}


def test_no_suite_takes_the_client_without_limits() -> None:
    """It is for installing and undoing."""
    assert [file.name for file in SUITES if ".unrestricted" in file.read_text()] == []


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("restarts.while_scaled_to_zero(m, restarts.ISTIOD)", ["Deployment/istio-system/istiod"]),
        ("restarts.restart_rolling(k, restarts.WAYPOINT)", []),
        ("nodes.while_drained(m, 'x')", ["a node and every pod that can leave it"]),
        ("kube.delete(['Pod/istio-system/ztunnel-1'])", ["Pod/istio-system/ztunnel-1"]),
        ("kube.get('Deployment/istio-system/istiod')", []),
        ("kube.patch('Namespace/default', {})", []),
        ("kube.patch('Namespace/kube-system', {})", ["Namespace/kube-system (cluster-wide)"]),
        ("applying('mtls/strict.yaml')", []),
        ("applying('base/redis.yaml')", REDIS),
        ("applying(f'base/red{form}.yaml')", REDIS),
        ("'It speaks of base/redis.yaml only.'", []),
    ],
)
def test_a_source_says_what_is_touched(tmp_path: Path, source: str, what: list[str]) -> None:
    """By what it uses, applies and writes to; not by what it reads or only is about."""
    suite = tmp_path / "test_x.py"
    suite.write_text(HEAD + source)

    assert others_objects_guard.describe_touched(suite) == what


@pytest.fixture
def limited(kube: Kube, api: FakeApi) -> Kube:
    """A client where nobody asked for disruption, over a cluster with somebody's ztunnel, istiod and node."""
    ztunnel = pod("istio-system/ztunnel-1", labels={"app": "ztunnel"}) | {"spec": {"nodeName": "worker"}}
    api.put(
        ztunnel,
        named("Node/worker"),
        named(restarts.ISTIOD, spec={"replicas": 1, "selector": {"matchLabels": {"app": "istiod"}}}),
    )
    return Kube(kube.kubeconfig, kube.context, not_ours=NOT_OURS)


def test_disruption_is_refused_where_nobody_asked_for_it(limited: Kube, api: FakeApi, tmp_path: Path) -> None:
    """Whatever the marks say: each way of touching others raises the reason, and nothing was changed."""
    cluster: Any = FakeCluster(limited.kubeconfig, "existing")
    cluster.cannot_judge = {"disruptive": NOT_OURS}
    manifests = Manifests(limited, load().pick(), UndoLog(tmp_path / "notes.json"))
    release: Any = type("Release", (), {"name": "istiod"})
    no_admin: Any = None

    with pytest.raises(NotAllowed, match=NOT_OURS):
        hbone_port_takeover.kill_ztunnel(limited, Ztunnels(limited, no_admin), "worker")
    with pytest.raises(NotAllowed, match=NOT_OURS):
        restarts.restart_rolling(limited, restarts.ISTIOD)
    with pytest.raises(NotAllowed, match=NOT_OURS), nodes.while_drained(manifests, "worker"):
        pytest.fail("drained")
    with pytest.raises(NotAllowed, match=NOT_OURS), nodes.while_api_server_stopped(cluster):
        pytest.fail("stopped")
    with pytest.raises(NotAllowed, match=NOT_OURS):
        helm_upgrade.upgrade_releases(cluster, limited, release)
    with (
        pytest.raises(NotAllowed, match=NOT_OURS),
        helm_upgrade.while_releases_change(cluster, limited, {"ztunnel": release}),
    ):
        pytest.fail("changed")
    assert cluster.calls == []
    assert [seen for seen in api.requests if seen.method != "GET"] == []
