"""Requests as grpc-gateway reads them: a JSON body or query parameters, and the path over both.

Names are lowerCamelCase or as the messages spell them; fields that a body has and we do not know
are left out, as protobuf does. All that is wrong with a request is INVALID_ARGUMENT.
"""

import json
from collections.abc import Iterable, Sequence
from urllib.parse import parse_qs

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from controlplane.api.decoding import illegible
from controlplane.errors import invalid_argument

TEXTUAL = frozenset({"google.protobuf.Timestamp", "google.protobuf.Duration"})
"""Messages that are a string in JSON, and so one parameter."""

_MOST_PARAMETERS = 1000
_TRUE, _FALSE = frozenset({"1", "t", "true"}), frozenset({"0", "f", "false"})


def request_of(
    kind: Descriptor, fields: dict[str, object], path: Iterable[tuple[str, str]]
) -> Message:
    """Return the request that the fields make; `path` is its variables with their values."""
    for name, value in path:
        _bind(fields, kind, name, [value])
    try:
        request = ParseDict(fields, GetMessageClass(kind)(), ignore_unknown_fields=True)
    except (ParseError, ValueError, TypeError, AttributeError, RecursionError) as error:
        # Only the first is documented; of a Struct, or text that is not Unicode, others come too.
        raise invalid_argument(f"the request is not a {kind.name}: {error}") from None
    wrong = illegible(request)
    if wrong is not None:
        raise invalid_argument(wrong)
    return request


def fields_of_body(body: bytes) -> dict[str, object]:
    """Return what a JSON body says; an empty one says nothing."""
    try:
        fields = json.loads(body or b"{}")
    except (ValueError, RecursionError) as error:
        raise invalid_argument(f"the body is not JSON: {error}") from None
    if not isinstance(fields, dict):
        raise invalid_argument("the body is not a JSON object")
    return fields


def fields_of_query(kind: Descriptor, query: str) -> dict[str, object]:
    """Return what query parameters say: `pageSize=5&googleGroup.emailAddress=a@b`.

    A parameter that is no field is refused: a misspelt resourceVersion must not go unnoticed.
    """
    fields: dict[str, object] = {}
    try:
        named = parse_qs(query, keep_blank_values=True, max_num_fields=_MOST_PARAMETERS)
    except ValueError as error:
        raise invalid_argument(f"the query parameters cannot be read: {error}") from None
    for path, values in named.items():
        _bind(fields, kind, path, values)
    return fields


def _bind(fields: dict[str, object], message: Descriptor, path: str, values: Sequence[str]) -> None:
    """Set the field that a parameter names, over whatever was said of it before."""
    name, _, rest = path.partition(".")
    field = next((f for f in message.fields if name in (f.name, f.json_name)), None)
    nested = None if field is None else _nested(field)
    if field is None or (nested is None) == bool(rest) or (nested and field.is_repeated):
        raise invalid_argument(
            f"{message.name} has no field {path[:200]!r} that a parameter could set"
        )
    said = fields.pop(field.name, fields.pop(field.json_name, None))
    if nested is not None:
        inner = said if isinstance(said, dict) else {}
        _bind(inner, nested, rest, values)
        fields[field.json_name] = inner
    elif field.is_repeated:
        fields[field.json_name] = [_scalar(field, value) for value in values]
    elif len(values) > 1:
        raise invalid_argument(f"{path!r} is given {len(values)} times: it takes one value")
    else:
        fields[field.json_name] = _scalar(field, values[0])


def _nested(field: FieldDescriptor) -> Descriptor | None:
    kind = field.message_type
    return None if kind is None or kind.full_name in TEXTUAL else kind


def _scalar(field: FieldDescriptor, value: str) -> str | bool:
    """Return the value as protobuf's JSON has it, which reads everything but booleans from text."""
    if field.type == FieldDescriptor.TYPE_BOOL:
        if value.lower() in _TRUE:
            return True
        if value.lower() in _FALSE:
            return False
    return value
