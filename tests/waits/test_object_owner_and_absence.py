"""Waits for an owner, and for an absence."""

import pytest

from harness.errors import NotReady
from harness.kube import Kube
from harness.wait import set_patience
from harness.waits.object_owner_and_absence import wait_for_absence, wait_for_owner
from tests.fakes.api import FakeApi, named

ACCOUNT = "ServiceAccount/default/a"


def test_owners_are_named(kube: Kube, api: FakeApi) -> None:
    """All of them, by kind and name."""
    api.put(named(ACCOUNT, metadata={"ownerReferences": [{"kind": "Gateway", "name": "a", "uid": "1"}]}))

    assert wait_for_owner(kube, ACCOUNT) == ["Gateway/a"]


def test_absence_is_awaited(kube: Kube, api: FakeApi) -> None:
    """What does not exist is gone and has no owner; what stays, or has none either, ends the wait with its name."""
    set_patience(0.01)
    wait_for_absence(kube, ACCOUNT)
    with pytest.raises(NotReady, match=f"{ACCOUNT} has an owner"):
        wait_for_owner(kube, ACCOUNT)
    api.put(named(ACCOUNT))

    with pytest.raises(NotReady, match=f"{ACCOUNT} is gone"):
        wait_for_absence(kube, ACCOUNT)
    with pytest.raises(NotReady, match=f"{ACCOUNT} has an owner"):
        wait_for_owner(kube, ACCOUNT)
