import asyncio
import itertools
from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controlplane.store.pool import Pool
from controlplane.store.projections import Projections
from controlplane.store.queries import ReadModel
from provisioning.types import NamespaceLife, OperationState
from tests.store.views import cell_view, namespace_view, operation

_unique = itertools.count()


async def test_a_published_view_is_read_back_whole(pool: Pool) -> None:
    cell = cell_view()
    view = namespace_view(operations=(operation(),))

    await Projections(pool).publish_cell(cell)
    await Projections(pool).publish_namespace(view)

    reads = ReadModel(pool)
    assert await reads.cell(cell.id) == cell
    assert await reads.cells() == [cell]
    assert await reads.namespace("acme1", view.id) == view
    recorded = await reads.operation("acme1", "op-1")
    assert recorded is not None
    assert recorded.operation == operation()
    assert recorded.namespace == view.id


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    arrivals=st.lists(st.integers(min_value=1, max_value=6), min_size=1, max_size=10),
    at_once=st.booleans(),
)
async def test_the_newest_revision_stays_in_whatever_order_views_arrive(
    pool: Pool, arrivals: list[int], at_once: bool
) -> None:
    name = f"orders-{next(_unique)}"
    # The operation's state tells the revision it was published with.
    states = list(OperationState)

    def published(revision: int) -> OperationState:
        return states[revision % len(states)]

    views = [
        namespace_view(
            f"{name}.acme1",
            revision=revision,
            uid=f"uid-{revision}",
            operations=(operation(name, state=published(revision)),),
        )
        for revision in arrivals
    ]
    cells = [replace(cell_view(name), revision=revision) for revision in arrivals]
    projections, reads = Projections(pool), ReadModel(pool)

    if at_once:
        await asyncio.gather(*map(projections.publish_namespace, views))
        await asyncio.gather(*map(projections.publish_cell, cells))
    else:
        for view, cell in zip(views, cells, strict=True):
            await projections.publish_namespace(view)
            await projections.publish_cell(cell)

    newest = max(arrivals)
    stored = await reads.namespace("acme1", f"{name}.acme1")
    assert stored is not None
    assert (stored.revision, stored.uid) == (newest, f"uid-{newest}")
    cell_stored = await reads.cell(name)
    assert cell_stored is not None
    assert cell_stored.revision == newest
    recorded = await reads.operation("acme1", name)
    assert recorded is not None
    assert recorded.operation.state == published(newest)


async def test_a_deleted_namespace_is_not_read_and_a_late_view_does_not_bring_it_back(
    pool: Pool,
) -> None:
    projections, reads = Projections(pool), ReadModel(pool)
    view = namespace_view(revision=7)
    await projections.publish_namespace(view)

    await projections.publish_namespace(replace(view, revision=8, life=NamespaceLife.DELETED))
    await projections.publish_namespace(view)

    assert await reads.namespace("acme1", view.id) is None
    assert await reads.namespaces("acme1", limit=10) == []


async def test_a_namespace_made_again_is_read_again(pool: Pool) -> None:
    projections, reads = Projections(pool), ReadModel(pool)
    await projections.publish_namespace(namespace_view(revision=8, life=NamespaceLife.DELETED))

    again = namespace_view(uid="22222222-bbbb", revision=9)
    await projections.publish_namespace(again)

    assert await reads.namespace("acme1", again.id) == again


async def test_the_operation_of_a_deleted_namespace_is_still_read(pool: Pool) -> None:
    done = operation(state=OperationState.FULFILLED)
    await Projections(pool).publish_namespace(
        namespace_view(life=NamespaceLife.DELETED, operations=(done,))
    )

    recorded = await ReadModel(pool).operation("acme1", "op-1")

    assert recorded is not None
    assert recorded.operation == done
