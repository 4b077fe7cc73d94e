"""Namespaces on a real Temporal server."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from temporalio.api.workflowservice.v1 import (
    DeprecateNamespaceRequest,
    DescribeNamespaceRequest,
    DescribeNamespaceResponse,
    RegisterNamespaceRequest,
    UpdateNamespaceRequest,
)
from temporalio.client import Client
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from controlplane.errors import ErrorType
from provisioning.ports import Incarnation
from provisioning.temporal import TemporalRegistrar
from provisioning.types import SearchAttributeType
from tests.eventually import eventually
from tests.provisioning.cell_databases import NOWHERE, Directory
from tests.provisioning.temporal_cell import running_temporal_cell

CELL = "aws-us-east-1-c1"
WEEK = timedelta(days=7)


@dataclass(frozen=True)
class World:
    address: str
    registrar: TemporalRegistrar

    async def describe(self, target: Incarnation) -> DescribeNamespaceResponse:
        client = await Client.connect(self.address)
        return await client.workflow_service.describe_namespace(
            DescribeNamespaceRequest(namespace=target.namespace)
        )

    async def exists(self, target: Incarnation) -> bool:
        try:
            await self.describe(target)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return False
            raise
        return True

    async def call_field(self, target: Incarnation, field: str, name: str) -> None:
        """Give a field of the visibility store another name, behind the registrar's back."""
        client = await Client.connect(self.address)
        request = UpdateNamespaceRequest(namespace=target.namespace)
        request.config.custom_search_attribute_aliases[field] = name
        await client.workflow_service.update_namespace(request)

    async def start(self, target: Incarnation, workflow: str, attribute: str, value: str) -> None:
        client = await Client.connect(self.address, namespace=target.namespace)
        pair = SearchAttributePair(SearchAttributeKey.for_keyword(attribute), value)
        await client.start_workflow(
            "Any",
            id=workflow,
            task_queue="nobody",
            search_attributes=TypedSearchAttributes([pair]),
        )

    async def find(self, target: Incarnation, query: str) -> set[str]:
        client = await Client.connect(self.address, namespace=target.namespace)
        return {found.id async for found in client.list_workflows(query)}


@pytest.fixture(scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with running_temporal_cell(tmp_path_factory.mktemp("cell")) as address:
        directory = Directory({CELL: replace(NOWHERE, frontend=address)})
        yield World(address, TemporalRegistrar(directory))


@pytest.fixture
def target() -> Incarnation:
    return Incarnation(f"orders-{secrets.token_hex(3)}.acme1", secrets.token_hex(8), CELL)


def successor(target: Incarnation) -> Incarnation:
    return replace(target, uid=secrets.token_hex(8))


async def test_a_namespace_is_global_from_birth_and_knows_its_incarnation(
    world: World, target: Incarnation
) -> None:
    facts = await world.registrar.register(target, WEEK, {})

    described = await world.describe(target)
    assert described.is_global_namespace
    assert [c.cluster_name for c in described.replication_config.clusters] == ["active"]
    assert described.namespace_info.data["controlplane.uid"] == target.uid
    assert described.namespace_info.id == facts.namespace_uuid
    assert facts.retention == WEEK
    assert facts.search_attributes == {}


async def test_every_call_may_be_made_twice(world: World, target: Incarnation) -> None:
    attributes = {"Customer": SearchAttributeType.KEYWORD}
    facts = await world.registrar.register(target, WEEK, attributes)
    assert await world.registrar.register(target, WEEK, attributes) == facts
    assert await world.registrar.observe(target) == facts

    for _ in range(2):
        await world.registrar.deregister(target)
        assert await world.registrar.observe(target) is None
        assert not await world.exists(target)


async def test_registering_once_more_changes_what_differs(
    world: World, target: Incarnation
) -> None:
    first = {"Customer": SearchAttributeType.KEYWORD}
    before = await world.registrar.register(target, WEEK, first)
    both = {**first, "Amount": SearchAttributeType.DOUBLE}

    after = await world.registrar.register(target, 2 * WEEK, both)

    assert after.namespace_uuid == before.namespace_uuid
    assert (after.retention, after.search_attributes) == (2 * WEEK, both)
    assert await world.registrar.observe(target) == after


async def test_search_attributes_can_be_used_at_once(world: World, target: Incarnation) -> None:
    await world.registrar.register(
        target,
        WEEK,
        {"Customer": SearchAttributeType.KEYWORD, "Urgent": SearchAttributeType.BOOL},
    )
    client = await Client.connect(world.address, namespace=target.namespace)
    await client.start_workflow(
        "Any",
        id="any",
        task_queue="nobody",
        search_attributes=TypedSearchAttributes(
            [
                SearchAttributePair(SearchAttributeKey.for_keyword("Customer"), "acme"),
                SearchAttributePair(SearchAttributeKey.for_bool("Urgent"), True),
            ]
        ),
    )


@pytest.mark.parametrize("kind", SearchAttributeType)
async def test_each_type_of_search_attribute_comes_back_as_itself(
    world: World, target: Incarnation, kind: SearchAttributeType
) -> None:
    facts = await world.registrar.register(target, WEEK, {"Thing": kind})
    assert facts.search_attributes == {"Thing": kind}


async def test_a_search_attribute_keeps_its_type(world: World, target: Incarnation) -> None:
    await world.registrar.register(target, WEEK, {"Customer": SearchAttributeType.KEYWORD})
    with pytest.raises(ApplicationError, match=r"Customer .* is a KEYWORD and cannot") as refused:
        await world.registrar.register(target, WEEK, {"Customer": SearchAttributeType.INT})
    assert refused.value.non_retryable


async def test_workflows_are_found_under_a_search_attributes_new_name(
    world: World, target: Incarnation
) -> None:
    wanted = {"Customer": SearchAttributeType.KEYWORD, "Amount": SearchAttributeType.DOUBLE}
    before = await world.registrar.register(target, WEEK, wanted)
    await world.start(target, "early", "Customer", "acme")

    await world.registrar.rename(target, before.fields["Customer"], "Customer", "Client")
    await world.start(target, "late", "Client", "acme")

    after = await world.registrar.observe(target)
    assert after is not None
    assert after.search_attributes == {
        "Amount": SearchAttributeType.DOUBLE,
        "Client": SearchAttributeType.KEYWORD,
    }
    assert after.fields["Client"] == before.fields["Customer"]
    assert after.retention == WEEK

    async def both_found() -> bool:
        return await world.find(target, "Client = 'acme'") == {"early", "late"}

    await eventually(both_found)


async def test_renaming_twice_is_renaming_once(world: World, target: Incarnation) -> None:
    facts = await world.registrar.register(target, WEEK, {"Old": SearchAttributeType.KEYWORD})
    for _ in range(2):
        await world.registrar.rename(target, facts.fields["Old"], "Old", "New")

    after = await world.registrar.observe(target)
    assert after is not None
    assert after.fields == {"New": facts.fields["Old"]}


async def test_a_rename_that_died_halfway_is_completed(world: World, target: Incarnation) -> None:
    facts = await world.registrar.register(target, WEEK, {"Old": SearchAttributeType.KEYWORD})
    await world.start(target, "early", "Old", "acme")
    await world.call_field(target, facts.fields["Old"], "")
    between = await world.registrar.observe(target)
    assert between is not None
    assert between.search_attributes == {}

    await world.registrar.rename(target, facts.fields["Old"], "Old", "New")

    async def found() -> bool:
        return await world.find(target, "New = 'acme'") == {"early"}

    await eventually(found)


async def test_after_a_rename_the_old_name_can_be_added_anew(
    world: World, target: Incarnation
) -> None:
    facts = await world.registrar.register(target, WEEK, {"Old": SearchAttributeType.KEYWORD})
    await world.start(target, "early", "Old", "acme")
    await world.registrar.rename(target, facts.fields["Old"], "Old", "New")

    both = {"Old": SearchAttributeType.KEYWORD, "New": SearchAttributeType.KEYWORD}
    after = await world.registrar.register(target, WEEK, both)

    assert after.search_attributes == both
    assert after.fields["New"] == facts.fields["Old"] != after.fields["Old"]
    await world.start(target, "late", "Old", "acme")

    async def each_its_own() -> bool:
        return await world.find(target, "Old = 'acme'") == {"late"} and await world.find(
            target, "New = 'acme'"
        ) == {"early"}

    await eventually(each_its_own)


@pytest.mark.parametrize(
    ("new", "reason"),
    [("Taken", "another one is called so"), ("WorkflowId", "Temporal itself has")],
)
async def test_a_rename_to_a_name_in_use_is_rejected_and_changes_nothing(
    world: World, target: Incarnation, new: str, reason: str
) -> None:
    wanted = {"Old": SearchAttributeType.KEYWORD, "Taken": SearchAttributeType.INT}
    facts = await world.registrar.register(target, WEEK, wanted)

    with pytest.raises(ApplicationError, match=f"cannot be called {new}: {reason}") as refused:
        await world.registrar.rename(target, facts.fields["Old"], "Old", new)

    assert refused.value.type == ErrorType.REJECTED
    assert await world.registrar.observe(target) == facts


async def test_a_rename_for_an_earlier_incarnation_is_rejected(
    world: World, target: Incarnation
) -> None:
    facts = await world.registrar.register(target, WEEK, {"Old": SearchAttributeType.KEYWORD})
    late = successor(target)

    with pytest.raises(ApplicationError, match=f"{target.uid}, not {late.uid}"):
        await world.registrar.rename(late, facts.fields["Old"], "Old", "New")

    assert await world.registrar.observe(target) == facts


async def test_a_full_store_is_rejected_with_what_fills_it(
    world: World, target: Incarnation
) -> None:
    full = {f"Number{i}": SearchAttributeType.INT for i in range(3)}
    await world.registrar.register(target, WEEK, full)

    with pytest.raises(
        ApplicationError, match=r"Fourth cannot be added .* INT: Number0, Number1, Number2"
    ) as refused:
        await world.registrar.register(target, WEEK, {**full, "Fourth": SearchAttributeType.INT})

    assert refused.value.type == ErrorType.REJECTED


async def test_a_deprecated_namespace_is_as_good_as_none_and_can_only_be_deleted(
    world: World, target: Incarnation
) -> None:
    await world.registrar.register(target, WEEK, {})
    client = await Client.connect(world.address)
    await client.workflow_service.deprecate_namespace(
        DeprecateNamespaceRequest(namespace=target.namespace)
    )

    assert await world.registrar.observe(target) is None
    with pytest.raises(ApplicationError, match="was deprecated there") as refused:
        await world.registrar.register(target, WEEK, {})
    assert refused.value.type == ErrorType.REJECTED
    await world.registrar.deregister(target)
    assert not await world.exists(target)


async def test_what_the_service_refuses_is_rejected_in_its_words(
    world: World, target: Incarnation
) -> None:
    with pytest.raises(ApplicationError, match="retention period") as refused:
        await world.registrar.register(target, timedelta(minutes=1), {})
    assert refused.value.type == ErrorType.REJECTED
    many = {f"Number{i}": SearchAttributeType.INT for i in range(4)}
    with pytest.raises(ApplicationError, match="more than 3 search attribute of type Int"):
        await world.registrar.register(target, WEEK, many)


async def test_an_incarnation_is_fenced_from_its_successor(
    world: World, target: Incarnation
) -> None:
    facts = await world.registrar.register(target, WEEK, {})
    late = successor(target)

    with pytest.raises(ApplicationError, match=f"{target.uid}, not {late.uid}") as refused:
        await world.registrar.register(late, WEEK, {})
    assert refused.value.non_retryable
    assert await world.registrar.observe(late) is None
    await world.registrar.deregister(late)

    assert await world.registrar.observe(target) == facts


async def test_a_namespace_of_somebody_else_is_left_alone(
    world: World, target: Incarnation
) -> None:
    client = await Client.connect(world.address)
    request = RegisterNamespaceRequest(namespace=target.namespace)
    request.workflow_execution_retention_period.FromTimedelta(WEEK)
    await client.workflow_service.register_namespace(request)

    with pytest.raises(ApplicationError, match=r"has controlplane\.uid unset"):
        await world.registrar.register(target, WEEK, {})
    await world.registrar.deregister(target)

    assert await world.exists(target)


async def test_a_name_can_be_used_again_at_once(world: World, target: Incarnation) -> None:
    first = await world.registrar.register(target, WEEK, {})
    await world.registrar.deregister(target)

    again = successor(target)
    second = await world.registrar.register(again, WEEK, {})

    assert second.namespace_uuid != first.namespace_uuid
    client = await Client.connect(world.address, namespace=target.namespace)
    await client.start_workflow("Any", id="any", task_queue="nobody")


async def test_concurrent_registrations_make_one_namespace(
    world: World, target: Incarnation
) -> None:
    facts = await asyncio.gather(*(world.registrar.register(target, WEEK, {}) for _ in range(8)))
    assert len({f.namespace_uuid for f in facts}) == 1


async def test_a_service_that_does_not_answer_is_named(target: Incarnation) -> None:
    registrar = TemporalRegistrar(Directory({CELL: NOWHERE}))
    with pytest.raises(ConnectionError, match=rf"cell {CELL} cannot register .*127\.0\.0\.1:1"):
        await registrar.register(target, WEEK, {})
