"""Documents that people write, read in the shape they should have: what is wrong has a place.

Keys are the names of fields. A length of time is written like `1h30m`, a number may stand where
text is expected.
"""

from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from datetime import timedelta
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, TypeAdapter, ValidationError

from controlplane.cli.documents import kind, nearest
from controlplane.cli.durations import read_duration
from controlplane.cli.failures import UsageError

T = TypeVar("T")


def read_as(shape: type[T], document: object, source: str) -> T:
    """Return what the document says; raise UsageError that names source, place, value and remedy.

    `shape` is a dataclass or a model of pydantic's.
    """
    try:
        prepared = _prepared(shape, document, "")
    except ValueError as error:
        raise UsageError(f"{source}: {error}") from error
    try:
        return TypeAdapter(shape).validate_python(prepared)
    except ValidationError as error:
        raise UsageError("; ".join(f"{source}: {each}" for each in _told(error))) from error


def _prepared(shape: Any, value: object, place: str) -> object:
    """Return the value with lengths of time read; raise ValueError for keys that mean nothing."""
    if _names(shape):
        return _object(shape, value, place)
    arguments = get_args(shape)
    if get_origin(shape) in (Union, UnionType):
        kinds = [each for each in arguments if each is not NoneType]
        return value if value is None or len(kinds) > 1 else _prepared(kinds[0], value, place)
    if get_origin(shape) in (tuple, list) and isinstance(value, list):
        return [_prepared(arguments[0], each, f"{place}[{i}]") for i, each in enumerate(value)]
    if get_origin(shape) is dict and isinstance(value, dict):
        return {
            key: _prepared(arguments[1], each, _within(place, key)) for key, each in value.items()
        }
    if shape is timedelta and isinstance(value, str | int):
        return _duration(str(value), place)
    if shape is str and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if shape is str and isinstance(value, float):
        # YAML reads 1.10 as 1.1.
        raise ValueError(f"{place} is the number {value}: put it in quotes")
    return value


def _object(shape: Any, value: object, place: str) -> object:
    if not isinstance(value, dict):
        what = f"{place} is" if place else "this is"
        raise ValueError(f"{what} {kind(value)}: write `key: value`, a line for each")
    hints = get_type_hints(shape)
    names = _names(shape)
    for key in value:
        if key not in names:
            raise ValueError(f"{_within(place, key)} means nothing. {nearest(str(key), names)}")
    return {key: _prepared(hints[key], each, _within(place, key)) for key, each in value.items()}


def _names(shape: Any) -> list[str]:
    """Return the fields of a shape that has some."""
    if is_dataclass(shape):
        return [field.name for field in fields(shape)]
    if isinstance(shape, type) and issubclass(shape, BaseModel):
        return list(shape.model_fields)
    return []


def _duration(text: str, place: str) -> timedelta:
    try:
        return read_duration(text)
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from error


def _within(place: str, key: object) -> str:
    return f"{place}.{key}" if place else f"{key}"


def _told(error: ValidationError) -> list[str]:
    told = []
    for each in error.errors():
        place = _place(each["loc"])
        if each["type"] in ("missing", "missing_argument"):
            told.append(f"{place} is missing")
        else:
            told.append(f"{place} is {kind(each['input'])}: it {_wanted(each['msg'])}")
    return told


def _wanted(message: str) -> str:
    """Return what pydantic expects, in the words of YAML."""
    wanted = message.removeprefix("Input ").partition(", unable")[0]
    return f"{wanted[0].lower()}{wanted[1:]}".replace("valid tuple", "list")


def _place(location: Sequence[str | int]) -> str:
    place = ""
    for part in location:
        place = f"{place}[{part}]" if isinstance(part, int) else _within(place, part)
    return place
