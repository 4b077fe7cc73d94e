"""What a `cdktn-provider-*` wheel tells of a Terraform provider: the schema of each resource.

The wheels hold JavaScript that was generated from the provider's own schema. What is read back is
whether an attribute is required, optional or computed, what is an attribute and what a block, the
types and the nesting. What the schema does not say the JavaScript cannot say either: which change
replaces a resource, which values are refused, which blocks the provider fills in by itself.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NotRequired, TypedDict

Nesting = Literal["list", "set", "map", "single"]
Type = str | list["Type | dict[str, Type]"]
"""As Terraform's JSON writes types: "string", ["list", "string"], ["object", {"name": …}]."""


class Attribute(TypedDict):
    type: Type
    required: bool
    optional: bool
    computed: bool


class NestedBlock(TypedDict):
    nesting_mode: Nesting
    block: "Block"
    min_items: NotRequired[int]
    max_items: NotRequired[int]


class Block(TypedDict):
    attributes: dict[str, Attribute]
    block_types: dict[str, NestedBlock]


Kind = Literal["TerraformProvider", "TerraformResource", "TerraformDataSource"]


@dataclass(frozen=True)
class Described:
    """One provider configuration, resource type or kind of data."""

    kind: Kind
    type: str
    """Such as aws_vpc."""
    block: Block


class Unreadable(Exception):
    """The JavaScript is not what was expected; a few odd types are not, and no cell needs them."""


def described(javascript: str) -> Described:
    """Return what one file of the wheel describes."""
    return _Source(javascript).described()


@dataclass(frozen=True)
class _Written:
    """How an attribute or block is written in HCL."""

    is_block: bool
    nesting: str
    """list, set, map, struct or simple."""
    stored: str


_CLASS = re.compile(r"^class (\w+) extends cdktn\.(\w+) \{(.*?)^\}", re.S | re.M)
_TO_HCL = re.compile(r"^function (\w+)ToHclTerraform\(struct\) \{(.*?)^\}", re.S | re.M)
_WRITTEN = re.compile(
    r"^ {8}(?: {4})?(\w+): \{\n\s+value: .*?\n\s+isBlock: (true|false),\n"
    r'\s+type: "(\w+)",\n\s+storageClassType: "(\w+)"',
    re.M,
)
_MEMBER = re.compile(
    r"// (\w+) - computed: (true|false), optional: (true|false), required: (true|false)\n"
    r"(.*?)(?=\n    // \w+ - computed:|\n    // =====|\Z)",
    re.S,
)
_QUALIFIED = re.compile(r"\b(?:index|index_structs|structs\d*)_\d+\.")
_TYPE_NAME = re.compile(r'static tfResourceType = "(\w+)"')
_GETTER = re.compile(r"get(\w+)Attribute\(")
_MAP_OF = re.compile(r"new cdktn\.(\w+?)Map\(this")
_OF_GETTER: Mapping[str, Type] = {
    "String": "string",
    "Number": "number",
    "Boolean": "bool",
    "StringMap": ["map", "string"],
    "NumberMap": ["map", "number"],
    "BooleanMap": ["map", "bool"],
    "AnyMap": ["map", "string"],
}
_OF_LIST = {"List": "string", "NumberList": "number"}
_PRIMITIVE = {"string": "string", "number": "number", "boolean": "bool", "any": "dynamic"}


class _Source:
    def __init__(self, javascript: str) -> None:
        text = _QUALIFIED.sub("", javascript)
        self._classes = {name: (base, body) for name, base, body in _CLASS.findall(text)}
        self._written = {name.lower(): _written(body) for name, body in _TO_HCL.findall(text)}

    def described(self) -> Described:
        for name, (base, body) in self._classes.items():
            match base:
                case "TerraformProvider" | "TerraformResource" | "TerraformDataSource":
                    found = _TYPE_NAME.search(body)
                    if found is None:
                        raise Unreadable(f"{name} does not say its type")
                    _, _, tail = body.partition("synthesizeHclAttributes")
                    written = _written(tail)
                    block = (
                        # The getters of a provider's configuration have no types.
                        self._as_written(written)
                        if base == "TerraformProvider"
                        else self._block(name, written)
                    )
                    return Described(base, found[1], block)
                case _:
                    continue  # A part of it, or its list.
        raise Unreadable("it describes nothing")

    def _block(self, class_name: str, written: Mapping[str, _Written]) -> Block:
        block = Block(attributes={}, block_types={})
        for name, computed, optional, required, body in _MEMBER.findall(
            self._classes[class_name][1]
        ):
            attribute = Attribute(
                type="dynamic",
                computed=computed == "true",
                optional=optional == "true",
                required=required == "true",
            )
            nested = self._nested(name, body, written.get(name), required=attribute["required"])
            if nested is None:
                attribute["type"] = _type(body, written.get(name))
                block["attributes"][name] = attribute
            elif (
                name in written
                and written[name].is_block
                and (attribute["optional"] or attribute["required"])
            ):
                block["block_types"][name] = nested
            else:
                attribute["type"] = _type_of(nested)
                block["attributes"][name] = attribute
        return block

    def _nested(
        self, name: str, body: str, written: _Written | None, *, required: bool
    ) -> NestedBlock | None:
        """Return what is nested in a member; None for one of a plain type."""
        as_list = re.search(r'new (\w+?)List\(this, "', body)
        as_map = re.search(r'new ((?!cdktn\.)\w+?)Map\(this, "', body)
        as_one = re.search(r'new (\w+?)OutputReference\(this, "', body)
        found = as_list or as_map or as_one
        if found is None or f"{found[1]}OutputReference" not in self._classes:
            return None
        inner = self._block(f"{found[1]}OutputReference", self._written.get(found[1].lower(), {}))
        in_set = re.search(rf'List\(this, "{name}", true\)', body) is not None
        if as_map:
            nesting: Nesting = "map"
        elif as_one and written is not None and written.nesting == "struct":
            nesting = "single"
        elif in_set or (written is not None and written.nesting == "set"):
            nesting = "set"
        else:
            nesting = "list"
        nested = NestedBlock(nesting_mode=nesting, block=inner)
        if nesting != "single":
            if required:
                nested["min_items"] = 1
            if as_one:
                nested["max_items"] = 1
        return nested

    def _as_written(self, written: Mapping[str, _Written]) -> Block:
        block = Block(attributes={}, block_types={})
        for name, how in written.items():
            inner = self._written.get(how.stored.removesuffix("List").lower())
            if name == "alias":  # Terraform's own, not the provider's.
                continue
            if how.is_block and inner is not None:
                nesting: Nesting = "set" if how.nesting == "set" else "list"
                block["block_types"][name] = NestedBlock(
                    nesting_mode=nesting, block=self._as_written(inner)
                )
            else:
                block["attributes"][name] = Attribute(
                    type=_type("", how), computed=False, optional=True, required=False
                )
        return block


def _written(body: str) -> dict[str, _Written]:
    return {
        name: _Written(is_block == "true", nesting, stored)
        for name, is_block, nesting, stored in _WRITTEN.findall(body)
    }


def _type(body: str, written: _Written | None) -> Type:
    if written is not None:
        if written.nesting == "simple":
            return _PRIMITIVE.get(written.stored, "dynamic")
        plain = re.match(r"(string|number|boolean|any)(List|Map)?$", written.stored)
        if plain:
            nesting = written.nesting if written.nesting in ("list", "set", "map") else "list"
            return [nesting, _PRIMITIVE[plain[1]]]
    getter = _GETTER.search(body)
    if getter:
        if getter[1] in _OF_LIST:
            return ["set" if "Fn.tolist(" in body else "list", _OF_LIST[getter[1]]]
        return _OF_GETTER.get(getter[1], "dynamic")
    mapped = _MAP_OF.search(body)
    return ["map", _PRIMITIVE.get(mapped[1].lower(), "string")] if mapped else "dynamic"


def _type_of(nested: NestedBlock) -> Type:
    inner = nested["block"]
    of_attributes: dict[str, Type] = {
        name: attribute["type"] for name, attribute in inner["attributes"].items()
    }
    of_blocks = {name: _type_of(block) for name, block in inner["block_types"].items()}
    thing: Type = ["object", {**of_attributes, **of_blocks}]
    return thing if nested["nesting_mode"] == "single" else [nested["nesting_mode"], thing]
