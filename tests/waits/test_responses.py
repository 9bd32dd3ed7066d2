"""Asked until it is answered so: no answer at all is one that may be wanted."""

import pytest

from harness import timeouts
from harness.errors import NotReady
from harness.http_exchange import Answer, Request, get
from harness.kube import ApiUnavailable
from harness.waits.responses import wait_for_response
from tests.fakes.clock import Clock

REQUEST = get("http://ratings:9080/ratings/0")


class Client:
    """Answers with these in turn, the last for ever; None is a connection that is cut."""

    def __init__(self, *answers: int | Exception | None) -> None:
        self._left, self.asked = list(answers), 0

    def send(self, request: Request) -> Answer:
        assert request is REQUEST
        self.asked += 1
        one = self._left.pop(0) if len(self._left) > 1 else self._left[0]
        if isinstance(one, Exception):
            raise one
        return Answer(f"rq-{self.asked}", one, {}, 1, error="" if one else "connection reset")


@pytest.mark.parametrize("wanted", [200, 404, None])
def test_asked_until_the_answer_is_the_wanted_one(clock: Clock, wanted: int | None) -> None:
    """Any status, or none; an API server that is away for a moment is no answer."""
    client = Client(503, ApiUnavailable("away"), wanted)

    answer = wait_for_response(client, REQUEST, status=wanted)  # type: ignore[arg-type]  # stands in for either client

    assert (answer.status, client.asked) == (wanted, 3)


@pytest.mark.parametrize(
    ("answer", "status", "message"), [(503, 200, "503"), (None, 200, "connection reset"), (200, None, "200")]
)
def test_what_is_answered_instead_is_reported(
    clock: Clock, answer: int | None, status: int | None, message: str
) -> None:
    """The wait ends in its time, with what came last."""
    with pytest.raises(NotReady, match=f"answers {status or 'nothing'}: .* last seen: {message}"):
        wait_for_response(Client(answer), REQUEST, status=status)  # type: ignore[arg-type]  # as above

    assert clock.slept <= timeouts.XDS_PROPAGATION + 1
