"""The disruption ledger's projection."""

from dataclasses import replace

from cells.ledger.types import LeaseView, LedgerView, Purpose
from controlplane.store.ledger import LedgerProjections
from controlplane.store.pool import Pool
from tests.store.views import CELL, NOW

LEASE = LeaseView(CELL, "rollout/r1", Purpose.ROLLOUT, NOW, number=1, namespaces=2)


async def test_without_a_ledger_there_are_no_leases(pool: Pool) -> None:
    assert await LedgerProjections(pool).read() == LedgerView(revision=0)


async def test_the_newest_ledger_stays_in_whatever_order_views_arrive(pool: Pool) -> None:
    ledger, newest = LedgerProjections(pool), LedgerView(revision=3, leases=(LEASE,))

    for view in (LedgerView(revision=2), newest, replace(newest, revision=1, leases=())):
        await ledger.publish_ledger(view)

    assert await ledger.read() == newest
