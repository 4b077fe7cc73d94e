"""Namespaces by their cells, and links between cells, as they are published and read."""

import asyncio
from collections.abc import Sequence

from controlplane.store.pool import Pool
from controlplane.store.projections import Projections
from controlplane.store.replicas import StoredReplicas
from controlplane.store.replication import ReplicationLinks
from provisioning.types import NamespaceLife, NamespaceView
from tests.store.replica_views import OTHER_CELL, link
from tests.store.views import CELL, namespace_view, replicated


def ids(views: Sequence[NamespaceView]) -> list[str]:
    return [view.id for view in views]


async def test_a_cell_has_the_namespaces_that_are_active_and_those_that_are_passive_there(
    pool: Pool,
) -> None:
    pair = replicated("aws-us-east-1", "aws-us-west-2")
    gone = namespace_view("gone.acme1", life=NamespaceLife.DELETED)
    for view in (pair, namespace_view("bills.acme2"), gone):
        await Projections(pool).publish_namespace(view)
    replicas = StoredReplicas(pool)

    assert ids(await replicas.in_cell(CELL)) == ["bills.acme2", "orders.acme1"]
    assert await replicas.in_cell(OTHER_CELL) == [pair]
    assert await replicas.in_cell("elsewhere-c1") == []
    named = await replicas.named(["orders.acme1", "gone.acme1", "never.acme1"])
    assert named == [pair]


async def test_the_newest_look_at_a_link_stays_in_whatever_order_looks_arrive(pool: Pool) -> None:
    links = ReplicationLinks(pool)
    looks = [link(seconds=seconds) for seconds in (20, 50, 0, 30)]

    await asyncio.gather(*(links.publish_links(OTHER_CELL, [look]) for look in looks))

    assert await links.of_cell(CELL) == [looks[1]]


async def test_a_cell_knows_its_links_in_both_directions_and_forgets_those_that_are_gone(
    pool: Pool,
) -> None:
    links, third = ReplicationLinks(pool), "gcp-us-central1-c1"
    there, back, other = link(), link(CELL, OTHER_CELL), link(CELL, third)
    await links.publish_links(OTHER_CELL, [there])
    await links.publish_links(CELL, [back, other])

    assert await links.of_cell(CELL) == [back, other, there]
    assert await links.among([CELL, OTHER_CELL]) == [back, there]
    await links.publish_links(CELL, [back])
    assert await links.of_cell(CELL) == [back, there]
