"""Namespaces on a real Temporal server."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from temporalio.api.workflowservice.v1 import (
    DescribeNamespaceRequest,
    DescribeNamespaceResponse,
    RegisterNamespaceRequest,
)
from temporalio.client import Client
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from controlplane.errors import ErrorType
from provisioning.ports import Incarnation
from provisioning.temporal import TemporalRegistrar
from provisioning.types import SearchAttributeType
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
