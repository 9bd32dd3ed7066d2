"""Wasm modules in Envoy, fetched by HTTP and in an OCI image; one of them is the Coraza WAF.

Manifest: manifests/extensions/wasm.yaml (wasm_image.yaml, wasm_coraza.yaml: OCI images)
Article: none; extensions are among its reasons
"""

import pytest

from harness import timeouts
from harness.experiments.first_wasm_module import load_first_module
from harness.experiments.node_permissions import check_memory_protection_keys

pytestmark = [
    pytest.mark.needs("real gateway"),
    pytest.mark.usefixtures("first_module"),
    pytest.mark.timeout(300, func_only=True),
]
FIRST = "First Wasm module in a running proxy"


@pytest.fixture(scope="module")
def first_module(wasm_registry, at_ingress, at_waypoint, kube, applying):
    """The first module that both proxies get, before all others."""
    return load_first_module(kube, [at_ingress, at_waypoint], applying, "extensions/wasm.yaml", refused, 418)


@pytest.fixture
def memory_protection_keys(mesh_client):
    """A CPU with memory protection keys."""
    check_memory_protection_keys(mesh_client.run_program)


@pytest.mark.feature(FIRST, means="broken", before="1.8")
@pytest.mark.usefixtures("memory_protection_keys")
@pytest.mark.one_witness("only the kubelet reports how a container ended")
def test_first_module_ends_the_proxy(first_module, place):
    """At the {place}, with Envoy Gateway before 1.8, the first Wasm module crashes the running Envoy with exit code
    139 on CPUs with memory protection keys."""
    assert first_module.exits[place.name] == [139]


@pytest.mark.feature(FIRST, since="1.8")
@pytest.mark.one_witness("only the kubelet reports how a container ended")
def test_first_module_does_not_end_the_proxy(first_module, place):
    """At the {place}, with Envoy Gateway 1.8 and later, the first Wasm module does not crash the running Envoy."""
    assert first_module.exits[place.name] == []


@pytest.mark.feature("Wasm over HTTP")
def test_module_over_http_runs(tries, place, here):
    """At the {place}, a Wasm module fetched over HTTP returns 418 for one request and adds a header to all
    responses."""
    policy = here("EnvoyExtensionPolicy/default/wasm")

    trial = tries.policy(place, "extensions/wasm.yaml", policy, requests(place), 418)

    assert marks(trial.treatment) == (["response", "response"], [None, "request"])
    assert marks(trial.control) == marks(trial.recovery) == ([None, None], [None, None])
    assert trial.control.statuses == trial.recovery.statuses == [200, 200]
    assert trial.treatment.statuses == [418, 200]
    assert trial.treatment.details == ["refused_by_wasm", "via_upstream"]
    assert trial.treatment.reached == [0, 1]
    assert trial.past == [[200, 200]] * 3


@pytest.mark.feature("Wasm from an OCI image")
def test_module_of_an_image_runs(tries, place, here):
    """At the {place}, a Wasm module from an OCI image returns 418 for one request and adds a header to all
    responses."""
    policy = here("EnvoyExtensionPolicy/default/wasm-image")

    trial = tries.policy(place, "extensions/wasm_image.yaml", policy, requests(place), 418)

    assert marks(trial.treatment) == (["response", "response"], [None, "request"])
    assert marks(trial.control) == marks(trial.recovery) == ([None, None], [None, None])
    assert trial.control.statuses == trial.recovery.statuses == [200, 200]
    assert trial.treatment.statuses == [418, 200]
    assert trial.treatment.details == ["refused_by_wasm", "via_upstream"]
    assert trial.treatment.reached == [0, 1]
    assert trial.past == [[200, 200]] * 3


@pytest.mark.feature("Coraza WAF (Wasm from an OCI image)")
@pytest.mark.usefixtures("coraza")
@pytest.mark.timeout(600, func_only=True)
def test_firewall_stops_an_attack(tries, place, here):
    """At the {place}, the Coraza WAF as a Wasm module returns 403 for an SQL injection and 200 for another request;
    without the module both return 200."""
    policy = here("EnvoyExtensionPolicy/default/wasm-coraza")
    both = [place.get("/?id=1%27%20OR%20%271%27%3D%271"), place.get("/?id=1")]

    trial = tries.policy(place, "extensions/wasm_coraza.yaml", policy, both, 403, within=timeouts.WASM_COMPILED)

    assert trial.control.statuses == trial.recovery.statuses == [200, 200]
    assert trial.treatment.statuses == [403, 200]
    assert trial.treatment.reached == [0, 1]
    assert trial.treatment.details[1] == "via_upstream" != trial.treatment.details[0]
    assert trial.past == [[200, 200]] * 3


def refused(place):
    """A request that the module answers."""
    return place.get(x_refused="1")


def requests(place):
    """One that the module answers, and one that it marks."""
    return [refused(place), place.get()]


def marks(arm):
    """The module's header in responses, and in requests as the backend received them."""
    return arm.answers.header("x-wasm"), arm.header("x-wasm")
