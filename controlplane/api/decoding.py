"""Requests as they come over gRPC: bytes that anyone may have made."""

from typing import TypeVar

import grpc
from google.protobuf.message import DecodeError, Message

from controlplane.api.refusals import Refusal

Asked = TypeVar("Asked", bound=Message)

_NUL = "\0"


def decoded(kind: type[Asked], body: bytes) -> Asked | Refusal:
    """Return the request that the bytes are, or the refusal if they are none.

    Left to gRPC, that would be UNKNOWN, which some clients repeat, and a traceback in the log.
    """
    try:
        request = kind.FromString(body)
    except DecodeError:
        wrong: str | None = f"the {len(body)} bytes received are not a {kind.DESCRIPTOR.full_name}"
    else:
        wrong = illegible(request) if b"\0" in body else None
    return request if wrong is None else Refusal(grpc.StatusCode.INVALID_ARGUMENT, wrong)


def illegible(message: Message) -> str | None:
    """Return what is wrong with the first text that cannot be stored, if there is any."""
    for field, value in message.ListFields():
        kind = field.message_type
        if kind is not None and kind.GetOptions().map_entry:
            held = [*value.keys(), *value.values()]
        else:
            held = list(value) if field.is_repeated else [value]
        for each in held:
            wrong = illegible(each) if isinstance(each, Message) else None
            if wrong is None and isinstance(each, str) and _NUL in each:
                wrong = f"{field.json_name} holds the character NUL: send text without it"
            if wrong is not None:
                return wrong
    return None
