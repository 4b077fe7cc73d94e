"""The ledger's world in memory."""

from dataclasses import dataclass

from cells.ledger.types import LedgerView


@dataclass
class MemoryLedgerProjection:
    """Implements `cells.ledger.ports.LedgerProjection`."""

    view: LedgerView | None = None
    """The newest that was published; None before the first."""

    async def read(self) -> LedgerView:
        return LedgerView(revision=0) if self.view is None else self.view

    async def publish_ledger(self, view: LedgerView) -> None:
        if self.view is None or self.view.revision < view.revision:
            self.view = view
