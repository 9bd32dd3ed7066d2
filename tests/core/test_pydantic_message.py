"""What pydantic rejects, as one sentence."""

from typing import Annotated, Literal

import pydantic
import pytest
from pydantic import BaseModel, ConfigDict, Field

from harness.pydantic_message import phrase, sentence


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid")

    broken: Annotated[str, Field(min_length=10)]
    kind: Literal["a", "b"] = "a"
    number: int = 1


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "broken is missing"),
        ({"brokn": "what is broken"}, "brokn is unknown, did you mean 'broken'?"),
        ({"broken": "x"}, "broken ('x') has fewer than 10 characters"),
        ({"broken": 1.3}, "broken (1.3) is not text (quote it)"),
        ({"broken": "long enough", "kind": "c"}, "kind ('c') is not one of 'a' or 'b'"),
        ({"broken": "long enough", "number": "x"}, "number ('x') is not a whole number"),
        (None, "the file is not a mapping"),
    ],
)
def test_sentence_names_the_field_and_what_is_wrong(given: object, expected: str) -> None:
    """Without pydantic's words; an unknown key is named rather than the missing one that it resembles."""
    with pytest.raises(pydantic.ValidationError) as caught:
        _Row.model_validate(given)

    assert sentence(caught.value) == expected


def test_other_errors_have_no_words_of_pydantics() -> None:
    """Nothing is known of them but that the value is not allowed."""
    assert phrase("url_scheme", {"expected_schemes": "'https'"}) == "is not allowed"
