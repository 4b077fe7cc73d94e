"""The fleet as those see it who decide which of its cells are lost."""

from dataclasses import replace

from cells.ledger.types import LeaseView, LedgerView, Purpose
from controlplane.store.directory import Directory
from controlplane.store.fleet_sight import StoredFleetSight
from controlplane.store.ledger import LedgerProjections
from controlplane.store.pool import Pool
from controlplane.store.projections import Projections
from provisioning.types import NamespaceLife
from tests.store.rollout_views import OTHER_CELL
from tests.store.views import CELL, NOW, cell_view, namespace_view, replicated

PAIR = ("aws-us-east-1", "aws-us-west-2")


def sight(pool: Pool) -> StoredFleetSight:
    return StoredFleetSight(pool, Directory(pool))


async def test_each_cell_is_told_with_who_is_at_it_and_who_replicates_from_it(pool: Pool) -> None:
    await Projections(pool).publish_cell(cell_view())
    await Projections(pool).publish_cell(cell_view(OTHER_CELL, region=PAIR[1]))
    await Projections(pool).publish_namespace(replicated(*PAIR))
    await Projections(pool).publish_namespace(namespace_view("bills.acme1"))
    lease = LeaseView(CELL, "drill/d1", Purpose.DRILL, NOW, number=1, namespaces=1)
    await LedgerProjections(pool).publish_ledger(LedgerView(revision=1, leases=(lease,)))

    one, other = await sight(pool).cells()

    assert (one.id, one.lease, one.peers) == (CELL, "drill/d1", (OTHER_CELL,))
    assert (other.id, other.lease, other.peers) == (OTHER_CELL, "", (CELL,))


async def test_cells_that_share_no_namespace_are_no_peers(pool: Pool) -> None:
    await Projections(pool).publish_cell(cell_view())
    await Projections(pool).publish_cell(cell_view(OTHER_CELL, region=PAIR[1]))
    gone = replace(replicated(*PAIR), life=NamespaceLife.DELETED)
    await Projections(pool).publish_namespace(gone)
    await Projections(pool).publish_namespace(namespace_view("bills.acme1"))

    assert [cell.peers for cell in await sight(pool).cells()] == [(), ()]


async def test_the_namespaces_of_a_cell_are_those_with_any_replica_there(pool: Pool) -> None:
    await Projections(pool).publish_namespace(replicated(*PAIR))
    await Projections(pool).publish_namespace(namespace_view("bills.acme1"))

    here = {each.id: each for each in await sight(pool).namespaces(CELL)}
    there = {each.id: each for each in await sight(pool).namespaces(OTHER_CELL)}

    assert sorted(here) == ["bills.acme1", "orders.acme1"]
    assert (here["bills.acme1"].active, here["bills.acme1"].passive) == (CELL, ())
    assert list(there) == ["orders.acme1"]
    assert there["orders.acme1"].active == CELL
    assert [replica.cell for replica in there["orders.acme1"].passive] == [OTHER_CELL]
