"""What a request may be made of, whatever it says."""

from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, model_validator

Name = Annotated[str, Field(max_length=100)]
Reason = Annotated[str, Field(min_length=1, max_length=1000)]
"""For whoever reads the audit log later."""

_LARGEST_INTEGER = 2**63 - 1
_DEEPEST = 20


class StrictBody(BaseModel):
    """A body that says nothing we would pass over, and nothing that we could not keep.

    Bodies travel through workflow histories and into PostgreSQL, which knows neither NUL in text
    nor halves of UTF-16 pairs, and JSON has no infinities.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _can_be_kept(cls, body: JsonValue | Self) -> JsonValue | Self:
        if not isinstance(body, cls):
            _check(body, 0)
        return body


def _check_text(text: str) -> str:
    if "\0" in text:
        raise ValueError(f"{text[:100]!r} holds the character NUL, which no text here may")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{text[:100]!r} is no Unicode text: it holds half a pair") from None
    return text


KeepableText = Annotated[str, AfterValidator(_check_text)]
"""What stands for itself: a part of a path, or of a query."""


def _check(value: object, depth: int) -> None:
    if depth > _DEEPEST:
        raise ValueError(f"values lie within each other {_DEEPEST} deep at most")
    match value:
        case str():
            _check_text(value)
        case int() if abs(value) > _LARGEST_INTEGER:
            raise ValueError(f"a whole number is {_LARGEST_INTEGER} at most")
        case dict():
            for name, inner in value.items():
                _check(name, depth)
                _check(inner, depth + 1)
        case list():
            for inner in value:
                _check(inner, depth + 1)
        case _:
            pass
