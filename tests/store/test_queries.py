import asyncio

import pytest
from temporalio.exceptions import ApplicationError

from controlplane.errors import ErrorType
from controlplane.store.directory import Directory
from controlplane.store.pool import Pool
from controlplane.store.projections import Projections
from controlplane.store.queries import ReadModel
from tests.store.views import CELL, cell_view, namespace_view, operation


async def test_namespaces_and_operations_of_another_account_are_not_there(pool: Pool) -> None:
    await Projections(pool).publish_namespace(namespace_view(operations=(operation(),)))
    reads = ReadModel(pool)

    assert await reads.namespace("other1", "orders.acme1") is None
    assert await reads.namespaces("other1", limit=10) == []
    assert await reads.operation("other1", "op-1") is None


async def test_pages_follow_one_another_by_name_without_gap_or_repetition(pool: Pool) -> None:
    names = [f"n{number:02}" for number in range(7)] + ["n-1", "n0-x", "zz"]
    publish = Projections(pool).publish_namespace
    await asyncio.gather(*(publish(namespace_view(f"{name}.acme1")) for name in names))
    reads = ReadModel(pool)

    found: list[str] = []
    while page := await reads.namespaces("acme1", after=found[-1] if found else "", limit=3):
        found.extend(view.id.removesuffix(".acme1") for view in page)

    assert found == sorted(names)


async def test_the_name_filter_finds_exactly_that_name(pool: Pool) -> None:
    for name in ("orders", "orders-2", "order"):
        await Projections(pool).publish_namespace(namespace_view(f"{name}.acme1"))

    found = await ReadModel(pool).namespaces("acme1", name="orders", limit=10)

    assert [view.id for view in found] == ["orders.acme1"]


async def test_the_directory_finds_a_cell_that_has_just_joined(pool: Pool) -> None:
    directory = Directory(pool)
    assert await directory.cells() == []

    await Projections(pool).publish_cell(cell_view())

    assert await directory.locate(CELL) == cell_view().spec.addresses


async def test_the_directory_says_which_cell_it_does_not_know(pool: Pool) -> None:
    with pytest.raises(ApplicationError, match="cell nowhere is not part") as refusal:
        await Directory(pool).locate("nowhere")
    assert refusal.value.type == ErrorType.NOT_FOUND
