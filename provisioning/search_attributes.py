"""The custom search attributes of a namespace on its cell's Temporal service.

An SQL visibility store has a few fields of each type. A search attribute is one of them under a
name of the namespace's own, its alias; whatever it is called, what was stored stays in the field.
"""

from dataclasses import dataclass

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import (
    AddSearchAttributesRequest,
    ListSearchAttributesRequest,
    ListSearchAttributesResponse,
)
from temporalio.api.workflowservice.v1 import (
    CountWorkflowExecutionsRequest,
    DescribeNamespaceRequest,
    UpdateNamespaceRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from controlplane.errors import rejected
from provisioning.frontend import CALL, called, until
from provisioning.ports import Incarnation
from provisioning.types import SearchAttributeType

_PREFIX = "INDEXED_VALUE_TYPE_"


@dataclass(frozen=True)
class SearchAttributes:
    """By name: their types, and the visibility store's fields behind them."""

    types: dict[str, SearchAttributeType]
    fields: dict[str, str]

    def of_type(self, kind: SearchAttributeType) -> list[str]:
        return [name for name, other in self.types.items() if other is kind]


async def read(client: Client, target: Incarnation) -> SearchAttributes:
    answer = await _list(client, target)
    fields = {name: field for field, name in (await _aliases(client, target)).items()}
    types = {
        name: SearchAttributeType(IndexedValueType.Name(kind).removeprefix(_PREFIX))
        for name, kind in sorted(answer.custom_attributes.items())
    }
    # Elasticsearch has no aliases: there the field is called as the search attribute is.
    return SearchAttributes(types, {name: fields.get(name, name) for name in types})


async def ensure(
    client: Client, target: Incarnation, wanted: dict[str, SearchAttributeType]
) -> SearchAttributes:
    """Add what is missing of `wanted` and return all there are, once they can be used."""
    present = await read(client, target)
    _check_types(target, wanted, present)
    missing = {name: wanted[name] for name in sorted(wanted.keys() - present.types.keys())}
    if not missing:
        return present
    await _add(client, target, missing, present)
    await until(
        lambda: _are_queryable(client, target, list(missing)),
        f"{called(target)} has the new search attributes {', '.join(missing)}, but refuses "
        "queries for them",
    )
    present = await read(client, target)
    _check_types(target, wanted, present)
    return present


async def rename(client: Client, target: Incarnation, field: str, old: str, new: str) -> None:
    """Call what is kept in `field` `new`, and return once that name can be used.

    The service gives a field a name only while it has none. So between two calls the attribute
    has no name at all, and `field` is how the next attempt finds it if we die there.
    """
    aliases = await _aliases(client, target)
    known = aliases.get(field)
    if known != new:
        await _check_rename(client, target, aliases, field, old, new)
        if known is not None:
            await _call_field(client, target, field, "")
        # The service takes a name that is in use, and does nothing.
        if (await _call_field(client, target, field, new)).get(field) != new:
            raise ConnectionError(
                f"{called(target)} did not call search attribute {old} {new}: something else "
                "changes its search attributes at the same time"
            )

    async def known_everywhere() -> bool:
        if not await _are_queryable(client, target, [new]):
            return False
        return (await read(client, target)).fields.get(old) != field

    await until(
        known_everywhere,
        f"{called(target)} calls search attribute {old} {new}, but still goes by its old name",
    )


async def _list(client: Client, target: Incarnation) -> ListSearchAttributesResponse:
    answers: list[ListSearchAttributesResponse] = []
    request = ListSearchAttributesRequest(namespace=target.namespace)

    async def answered() -> bool:
        try:
            answers.append(
                await client.operator_service.list_search_attributes(request, timeout=CALL)
            )
        except RPCError as error:
            # So it says for up to a second of one that was just registered under a name that
            # another one had before.
            if error.status is RPCStatusCode.NOT_FOUND:
                return False
            raise
        return True

    await until(answered, f"{called(target)} exists, but its service lists it nowhere")
    return answers[0]


async def _aliases(client: Client, target: Incarnation) -> dict[str, str]:
    """Return the names of the fields that have one, by field, as the service's database says."""
    answer = await client.workflow_service.describe_namespace(
        DescribeNamespaceRequest(namespace=target.namespace), timeout=CALL
    )
    return dict(answer.config.custom_search_attribute_aliases)


async def _call_field(client: Client, target: Incarnation, field: str, name: str) -> dict[str, str]:
    """Give a field a name, or none, and return what all fields are called then."""
    request = UpdateNamespaceRequest(namespace=target.namespace)
    request.config.custom_search_attribute_aliases[field] = name
    answer = await client.workflow_service.update_namespace(request, timeout=CALL)
    return dict(answer.config.custom_search_attribute_aliases)


async def _check_rename(
    client: Client,
    target: Incarnation,
    aliases: dict[str, str],
    field: str,
    old: str,
    new: str,
) -> None:
    refused = f"search attribute {old} of {called(target)} cannot be called {new}"
    listed = await _list(client, target)
    if new in listed.system_attributes:
        raise rejected(f"{refused}: Temporal itself has a search attribute of that name")
    if new in aliases.values():
        raise rejected(f"{refused}: another one is called so. Choose another name")
    if field not in aliases and old in listed.custom_attributes and field == old:
        raise rejected(f"{refused}: the cell's visibility store has no names apart from its fields")
    if aliases.get(field, old) != old:
        raise rejected(f"{refused}: what was called {old} is called {aliases[field]} by now")


async def _add(
    client: Client,
    target: Incarnation,
    missing: dict[str, SearchAttributeType],
    present: SearchAttributes,
) -> None:
    request = AddSearchAttributesRequest(
        namespace=target.namespace,
        search_attributes={
            name: IndexedValueType.Value(f"{_PREFIX}{kind}") for name, kind in missing.items()
        },
    )
    try:
        await client.operator_service.add_search_attributes(request, timeout=CALL)
    except RPCError as error:
        if error.status is not RPCStatusCode.INVALID_ARGUMENT:
            raise
        kinds = sorted(set(missing.values()))
        there = "; ".join(f"{kind}: {', '.join(present.of_type(kind)) or 'none'}" for kind in kinds)
        raise rejected(
            f"search attributes {', '.join(missing)} cannot be added to {called(target)}: "
            f"{error.message} It has {there}"
        ) from error


def _check_types(
    target: Incarnation, wanted: dict[str, SearchAttributeType], present: SearchAttributes
) -> None:
    """Refuse a change of type: the service takes such a request, and does nothing."""
    for name, kind in wanted.items():
        if present.types.get(name, kind) is not kind:
            raise rejected(
                f"search attribute {name} of {called(target)} is a {present.types[name]} and "
                f"cannot become a {kind}: choose another name for it"
            )


async def _are_queryable(client: Client, target: Incarnation, names: list[str]) -> bool:
    """Tell whether a query may mention the attributes, which is when workflows may set them."""
    query = " AND ".join(f"`{name}` IS NOT NULL" for name in names)
    try:
        await client.workflow_service.count_workflow_executions(
            CountWorkflowExecutionsRequest(namespace=target.namespace, query=query), timeout=CALL
        )
    except RPCError as error:
        if error.status is RPCStatusCode.INVALID_ARGUMENT:
            return False
        raise
    return True
