"""A namespace's custom search attributes: what callers declare, read, and shown to them."""

from temporalio.api.cloud.namespace.v1 import NamespaceSpec as Declaration

from controlplane.api import limits
from controlplane.errors import invalid_argument
from controlplane.identity.limits import AccountLimits
from provisioning.types import NamespaceSpec, SearchAttributeType

_PREFIX = "SEARCH_ATTRIBUTE_TYPE_"


def read_search_attributes(
    declared: Declaration, allowed: AccountLimits
) -> dict[str, SearchAttributeType]:
    """Return what both fields declare, by name; where they disagree, the present one counts."""
    found = {
        name: _older_type(name, value) for name, value in declared.custom_search_attributes.items()
    }
    found |= {name: _type(name, value) for name, value in declared.search_attributes.items()}
    for name in found:
        check_search_attribute_name(name)
    for kind, most in _most(allowed).items():
        count = sum(found_kind == kind for found_kind in found.values())
        if count > most:
            raise invalid_argument(
                f"the spec has {count} search attributes of type {kind}; at most {most} are allowed"
            )
    return dict(sorted(found.items()))


def check_search_attribute_name(name: str) -> None:
    """Raise `invalid_argument` unless a search attribute may be called that."""
    if not limits.SEARCH_ATTRIBUTE_NAME.fullmatch(name):
        raise invalid_argument(
            f"search attribute {name[:100]!r} is not a name: use up to 64 letters, digits, "
            "`_`, `.` and `-`, beginning with a letter"
        )


def fill_search_attributes(message: Declaration, spec: NamespaceSpec) -> None:
    """Set the present field and the older one."""
    for name, kind in spec.search_attributes.items():
        message.search_attributes[name] = Declaration.SearchAttributeType.Value(
            f"{_PREFIX}{kind.value}"
        )
        message.custom_search_attributes[name] = kind.value.lower()


def _most(allowed: AccountLimits) -> dict[SearchAttributeType, int]:
    return {
        SearchAttributeType.TEXT: allowed.text_search_attributes,
        SearchAttributeType.KEYWORD: allowed.keyword_search_attributes,
        SearchAttributeType.INT: allowed.int_search_attributes,
        SearchAttributeType.DOUBLE: allowed.double_search_attributes,
        SearchAttributeType.BOOL: allowed.bool_search_attributes,
        SearchAttributeType.DATETIME: allowed.datetime_search_attributes,
        SearchAttributeType.KEYWORD_LIST: allowed.keyword_list_search_attributes,
    }


def _type(name: str, value: int) -> SearchAttributeType:
    known = Declaration.SearchAttributeType
    try:
        return SearchAttributeType(known.Name(known.ValueType(value)).removeprefix(_PREFIX))
    except ValueError:
        raise _unknown_type(name, str(value)) from None


def _older_type(name: str, value: str) -> SearchAttributeType:
    try:
        return SearchAttributeType(value.upper())
    except ValueError:
        raise _unknown_type(name, value) from None


def _unknown_type(name: str, value: str) -> Exception:
    return invalid_argument(
        f"search attribute {name!r} has the unknown type {value!r}: use one of "
        f"{', '.join(SearchAttributeType)}"
    )
