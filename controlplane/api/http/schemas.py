"""Protobuf messages as JSON Schema: what protobuf's JSON of them looks like."""

from collections.abc import Iterable, Iterator
from itertools import combinations

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

Schema = dict[str, object]

_ANY: Schema = {
    "type": "object",
    "description": "A message of any type, its fields beside the name of the type.",
    "properties": {"@type": {"type": "string"}},
    "required": ["@type"],
}
# As protobuf's JSON has them, which is not what their fields are.
_WELL_KNOWN: dict[str, Schema] = {
    "google.protobuf.Any": _ANY,
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Duration": {"type": "string", "pattern": r"^-?[0-9]{1,12}(\.[0-9]{1,9})?s$"},
    "google.protobuf.Struct": {"type": "object"},
    "google.protobuf.Value": {},
    "google.protobuf.ListValue": {"type": "array"},
}
_INT32: Schema = {
    "type": "integer",
    "format": "int32",
    "minimum": -(2**31),
    "maximum": 2**31 - 1,
}
_INT64: Schema = {"type": "string", "format": "int64", "pattern": "^-?[0-9]{1,18}$"}
_SCALARS: dict[int, Schema] = {
    FieldDescriptor.TYPE_BOOL: {"type": "boolean"},
    FieldDescriptor.TYPE_BYTES: {"type": "string", "contentEncoding": "base64"},
    FieldDescriptor.TYPE_DOUBLE: {"type": "number", "format": "double"},
    FieldDescriptor.TYPE_INT32: _INT32,
    FieldDescriptor.TYPE_INT64: _INT64,
    FieldDescriptor.TYPE_STRING: {"type": "string"},
}


def component_schemas(kinds: Iterable[Descriptor | EnumDescriptor]) -> dict[str, Schema]:
    """Return the schemas of the types, and of all that these refer to, by full name."""
    found: dict[str, Schema] = {}
    waiting = list(kinds)
    while waiting:
        kind = waiting.pop()
        if kind.full_name in found:
            continue
        if isinstance(kind, EnumDescriptor):
            found[kind.full_name] = {"type": "string", "enum": [v.name for v in kind.values]}
        else:
            found[kind.full_name] = message_schema(kind)
            waiting.extend(referred_to(kind))
    return dict(sorted(found.items()))


def message_schema(message: Descriptor, without: Iterable[str] = ()) -> Schema:
    """Return the schema of the message's JSON, `without` some of its fields."""
    if message.full_name in _WELL_KNOWN:
        return _WELL_KNOWN[message.full_name]
    left_out = frozenset(without)
    schema: Schema = {
        "type": "object",
        "properties": {
            field.json_name: field_schema(field)
            for field in message.fields
            if field.name not in left_out
        },
    }
    exclusive: list[Schema] = [
        {"not": {"required": [one.json_name, other.json_name]}}
        for oneof in message.oneofs
        for one, other in combinations(oneof.fields, 2)
    ]
    if exclusive:
        schema["allOf"] = exclusive
    return schema


def field_schema(field: FieldDescriptor) -> Schema:
    """Return the schema of one field."""
    schema = _repeated(field) if field.is_repeated else _single(field)
    return {**schema, "deprecated": True} if field.GetOptions().deprecated else schema


def referred_to(message: Descriptor) -> Iterator[Descriptor | EnumDescriptor]:
    """Yield the types of the message's fields; those of maps by their values."""
    if message.full_name in _WELL_KNOWN:
        return
    for field in message.fields:
        kind = field.message_type
        if kind is not None and kind.GetOptions().map_entry:
            field = kind.fields_by_name["value"]
        named = field.message_type or field.enum_type
        if named is not None:
            yield named


def _repeated(field: FieldDescriptor) -> Schema:
    kind = field.message_type
    if kind is not None and kind.GetOptions().map_entry:
        values = _single(kind.fields_by_name["value"])
        return {"type": "object", "additionalProperties": values}
    return {"type": "array", "items": _single(field)}


def _single(field: FieldDescriptor) -> Schema:
    named = field.message_type or field.enum_type
    if named is None:
        return _SCALARS[field.type]
    return {"$ref": f"#/components/schemas/{named.full_name}"}
