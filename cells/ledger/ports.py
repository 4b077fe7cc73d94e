"""What the ledger asks of the outside world."""

from typing import Protocol

from cells.ledger.types import LedgerView


class LedgerProjection(Protocol):
    async def publish_ledger(self, view: LedgerView) -> None:
        """Make the view readable, unless a newer revision already is."""
        ...
