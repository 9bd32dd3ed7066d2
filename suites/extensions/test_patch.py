"""JSON patches of Envoy's configuration.

Manifest: manifests/extensions/patch.yaml    Article: "Lack of EnvoyFilter Support", with EnvoyPatchPolicy in its place
"""

import pytest

pytestmark = pytest.mark.needs("real gateway")


@pytest.mark.feature("EnvoyPatchPolicy, JSON patch")
def test_patch_is_in_force(tries, place, here):
    """At the {place}, an EnvoyPatchPolicy on the listener adds a via header to requests and responses until it is
    deleted."""
    policy = here(f"EnvoyPatchPolicy/default/patch-{place.name}")

    trial = tries.policy(place, "extensions/patch.yaml", policy, [place.get()], lambda a: a.header("via") == "patched")

    assert (trial.control.statuses, trial.treatment.statuses, trial.recovery.statuses) == ([200], [200], [200])
    assert trial.treatment.answers.header("via") == ["patched"]
    assert trial.treatment.header("via") == ["patched"]
    assert trial.control.header("via") == trial.recovery.header("via") == [None]
