"""What has to change for one spec to become another, field by field."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from temporalio.api.cloud.namespace.v1 import NamespaceSpec

from controlplane.cli.spec.ca_bundle import authorities
from controlplane.cli.spec.plain import completed, plain

NOTHING = ""
"""How a field that says nothing reads."""


@dataclass(frozen=True)
class Change:
    what: str
    """The field as a spec file calls it, such as `mtlsAuth.enabled`."""
    now: str
    wanted: str


def spec_changes(now: NamespaceSpec | None, wanted: NamespaceSpec) -> list[Change]:
    """Return what an update from `now` to `wanted` changes; everything, when there is no `now`."""
    if now is None:
        return _changes({}, dict(_fields(plain(wanted))))
    return _changes(dict(_fields(plain(now))), dict(_fields(completed(wanted, now))))


def tag_changes(now: Mapping[str, str], wanted: Mapping[str, str]) -> list[Change]:
    """Return which tags are set, changed and removed."""
    return _changes(
        {f"tags.{key}": value for key, value in now.items()},
        {f"tags.{key}": value for key, value in wanted.items()},
    )


def _changes(now: Mapping[str, str], wanted: Mapping[str, str]) -> list[Change]:
    return [
        Change(what, now.get(what, NOTHING), wanted.get(what, NOTHING))
        for what in dict.fromkeys([*wanted, *now])
        if now.get(what, NOTHING) != wanted.get(what, NOTHING)
    ]


def _fields(message: Message, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield every field that says something, with what it says."""
    for field, value in message.ListFields():
        what = f"{path}{field.json_name}"
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            kind = field.message_type.fields_by_name["value"]
            for key in sorted(value):
                yield f"{what}.{key}", _told(kind, value[key])
        elif field.is_repeated:
            yield what, "; ".join(_told(field, item) for item in value)
        elif field.message_type is None:
            yield what, _told(field, value)
        elif field.containing_oneof is not None and not value.ListFields():
            yield what, "yes"
        else:
            yield from _fields(value, f"{what}.")


def _told(field: FieldDescriptor, value: object) -> str:
    """Return one value for people: certificates by their names, enums by theirs."""
    if isinstance(value, Message):
        return ", ".join(f"{what}={text}" for what, text in _fields(value))
    if field.enum_type is not None and isinstance(value, int):
        known = field.enum_type.values_by_number.get(value)
        return str(value) if known is None else known.name.removeprefix("SEARCH_ATTRIBUTE_TYPE_")
    if isinstance(value, bytes):
        return "; ".join(authorities(value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
