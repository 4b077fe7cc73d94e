"""The side effects of the ledger, each safe to repeat."""

from dataclasses import dataclass

from temporalio import activity

from cells.ledger.ports import LedgerProjection
from cells.ledger.types import LedgerView


@dataclass(frozen=True)
class LedgerActivities:
    projection: LedgerProjection

    @activity.defn
    async def publish_ledger(self, view: LedgerView) -> None:
        await self.projection.publish_ledger(view)
