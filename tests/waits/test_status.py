"""A controller's word: of the current generation, and in its own words."""

from pathlib import Path

import pytest

from harness import cluster_call_records, observations, record_replay, timeouts
from harness.errors import NotReady, Terminal
from harness.kube import Kube, ObjectMissing
from harness.waits import status
from tests import recordings
from tests.fakes.api import FakeApi, Object, named
from tests.fakes.clock import Clock

NAME = "GatewayClass/eg"


def gateway_class(state: str, reason: str = "Accepted", message: str = "Valid", *, observed: int = 1) -> Object:
    """A class with that condition, in generation 1."""
    condition = {
        "type": "Accepted",
        "status": state,
        "reason": reason,
        "message": message,
        "observedGeneration": observed,
    }
    return named(NAME, metadata={"generation": 1}, spec={"controllerName": "eg"}, status={"conditions": [condition]})


def later(api: FakeApi, clock: Clock, *states: tuple[float, Object]) -> None:
    """From each of these seconds on, the object is as given."""
    began = clock.be_exact()
    api.on_get = lambda _: [api.put(obj) for at, obj in states if clock.now - began >= at]


def test_condition_is_awaited(kube: Kube, api: FakeApi, clock: Clock) -> None:
    """True for the current generation is what is waited for; the judgement comes back."""
    api.put(gateway_class("Unknown", "Pending", "Waiting for controller"))
    later(api, clock, (3, gateway_class("True")))

    assert status.wait_for_condition(kube, NAME, "Accepted").met
    assert 3 <= clock.slept < 4


def test_stale_condition_is_not_true(kube: Kube, api: FakeApi, clock: Clock) -> None:
    """A True of the generation before is no True."""
    api.put(gateway_class("True", observed=0))

    with pytest.raises(NotReady) as caught:
        status.wait_for_condition(kube, NAME, "Accepted", within=5)

    assert "observed" in str(caught.value) or "stale" in str(caught.value)


def test_status_that_does_not_come_is_quoted(kube: Kube, api: FakeApi, clock: Clock) -> None:
    """The last message of the status is in the error."""
    api.put(gateway_class("Unknown", "Pending", "Waiting for controller"))

    with pytest.raises(NotReady, match=r"GatewayClass/eg is Accepted=True: .*Waiting for controller"):
        status.wait_for_condition(kube, NAME, "Accepted")

    assert clock.slept >= timeouts.STATUS - 1


def test_terminal_reason_ends_the_wait_once_it_stands(kube: Kube, api: FakeApi, clock: Clock) -> None:
    """A refusal that stands for some seconds ends the wait early, in the controller's words."""
    api.put(gateway_class("False", "Invalid", "spec is wrong"))

    with pytest.raises(Terminal, match="spec is wrong"):
        status.wait_for_condition(kube, NAME, "Accepted")

    assert status.FLICKER <= clock.slept < status.FLICKER + 1


def test_what_an_object_refers_to_may_come_a_little_later(kube: Kube, api: FakeApi, clock: Clock) -> None:
    """A class whose parameters are missing is accepted once they are there: the recorded refusal is no end."""
    refused = recordings.obj("negative/gatewayclass-neg-class.yaml")
    accepted = named("GatewayClass/neg-class", spec=refused["spec"], status=gateway_class("True")["status"])
    api.put(refused)
    began = clock.be_exact()
    come = [named("EnvoyProxy/default/nosuch"), accepted]
    api.on_get = lambda _: [api.put(one) for one in come if clock.now - began >= timeouts.MISSING_GRACE]

    assert status.wait_for_condition(kube, "GatewayClass/neg-class", "Accepted").met


def test_what_does_not_exist_ends_the_wait_and_is_named(
    kube: Kube, api: FakeApi, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line after the first says what the object refers to; the wait takes seconds, not its whole bound."""
    monkeypatch.setattr(timeouts, "CAUSES", 120.0)  # real seconds: a busy machine reads slowly
    api.put(named("Gateway/default/g", metadata={"generation": 1}, spec={"gatewayClassName": "eg-ingres"}))
    api.put(named("GatewayClass/eg-ingress"))

    with pytest.raises(Terminal) as caught:
        status.wait_for_condition(kube, "Gateway/default/g", "Programmed", within=timeouts.ROLLOUT)

    assert str(caught.value).splitlines()[1] == (
        "  cause: Gateway default/g has the gatewayClassName of GatewayClass eg-ingres, which does not exist "
        "(did you mean eg-ingress?)"
    )
    assert timeouts.MISSING_GRACE <= clock.slept <= timeouts.MISSING_GRACE + 3 * status.REFERENCES_EVERY


def test_a_wait_that_read_references_is_replayed(kube: Kube, api: FakeApi, clock: Clock, tmp_path: Path) -> None:
    """They are read in a thread, and recorded as a whole: the same error with the same cause, and nothing is lost."""
    api.put(named("Gateway/default/g", metadata={"generation": 1}, spec={"gatewayClassName": "eg-ingres"}))
    file = (tmp_path / cluster_call_records.FILE).open("wb", buffering=0)
    recorder = cluster_call_records.Recorder(file, str, pytest.fail)
    recorder.head({"schema": cluster_call_records.SCHEMA, "settings": {}})
    with record_replay.use_tape(recorder), recorder.scope("test a"), pytest.raises(Terminal) as recorded:
        status.wait_for_condition(kube, "Gateway/default/g", "Programmed")
    file.close()

    replay = cluster_call_records.Records(tmp_path)
    with record_replay.use_tape(replay), replay.scope("test a"), pytest.raises(Terminal) as replayed:
        status.wait_for_condition(kube, "Gateway/default/g", "Programmed")

    assert ["which does not exist" in cause for cause in recorded.value.causes] == [True]
    assert replayed.value.causes == recorded.value.causes


def test_causes_that_cannot_be_read_hide_nothing(kube: Kube, api: FakeApi, clock: Clock) -> None:
    """Credentials that may not list GatewayClasses: the wait runs out as ever, and says what was last seen."""
    api.put(named("Gateway/default/g", metadata={"generation": 1}, spec={"gatewayClassName": "eg-ingres"}))
    api.refuse("GET", "gatewayclasses", 403)

    with pytest.raises(NotReady, match="Programmed absent") as caught:
        status.wait_for_condition(kube, "Gateway/default/g", "Programmed", within=20)

    assert "cause:" not in str(caught.value)


def test_flickering_refusal_does_not_end_it(kube: Kube, api: FakeApi, clock: Clock) -> None:
    """A terminal reason that comes and goes while manifests are applied is not final."""
    bad, good = gateway_class("False", "Invalid", "not found"), gateway_class("Unknown", "Pending")
    api.put(bad)
    later(api, clock, *((n * 2.0, (bad, good)[n % 2]) for n in range(8)), (16.0, gateway_class("True")))

    assert status.wait_for_condition(kube, NAME, "Accepted").met
    assert clock.slept >= 16


def test_object_that_is_not_there_is_missing(kube: Kube, clock: Clock) -> None:
    """A misspelt name is not waited for."""
    with pytest.raises(ObjectMissing):
        status.wait_for_condition(kube, NAME, "Accepted")

    assert clock.sleeps == []


def test_server_away_is_not_yet(kube: Kube, api: FakeApi, clock: Clock) -> None:
    """A 503 in between does not end the wait."""
    api.put(gateway_class("True"))
    api.refuse("GET", "gatewayclasses/eg", 503, times=2)

    assert status.wait_for_condition(kube, NAME, "Accepted").met


def test_said_is_what_it_says_now(kube: Kube, api: FakeApi, clock: Clock) -> None:
    """No wait, whatever it says; and it is noted."""
    api.put(gateway_class("Unknown", "Pending", "Waiting for controller"))

    assert not status.read_condition(kube, NAME, "Accepted").met
    assert clock.sleeps == []
    assert observations.page().sightings[0].who == f"status of {NAME}"


@pytest.mark.parametrize(("state", "reason"), [("True", "Accepted"), ("False", "InvalidParameters")])
def test_spoken_is_yes_or_no(kube: Kube, api: FakeApi, clock: Clock, state: str, reason: str) -> None:
    """Whichever it says of the current generation is the answer, awaited from before the object exists."""
    began = clock.be_exact()
    api.on_get = lambda _: [api.put(gateway_class(state, reason))] if clock.now - began >= 2 else None

    found = status.wait_for_current_condition(kube, NAME, "Accepted")

    assert (found.status, found.reason) == (state, reason)


def test_spoken_of_an_old_generation_does_not_count(kube: Kube, api: FakeApi, clock: Clock) -> None:
    """What was reported of the spec before says nothing of this one."""
    api.put(gateway_class("False", "InvalidParameters", observed=0))

    with pytest.raises(NotReady, match="says whether it is Accepted"):
        status.wait_for_current_condition(kube, NAME, "Accepted")


def test_refused_is_no_of_this_generation(kube: Kube, api: FakeApi, clock: Clock) -> None:
    """A refusal is awaited; an acceptance is none."""
    api.put(gateway_class("True"))
    with pytest.raises(NotReady, match="GatewayClass/eg is Accepted=False"):
        status.wait_for_false_condition(kube, NAME, "Accepted")
    api.put(gateway_class("False", "InvalidParameters", "default/nowhere not found"))

    assert status.wait_for_false_condition(kube, NAME, "Accepted").message == "default/nowhere not found"
