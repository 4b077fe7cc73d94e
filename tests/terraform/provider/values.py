"""Values as Terraform's plugin protocol carries them, and what is not known before it is made."""

from collections.abc import Callable
from typing import Any

import msgpack
from tf.gen import tfplugin_pb2 as protocol

from tests.terraform.cdktn import Block, Type

Values = dict[str, Any]
"""A resource: whatever its schema says."""

UNKNOWN = msgpack.ExtType(0, b"\0")
"""To be known after the apply."""


def decoded(value: protocol.DynamicValue) -> Values | None:
    if not value.msgpack:
        return None
    found: Values | None = msgpack.unpackb(
        value.msgpack, raw=False, strict_map_key=False, ext_hook=msgpack.ExtType
    )
    return found


def encoded(values: Values | None) -> protocol.DynamicValue:
    return protocol.DynamicValue(msgpack=msgpack.packb(values, use_bin_type=False))


def is_known(value: object) -> bool:
    """Say whether nothing in a value is unknown."""
    if isinstance(value, dict):
        return all(is_known(each) for each in value.values())
    if isinstance(value, list):
        return all(is_known(each) for each in value)
    return not isinstance(value, msgpack.ExtType)


def known(value: Any) -> Any:
    """Return the value with nothing in place of what is unknown."""
    if isinstance(value, msgpack.ExtType):
        return None
    if isinstance(value, dict):
        return {name: known(each) for name, each in value.items()}
    if isinstance(value, list):
        return [known(each) for each in value]
    return value


def completed(block: Block, values: Values, make: Callable[[str, Type], Any]) -> Values:
    """Return the values whole, with what is computed and not there yet made by `make`."""
    complete: Values = {}
    for name, attribute in block["attributes"].items():
        value = values.get(name)
        complete[name] = (
            make(name, attribute["type"]) if value is None and attribute["computed"] else value
        )
    for name, nested in block["block_types"].items():
        inner, value = nested["block"], values.get(name)
        if nested["nesting_mode"] == "single":
            complete[name] = completed(inner, value, make) if isinstance(value, dict) else value
        elif isinstance(value, list):
            complete[name] = [completed(inner, each, make) for each in value]
        else:
            complete[name] = [] if value is None else value
    return complete
